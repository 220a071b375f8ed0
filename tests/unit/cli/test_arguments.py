# SPDX-License-Identifier: Apache-2.0
"""What several verbs take."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from tests.command import tally
from tests.privileges import unprivileged
from tests.stored import fill

from tallystick.cli.arguments import as_utf8, refuse_dash, to_standard_output
from tallystick.cli.main import main

VERBS = {
    "verify": ("--key", "agent.pub"),
    "show": (),
    "hash": (),
    "disclose": ("--key", "forensic.key"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_paths_are_there_and_make_sense(verb: str) -> None:
    """At least one path, none of them empty, and standard input once."""
    for paths, told in (((), "Missing argument"), (("",), "empty"), (("-", "-"), "once only")):
        answer = tally(verb, *paths, *VERBS[verb])
        assert (answer.code, answer.out) == (2, "")
        assert told in answer.err


@pytest.mark.parametrize("verb", ["show", "hash"])
def test_several_paths_and_standard_input(verb: str) -> None:
    """Paths are read in order, `-` where it stands."""
    with open("other.jsonl", "rb") as other:
        both = tally(verb, "run.jsonl", "-", stdin=other.read())
    assert both == tally(verb, "run.jsonl", "other.jsonl")
    assert both.code == 0


WRITING = {
    ("keygen",): "--out",
    ("export", "run.jsonl", "--out", "x"): "--proof",
    ("evidence", "extract", "solved.tally"): "--out",
    ("evidence", "log", "solved.tally", "--vkey", "log.vkey", "--proof", "p"): "--out",
    ("evidence", "make", "results", "--key", "agent.key"): "--out",
    ("hub", "post", "solved.tally", "--rpc", "embedded"): "--signed",
}


@pytest.mark.parametrize("verb", WRITING, ids=" ".join)
def test_no_file_is_named_as_standard_output_is(verb: tuple[str, ...], place: Path) -> None:
    """What can't be written to a stream refuses `-` as wrong usage, and leaves nothing."""
    answer = tally(*verb, WRITING[verb], "-")
    assert (answer.code, answer.out) == (2, "")
    assert "`-` is no standard output here; a file of that name is `./-`" in answer.err
    assert not Path("-").exists()
    assert not Path("x").exists()


@pytest.mark.parametrize(
    "verb",
    [("export", "run.jsonl"), ("evidence", "prove", "listed.tally", "report.json")],
    ids=" ".join,
)
def test_a_dash_is_standard_output_where_that_is_written_to(
    verb: tuple[str, ...], place: Path
) -> None:
    """`--out -` says what no `--out` says."""
    assert tally(*verb, "--out", "-") == tally(*verb)
    assert not Path("-").exists()


def commands(command: click.Command) -> Iterator[click.Command]:
    """Yield a command and all below it."""
    yield command
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            below = command.get_command(click.Context(command), name)
            assert below is not None
            yield from commands(below)


def test_every_out_says_what_a_dash_is() -> None:
    """An option named `--out` that a later verb has is no file named `-` either."""
    outs = [
        option for command in commands(main) for option in command.params if "--out" in option.opts
    ]
    assert len(outs) >= 6
    assert {option.callback for option in outs} == {refuse_dash, to_standard_output}


READING = {
    ("verify", "run.jsonl", "--key", "agent.pub"): "run.jsonl",
    ("verify", "run.jsonl", "--key", "agent.pub", "--responses", "responses"): "responses",
    ("show", "run.jsonl"): "run.jsonl",
    ("hash", "run.jsonl"): "run.jsonl",
    ("export", "run.jsonl"): "run.jsonl",
    ("evidence", "verify", "solved.tally", "--key", "solver.pub"): "solved.tally",
    ("evidence", "show", "solved.tally"): "solved.tally",
    ("evidence", "extract", "solved.tally", "--out", "new"): "solved.tally",
    ("evidence", "prove", "listed.tally", "report.json"): "listed.tally",
    ("evidence", "make", "results", "--key", "agent.key", "--out", "new"): "results",
    ("log", "judge", "evidence.json", "--vkey", "log.vkey"): "evidence.json",
    ("log", "verify", "receipt.json", "--vkey", "log.vkey"): "receipt.json",
}


@pytest.mark.skipif(sys.platform != "linux", reason="becomes another user, and root again")
@pytest.mark.parametrize("verb", READING, ids=" ".join)
def test_what_may_not_be_read_is_no_wrong_usage(verb: tuple[str, ...], place: Path) -> None:
    """The reader says so in the system's words, and ends as with all that can't be read."""
    tally(*verb)  # and its modules are loaded
    place.chmod(0o755)
    Path("agent.key").chmod(0o600)
    if os.geteuid() == 0:
        os.chown("agent.key", 65_534, -1)
    Path(READING[verb]).chmod(0)
    with unprivileged():
        answer = tally(*verb)
    assert answer.code == 3
    assert "Permission denied" in answer.err
    assert "--help" not in answer.err


def test_no_path_is_asked_for_beforehand_whether_it_may_be_read() -> None:
    """That is so in verbs to come, too."""
    paths = [
        one.type
        for command in commands(main)
        for one in command.params
        if isinstance(one.type, click.Path)
    ]
    assert len(paths) >= 20
    assert not any(one.readable for one in paths)


