# SPDX-License-Identifier: Apache-2.0
"""Text on its way to people."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.command import environment

from tallystick.cli.output import (
    Exit,
    Stop,
    complain,
    count,
    error_is_terminal,
    prepare_streams,
    say,
    say_bytes,
    say_json,
    say_table,
    visible,
)

# Each with what an attacker would want it for.
HOSTILE = {
    "clears the screen": "\x1b[2J\x1b[H",
    "sets the title, or worse": "\x1b]0;owned\x07",
    "eight-bit CSI": "\x9b31m",
    "forges a line": "x\nverified: 9 receipts, 1 chain",
    "overwrites the line": "refused\rverified",
    "erases": "refused\x08\x08\x08",
    "reorders": "\u202egnp.exe",
    "reorders too": "\u2066a\u2069",
    "line separator": "a\u2028b\u2029c",
    "next line": "a\x85b",
    "zero width": "a\u200bb\u200c\u200d\ufeffc",
    "soft hyphen": "ad\u00admin",
    "tag characters": "a\U000e0041\U000e0042",
    "variation selector": "a\ufe0f\U000e0100",
    "filler": "a\u3164\u115f\uffa0\u2800",
    "half a pair": "\ud800",
    "delete": "a\x7f",
    "no character": "\uffff\U0010ffff",
    "private use": "\ue000",
    "strikes out what stands before": "\u0338\u0336",
    "tab": "a\tb",
    "markup of rich": "[bold red]x[/] :skull:",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_visible(text: str) -> None:
    """Nothing that moves, hides, reorders or erases is left; each becomes an escape."""
    shown = visible(text)
    assert shown.isprintable()
    assert len(shown) >= len(text)


@given(st.text())
def test_visible_text_is_one_printable_line(text: str) -> None:
    """Whatever comes in, what goes out is printable, and showing it twice changes nothing."""
    shown = visible(text)
    assert shown.isprintable()
    assert visible(shown) == shown


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
def test_plain_text_stays(text: str) -> None:
    """Printable ASCII is shown as it is."""
    assert visible(text) == text


@pytest.mark.parametrize("text", ["Grüße", "日本語", "שלום", "e\u0301", "नमस्ते", "🙂", "…"])
def test_letters_of_all_scripts_stay(text: str) -> None:
    """People's own letters are shown, with the marks that belong to them."""
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b", "\\x1b"),
        ("\u202e", "\\u202e"),
        ("\U000e0041", "\\U000e0041"),
        ("\n\r\t", "\\n\\r\\t"),
        ("\x9b", "\\x9b"),
    ],
)
def test_escapes_are_those_of_programs(text: str, shown: str) -> None:
    """An escape names the character as Python would."""
    assert visible(text) == shown


def test_say_escapes_every_part(capsys: pytest.CaptureFixture[str]) -> None:
    """One call is one line, with or without styles."""
    say("a\x1b[1m", ("b\n", "bad"), "[bold]c")
    assert capsys.readouterr().out == "a\\x1b[1mb\\n[bold]c\n"


def test_complaints_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """What goes wrong is told on standard error, escaped too."""
    complain("a\nb\x1b")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "tally: a\\nb\\x1b\n")


def test_tables_take_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """No markup, no emoji, no folding where nobody watches; a row is a line."""
    rows = [["1", "[red]x[/red] :skull: \x1b[2J" + "y" * 300], ["10", "z\nz"]]
    say_table(["#", "text"], rows, folding={"text"})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[2] == " 1  [red]x[/red] :skull: \\x1b[2J" + "y" * 300
    assert lines[3] == "10  z\\nz"
    assert not [line for line in lines if line != line.rstrip()]


def test_json_is_plain(capsys: pytest.CaptureFixture[str]) -> None:
    """What it holds can be read again, and nothing in it moves a terminal."""
    value = {"a": ["\x1b[2J\u202e\x9b", "\n"]}
    say_json(value)
    assert capsys.readouterr().out == '{"a":["\\u001b[2J\\u202e\\u009b","\\n"]}\n'
    say_json(value, indent=2)
    shown = capsys.readouterr().out
    assert shown.isascii()
    assert json.loads(shown) == value


