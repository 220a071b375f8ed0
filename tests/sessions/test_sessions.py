# SPDX-License-Identifier: Apache-2.0
"""The command line behaves as printed: each `*.txt` here is a session at a terminal.

    # text           a comment
    $ command        run by bash in the session's directory; `> ` continues the command
    text             what it prints
    2> text          what it says on standard error
    exit N           its exit code, when it is not 0

In what is printed, `…` stands for anything within a line, and a line `…` for any number of lines.
Each session begins with the files of `stage.py` in a directory of its own.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click
import pytest
from tests.sessions.stage import stage
from tests.sessions.stage_chain import stage_chain
from tests.sessions.warm import warm_tally
from tests.stored import fill

from tallystick.cli.main import main

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent.parent / "src"
SESSIONS = sorted(HERE.glob("*.txt"))
COMMAND_SECONDS_MAX = 60
# Sessions on the embedded chain: most of their commands would import for two seconds.
_WARM = ("hub", "hub_help", "hub_panel", "solver_post")

# What the law below says of tally's own exit codes.
_EXPLAINED = (1, 2, 3)


@dataclass
class Step:
    """One command and what it answers."""

    line: int
    command: str
    printed: list[str] = field(default_factory=list)
    complained: list[str] = field(default_factory=list)
    code: int = 0


def steps_of(text: str) -> list[Step]:
    steps: list[Step] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("$ "):
            steps.append(Step(number, line[2:]))
        elif re.match(r"# \S", line) or not (line or steps):
            continue
        elif line.startswith("> ") and not steps[-1].printed:
            steps[-1].command += "\n" + line[2:]
        elif line.startswith("2> "):
            steps[-1].complained.append(line[3:])
        elif re.fullmatch(r"exit \d+", line):
            steps[-1].code = int(line[5:])
        else:
            steps[-1].printed.append(line)
    return steps


def matches(shown: list[str], printed: str) -> bool:
    """Whether what was printed is what the session shows; empty lines at the end do not count."""
    while shown and not shown[-1]:
        shown = shown[:-1]
    pattern = "".join(
        r"(?:.*\n)*" if line == "…" else ".*".join(map(re.escape, line.split("…"))) + r"\n"
        for line in shown
    )
    text = printed.rstrip("\n")
    return re.fullmatch(pattern, text + "\n" if text else "") is not None


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a `tally` that runs this source with this interpreter."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "tally").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tallystick "$@"\n')
    (folder / "tally").chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def warm_programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder with a `tally` whose slow imports are done; see `warm.py`."""
    with warm_tally(tmp_path_factory.mktemp("warm"), SOURCE) as folder:
        yield folder


@pytest.mark.parametrize("session", SESSIONS, ids=lambda path: path.stem)
def test_session(
    session: Path, tmp_path: Path, programs: Path, request: pytest.FixtureRequest
) -> None:
    """Each command prints, complains and exits as shown: one complaint for each code but 0."""
    if session.stem in _WARM:
        programs = request.getfixturevalue("warm_programs")
        stage_chain(tmp_path)
    stage(tmp_path)
    if session.stem == "store":
        fill(tmp_path / "daemon")
    environment = {
        "PYTHONPATH": str(SOURCE),
        "PATH": f"{programs}:{os.environ.get('PATH', os.defpath)}",
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "LC_ALL": "C.UTF-8",
        "COLUMNS": "100",
    }
    steps = steps_of(session.read_text(encoding="utf-8"))
    assert steps, "a session has commands"
    for step in steps:
        done = subprocess.run(
            ["bash", "-c", step.command],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS_MAX,
            check=False,
        )
        told = (
            f"{session.name}:{step.line}: $ {step.command}\n"
            f"{done.stdout}--- standard error\n{done.stderr}--- exit {done.returncode}"
        )
        assert done.returncode == step.code, told
        assert matches(step.printed, done.stdout), told
        assert matches(step.complained, done.stderr), told
        if done.returncode in _EXPLAINED:
            assert re.fullmatch(r"tally: .+\n", done.stderr), told