@pytest.mark.parametrize(
    "verb",
    [
        ("evidence", "verify", "-", "--key", "solver.pub"),
        ("evidence", "show", "-"),
        ("evidence", "extract", "-", "--out", "out"),
        ("solver", "run", "-"),
        ("log", "verify", "-", "--vkey", "log.vkey", "--proof", "receipt.tlog-proof"),
        ("mcp", "check", "rules.yaml", "-"),
    ],
)
def test_standard_input_may_be_closed(
    verb: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `<&-` leaves it: nothing was read, and one line says why."""
    monkeypatch.setattr(sys, "stdin", None)
    Path("rules.yaml").write_text("version: 1\ndefault: pass\nrules: []\n")
    assert main(list(verb), standalone_mode=False) == 3
    assert capsys.readouterr().err == "tally: standard input is closed\n"


@pytest.mark.parametrize(
    "verb",
    [
        ("evidence", "show", "-"),
        ("solver", "run", "-"),
        ("log", "verify", "-", "--vkey", "log.vkey", "--proof", "receipt.tlog-proof"),
        ("mcp", "check", "rules.yaml", "-"),
    ],
)
def test_standard_input_may_fail(
    verb: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `0>FILE` leaves it: what could not be read is named, and not standard output."""
    Path("rules.yaml").write_text("version: 1\ndefault: pass\nrules: []\n")
    with open(os.open("written", os.O_WRONLY | os.O_CREAT), "rb", buffering=0) as raw:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=raw))
        assert main(list(verb), standalone_mode=False) == 3
    told = capsys.readouterr().err
    assert told == "tally: standard input could not be read: Bad file descriptor\n"


@pytest.mark.parametrize(
    "verb",
    [
        ("evidence", "verify", "-", "--key", "solver.pub", "--previous", "-"),
        ("evidence", "log", "-", "--vkey", "log.vkey", "--proof", "-", "--out", "out"),
        ("evidence", "log", "b", "--vkey", "v", "--proof", "-", "--promise", "-", "--out", "o"),
        ("log", "verify", "-", "--vkey", "log.vkey", "--proof", "-"),
        ("log", "verify", "--vkey", "log.vkey", "--checkpoint", "-", "--checkpoint", "-"),
    ],
)
def test_standard_input_is_named_once(verb: tuple[str, ...]) -> None:
    """Twice is wrong usage: the second would be empty, and nothing is refused for that."""
    done = tally(*verb)
    assert (done.code, "once only" in done.err) == (2, True)


def test_workers_are_told_once() -> None:
    """Whoever verifies takes as many as the other, and says the same of them."""
    told = set()
    for verb in (("verify",), ("daemon", "backup")):
        _, _, rest = tally(*verb, "--help").out.partition("--workers ")
        told.add(" ".join(re.split(r"\n  -", rest)[0].split()))
        assert tally(*verb, "x", "--workers", "0").code == 2
    (text,) = told
    assert "same for any number. [default: 1; 1<=x<=64]" in text


NO_TEXT = os.fsdecode(b"a\xff")
NAMING = {
    ("list", "--session", NO_TEXT): "--session",
    ("tail", "--tool", NO_TEXT): "--tool",
    ("list", "--text", NO_TEXT): "--text",
    ("export", "run.jsonl", "--chain", NO_TEXT): "--chain",
    ("show", "run.jsonl", "--receipt", "1", "--chain", NO_TEXT): "--chain",
    ("verify", "run.jsonl", "--key", "agent.pub", "--chain", NO_TEXT): "--chain",
    ("collector", "token", "add", "--tenant", "t", "--note", NO_TEXT): "--note",
}


@pytest.mark.parametrize("words", NAMING, ids=lambda words: words[0])
def test_a_name_that_is_no_text_is_wrong_usage(words: tuple[str, ...]) -> None:
    """No receipt has such a name, and no file of ours can hold it."""
    answer = tally(*words)
    assert (answer.code, answer.out) == (2, "")
    assert f"'{NAMING[words]}': is not UTF-8" in answer.err


def test_names_are_utf8_in_every_locale(place: Path) -> None:
    """A locale that is not there makes other characters of the bytes that were typed."""
    context = click.Context(main)
    typed = "sitzung-\u00fc".encode()
    for encoding in ("utf-8", "ascii"):
        assert as_utf8(context, main.params[0], typed.decode(encoding, "surrogateescape")) == (
            "sitzung-\u00fc"
        )
    assert as_utf8(context, main.params[0], None) is None


@pytest.mark.parametrize("verb", ["list", "stats", "tail"])
def test_a_store_lies_wherever_a_file_can(verb: str, tmp_path: Path) -> None:
    """A path is bytes, and need not be text."""
    folder = tmp_path / NO_TEXT
    fill(folder)
    answer = tally(verb, "--store", str(folder / "receipts.db"))
    assert (answer.code, answer.err) == (0, "")


def test_a_backup_of_such_a_store(tmp_path: Path) -> None:
    """And into such a folder."""
    folder = tmp_path / NO_TEXT
    fill(folder)
    backup = str(folder / "backup")
    assert tally("daemon", "backup", backup, "--store", str(folder / "receipts.db")).code == 0
    imported = tally(
        "import-chain", f"{backup}/receipts.db", "--store", str(folder / "receipts.db")
    )
    assert "Unicode" not in imported.err
