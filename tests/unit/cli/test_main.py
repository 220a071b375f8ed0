# SPDX-License-Identifier: Apache-2.0
"""The group of verbs: every way to end is an exit code and at most one line."""

from __future__ import annotations

import errno
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import click
import pytest
from tests.command import environment, process, tally

from tallystick.cli.main import Verbs, main
from tallystick.cli.output import Exit, Stop
from tallystick.errors import DurableError, MissingExtraError, ReceiptError, UnreadableError

# What ends a command in the examples of a help text.
SHELL = ("|", "&&", ">", "<", ";")
HEAVY = ("cryptography", "nacl", "rfc8785", "rich", "tallystick.verify")


@pytest.mark.parametrize("arguments", ["--help", "--version", "verify --help", "keygen --help"])
def test_help_is_fast(arguments: str) -> None:
    """What only tells about the command loads nothing that works."""
    program = (
        "import sys; from tallystick.cli.main import main\n"
        f"main({arguments.split()!r}, standalone_mode=False)\n"
        f"print([one for one in {HEAVY!r} if one in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_every_verb_has_help_with_examples() -> None:
    """Each verb says what it does, shows how, and names its exit codes."""
    context = click.Context(main, info_name="tally")
    verbs = main.list_commands(context)
    assert verbs[:3] == ["keygen", "signer", "verify"]
    for verb in verbs:
        answer = tally(verb, "--help")
        assert answer.code == 0, verb
        assert f"Usage: tally {verb}" in answer.out
        assert "Examples\n" in answer.out
        assert "Exit codes" in answer.out
        assert tally(verb, "-h") == answer
        assert f"  {verb} " in tally("--help").out


def commands(group: click.Group, above: click.Context) -> Iterator[click.Context]:
    """Yield every command below a group, groups as well."""
    for name in group.list_commands(above):
        command = group.get_command(above, name)
        assert command is not None
        context = click.Context(command, info_name=name, parent=above, terminal_width=200)
        yield context
        if isinstance(command, click.Group):
            yield from commands(command, context)


def shown_how(help_text: str) -> Iterator[list[str]]:
    """Yield the words after `tally` in each example of a help text."""
    _, _, rest = help_text.partition("\n  Examples\n")
    examples, _, _ = rest.partition("\n\n")
    examples = re.sub(r"\$\(.*?\)", "PATH", examples.replace("\\\n", " "))
    for line in examples.splitlines():
        words = iter(shlex.split(line))
        for word in words:
            if word == "tally":
                yield list(takewhile(lambda one: one not in SHELL, words))


TOP = click.Context(main, info_name="tally", terminal_width=200, **main.context_settings)
ALL = list(commands(main, TOP))


@pytest.mark.parametrize("context", ALL, ids=[one.command_path for one in ALL])
def test_every_command_shows_how(context: click.Context) -> None:
    """At least once itself, and only with options that exist."""
    text = context.command.get_help(context)
    assert "\n  Exit codes" in text
    shown = list(shown_how(text))
    own = context.command_path.split()[1:]
    assert any(words[: len(own)] == own for words in shown), text
    for words in shown:
        parse(main, words)


def parse(command: click.Command, words: list[str]) -> None:
    """Look every word up that should be a command's or an option's; raises where it is none."""
    context = click.Context(command, parent=TOP)
    rest = command.make_parser(context).parse_args(list(words))[1]
    if isinstance(command, click.Group):
        below = command.get_command(context, rest[0])
        assert below is not None, words
        parse(below, rest[1:])


def test_only_verbs_are_found() -> None:
    """Names of modules that are no verbs lead nowhere."""
    context = click.Context(main, info_name="tally")
    for name in ("output", "inputs", "digest", "main", "", "../verify"):
        assert main.get_command(context, name) is None


def raising(fault: BaseException) -> Verbs:
    """Return a group like ours whose one verb ends with that."""

    class Ending(Verbs):
        def list_commands(self, ctx: click.Context) -> list[str]:
            return ["end"]

        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
            def end() -> None:
                click.echo("before")
                raise fault

            return click.Command("end", callback=end)

    return Ending("tally")


@pytest.mark.parametrize(
    ("fault", "code", "line"),
    [
        (Stop(Exit.REFUSED, "a\nb"), 1, "tally: a\\nb\n"),
        (Stop(Exit.UNCHECKED, "x"), 3, "tally: x\n"),
        (ReceiptError("is missing", "/id\x1b"), 1, "tally: /id\\x1b: is missing\n"),
        (UnreadableError("f could not be read"), 3, "tally: f could not be read\n"),
        (MissingExtraError("x is not installed"), 3, "tally: x is not installed\n"),
        (DurableError("f could not be written"), 3, "tally: f could not be written\n"),
        (click.UsageError("no\x1b"), 2, "tally: no\\x1b. See `tally end --help`.\n"),
        (click.ClickException("no."), 2, "tally: no. See `tally --help`.\n"),
        (KeyboardInterrupt(), 130, ""),
        (click.Abort(), 130, ""),
        (BrokenPipeError(), 141, ""),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            3,
            "tally: standard output: No space left on device\n",
        ),
        (
            OSError(errno.EIO, "Input/output error", "f\x1b"),
            3,
            "tally: f\\x1b: Input/output error\n",
        ),
        (OSError("odd"), 3, "tally: standard output: odd\n"),
        (click.exceptions.Exit(7), 7, ""),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_every_end_has_its_code(
    capsys: pytest.CaptureFixture[str], fault: BaseException, code: int, line: str
) -> None:
    """The code says what kind of end it is, one escaped line says the rest."""
    assert raising(fault).main(["end"], standalone_mode=False) == code
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("before\n", line)


@pytest.mark.parametrize("fault", [KeyError("secret"), MemoryError(), RecursionError("secret")])
def test_our_own_bugs_are_told_without_a_traceback(
    capsys: pytest.CaptureFixture[str], fault: Exception
) -> None:
    """An unforeseen fault is no verdict: could not check, and nothing of its text is shown."""
    assert raising(fault).main(["end"], standalone_mode=False) == 3
    told = capsys.readouterr().err
    assert told.startswith(f"tally: a bug of ours ({type(fault).__name__} in end:")
    assert told.count("\n") == 1
    assert "secret" not in told


def test_bugs_show_themselves_to_developers() -> None:
    """`python -X dev` shows the traceback."""
    program = (
        "import click; from tallystick.cli.main import _guarded\n"
        "def work(): raise KeyError('why')\n_guarded(work)"
    )
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", program],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "KeyError: 'why'" in done.stderr


def test_standalone_exits() -> None:
    """As a program it ends the process, as a function it returns."""
    with pytest.raises(SystemExit) as ended:
        main(["frobnicate"])
    assert ended.value.code == 2
    assert main.main(["frobnicate"], standalone_mode=False) == 2


def test_ctrl_c_is_quiet(place: Path) -> None:
    """An interrupt ends the command at once: no traceback, no verdict, exit code 130."""
    os.mkfifo(place / "slow.jsonl")
    with (
        subprocess.Popen(
            process("verify", "slow.jsonl", "--key", "agent.pub"),
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as running,
        open(place / "slow.jsonl", "wb"),
    ):  # opens when the command reads
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=30)
    assert (running.returncode, out, err) == (130, b"", b"")


def test_a_closed_pipe_is_quiet() -> None:
    """A reader that has seen enough is no fault: no traceback, also not at shutdown."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        process("explain"), env=environment(), stdout=writer, stderr=subprocess.PIPE, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("arguments", [["explain"], ["--help"], ["keygen"]])
def test_closed_streams_are_survived(place: Path, arguments: list[str]) -> None:
    """Without standard output, input and error the command still ends by itself."""
    command = " ".join(process(*arguments))
    done = subprocess.run(
        ["sh", "-c", f"exec {command} <&- >&- 2>&-"], env=environment(), check=False, cwd=place
    )
    assert done.returncode == 0


def test_escapes_in_arguments_are_shown() -> None:
    """What the caller typed, or was made to type, is escaped as well."""
    for arguments in (["\x1b[2J"], ["verify", "--\x1b[2J"], ["explain", "\x1b]0;x\x07\u202e"]):
        answer = tally(*arguments)
        assert answer.code == 2
        assert answer.err.strip().isprintable()
        assert "\\x1b" in answer.err


def test_completion_completes() -> None:
    """Shells learn the verbs and the options of each."""
    done = subprocess.run(
        process(),
        env=environment(
            _TALLY_COMPLETE="bash_complete", COMP_WORDS="tally disclose --k", COMP_CWORD="2"
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "plain,--key\n")