def commands() -> dict[str, click.Command]:
    """Return every command by its words; of a group, its own and those of its verbs."""
    found: dict[str, click.Command] = {"": main}

    def walk(group: click.Group, context: click.Context, words: str) -> None:
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            found[f"{words}{name}"] = command
            if isinstance(command, click.Group):
                inner = click.Context(command, info_name=name, parent=context)
                walk(command, inner, f"{words}{name} ")

    walk(main, click.Context(main, info_name="tally"), "")
    return found


COMMANDS = commands()


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_option_is_in_a_session(verb: str) -> None:
    """No option of any verb goes without a session that uses it."""
    command = COMMANDS[verb]
    used = "\n".join(
        step.command for path in SESSIONS for step in steps_of(path.read_text(encoding="utf-8"))
    )
    options = [option.opts[0] for option in command.params if isinstance(option, click.Option)] + [
        "--help"
    ]
    missing = [
        option
        for option in options
        if not re.search(rf"tally {verb}[^|;]* {option}\b" if verb else rf"tally {option}\b", used)
    ]
    assert not missing


def test_every_exit_code_of_every_verb_is_in_a_session() -> None:
    """Each verb ends, in some session, with each exit code that its help names."""
    steps = [
        (re.split(r"(?<![.\w])tally ", step.command)[-1] + " ", step.code)
        for path in SESSIONS
        for step in steps_of(path.read_text(encoding="utf-8"))
        if "tally " in step.command
    ]
    expected = {
        "keygen": {0, 2, 3},
        "verify": {0, 1, 2, 3},
        "show": {0, 1, 2, 3},
        "hash": {0, 1, 2, 3},
        "disclose": {0, 1, 2, 3},
        "explain": {0, 2},
        "completion": {0, 2},
        "export": {0, 1, 2, 3},
        "collector run": {0, 1, 2, 3},
        "collector token add": {0, 2, 3},
        "collector token list": {0, 2, 3},
        "collector token revoke": {0, 2, 3},
        "collector keys new": {0, 2, 3},
        "collector keys show": {0, 2, 3},
        "collector fsck": {0, 1, 2, 3},
        "daemon init": {0, 2, 3},
        "daemon run": {0, 1, 2, 3},
        "daemon status": {0, 1, 2, 3},
        "daemon rotate": {0, 1, 2, 3},
        "daemon doctor": {0, 1, 2, 3},
        "daemon install": {0, 2, 3},
        "list": {0, 1, 2, 3},
        "tail": {0, 1, 2, 3},
        "stats": {0, 1, 2, 3},
        "import-chain": {0, 1, 2, 3},
        "solver run": {0, 1, 2, 3},
        "solver resume": {0, 1, 2, 3},
        "solver sign": {0, 1, 2, 3},
        "solver list": {0, 2, 3},
        "solver status": {0, 1, 2, 3},
        "solver serve": {0, 2, 3},
        "evidence verify": {0, 1, 2, 3},
        "evidence show": {0, 1, 2, 3},
        "evidence prove": {0, 1, 2, 3},
        "evidence extract": {0, 1, 2, 3},
        "evidence make": {0, 1, 2, 3},
        "evidence log": {0, 1, 2, 3},
    }
    missing = {
        verb: codes - {code for line, code in steps if line.startswith(f"{verb} ")}
        for verb, codes in expected.items()
    }
    assert not any(missing.values()), missing


def test_sessions_were_found() -> None:
    """The tests above had something to look at."""
    assert len(SESSIONS) >= 8


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        (["a…c"], "abbc\n", True),
        (["a…c"], "abb\n", False),
        (["…"], "", True),
        ([], "", True),
        ([], "a\n", False),
        (["a", "…", "z"], "a\nb\nz\n", True),
        (["a", "", ""], "a\n\n", True),
    ],
)
def test_wildcards(shown: list[str], printed: str, same: bool) -> None:
    """`…` stands for anything within a line, and alone for any number of lines."""
    assert matches(shown, printed) is same