def test_bytes_are_themselves_but_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe gets them as they are; who reads sees what would not be seen."""
    for is_terminal, wanted in ((False, b"\x1b[2J\n"), (True, b"\\x1b[2J\n")):
        written = io.BytesIO()
        stream = io.TextIOWrapper(written, write_through=True)
        monkeypatch.setattr(stream, "isatty", lambda answer=is_terminal: answer)
        monkeypatch.setattr("sys.stdout", stream)
        monkeypatch.setenv("TERM", "dumb")
        say_bytes(b"\x1b[2J\n")
        assert written.getvalue() == wanted


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closed streams are no reason to fail: the exit code still speaks."""
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    prepare_streams()
    say("a")
    say_table(["#"], [["1"]], folding=())
    complain("a")
    assert not error_is_terminal()


def test_any_encoding_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Characters that the stream can't encode are escaped instead of failing."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    prepare_streams()
    say("Grüße")
    say_table(["#"], [["ä"]], folding=())
    sys.stdout.flush()
    assert b"Gr\\xfc\\xdfe" in raw.getvalue()


def test_counts_are_grammatical() -> None:
    """One receipt, several receipts, none."""
    assert [count(number, "receipt") for number in (0, 1, 2)] == [
        "0 receipts",
        "1 receipt",
        "2 receipts",
    ]


def test_stop_carries_line_and_code() -> None:
    """What ends a command says both what people and what scripts get."""
    stop = Stop(Exit.UNCHECKED, "no such file")
    assert (stop.code, stop.line, str(stop)) == (3, "no such file", "no such file")


def on_a_terminal(program: str, **more: str) -> str:
    """Run a program whose standard output is a terminal; return all that reached it."""
    parent, child = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=child, stderr=child, env=environment(**more)
    ) as running:
        os.close(child)
        shown = b""
        while True:
            try:
                piece = os.read(parent, 65536)
            except OSError:  # the other side has closed
                break
            if not piece:
                break
            shown += piece
        assert running.wait() == 0, shown
    os.close(parent)
    return shown.decode()


STYLED = """
from tallystick.cli.output import error_is_terminal, say, say_table
say(("refused", "bad"), ": [bold]\\x1b[2J\\u202e " + "w" * 60)
say_table(["#", "text"], [["1", "\\x1b[31m [red]" + "v" * 60]], folding={"text"})
assert error_is_terminal()
"""


def test_terminals_get_colour_and_width() -> None:
    """A verdict is coloured, a table folds; what came from outside still does nothing."""
    shown = on_a_terminal(STYLED, TERM="xterm-256color", COLUMNS="40", NO_COLOR="")
    assert "\x1b[1;31mrefused\x1b[0m: [bold]\\x1b[2J\\u202e " + "w" * 60 in shown
    assert "\x1b[2J" not in shown
    assert "\x1b[31m" not in shown
    assert "\u202e" not in shown
    assert "v" * 60 not in shown
    assert shown.count("v") == 60


LISTED = """
from tallystick.cli.output import say_table
row = ["300", "2026-11-23T06:29:48.123Z", "2026-11-23", "read_file", "critical", "failure"]
say_table(["#", "time", "chain", "tool", "risk", "status"], [row], folding={"chain", "tool"})
"""


def test_no_cell_is_left_out_where_all_is_too_narrow() -> None:
    """Lines are longer than the terminal then, which breaks them: number and risk are whole."""
    _, _, row, *more = on_a_terminal(LISTED, TERM="xterm", COLUMNS="40").splitlines()
    assert row.split() == [
        "300", "2026-11-23T06:29:48.123Z", "2026-11-", "read_fil", "critical", "failure",
    ]  # fmt: skip
    assert " ".join(more).split() == ["23", "e"]


@pytest.mark.parametrize("more", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colour_can_be_declined(more: dict[str, str]) -> None:
    """NO_COLOR and dumb terminals get plain text."""
    wanted = {"TERM": "xterm-256color", "NO_COLOR": "", **more}
    shown = on_a_terminal("from tallystick.cli.output import say; say(('x', 'bad'))", **wanted)
    assert shown == "x\r\n"


def test_pipes_get_no_colour(place: Path) -> None:
    """A verdict in a file is plain text, whatever the terminal could do."""
    done = subprocess.run(
        [sys.executable, "-c", "from tallystick.cli.output import say; say(('x', 'bad'))"],
        env=environment(TERM="xterm-256color", FORCE_COLOR="1"),
        capture_output=True,
        check=True,
    )
    assert done.stdout == b"x\n"
