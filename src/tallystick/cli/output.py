# SPDX-License-Identifier: Apache-2.0
"""How text reaches people. Nothing goes to a terminal but through here, and all of it is escaped.

Receipts are written by others. A target named `\\x1b[2J` would clear the screen, one with a line
feed could forge a verdict, and a bidirectional control shows text in an order in which it does not
stand. `visible` turns each such character into its escape. It is applied where text leaves and not
where it comes in, so that no command can forget it.
"""

from __future__ import annotations

import sys
from collections.abc import Container, Iterable, Sequence
from enum import IntEnum
from typing import Any, Final, Literal, TypeAlias
from unicodedata import category

from tallystick.config import read

Style = Literal["good", "bad", "unsure", "dim", "strong"]
Span: TypeAlias = str | tuple[str, Style]

_COLOURS: Final[dict[Style, str]] = {
    "good": "bold green",
    "bad": "bold red",
    "unsure": "bold yellow",
    "dim": "dim",
    "strong": "bold",
}
_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
# Printable for Python, and yet nothing is to be seen: fillers, joiners, variation selectors.
_UNSEEN: Final = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
    + "".join(map(chr, range(0xFE00, 0xFE10)))
    + "".join(map(chr, range(0xE0100, 0xE01F0)))
)
# Columns of a table that is not for a terminal, where lines may have any length.
_TABLE_COLUMNS_MAX: Final = 20_000
# How narrow a column gets that folds: below, it could as well not be there.
_FOLDED_COLUMNS_MIN: Final = 8


class Exit(IntEnum):
    """The exit codes of every command."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    UNCHECKED = 3


class Stop(Exception):
    """Ends a command: one line for people, an exit code for scripts."""

    def __init__(self, code: Exit, line: str) -> None:
        super().__init__(line)
        self.code = code
        self.line = line


def visible(text: str) -> str:
    """Return the text in one line, with an escape for each character that would not be seen."""
    if text.isascii() and text.isprintable():
        return text
    shown: list[str] = []
    before = " "
    for character in text:
        shown.append(character if _is_seen(character, before) else _escape(character))
        before = character
    return "".join(shown)


def say(*spans: Span) -> None:
    """Write one line to standard output; styles show on a terminal only."""
    if sys.stdout is not None and _is_colourful():
        from rich.text import Text

        line = Text.assemble(*(_styled(span) for span in spans))
        _console().print(line, soft_wrap=True)
    else:
        print("".join(visible(span if isinstance(span, str) else span[0]) for span in spans))


def say_json(value: object, *, indent: int | None = None) -> None:
    """Write facts as JSON in plain ASCII: on one line, or for people to read."""
    import json

    import msgspec

    separators = (",", ":") if indent is None else None
    text = json.dumps(msgspec.to_builtins(value), indent=indent, separators=separators)
    for line in text.splitlines():
        say(line)


def say_bytes(data: bytes) -> None:
    """Write bytes as they are to a file or pipe; on a terminal escape what would not be seen."""
    stream = sys.stdout
    if stream is None or stream.isatty():
        say(data.decode().rstrip("\n"))
    else:
        stream.flush()
        stream.buffer.write(data)
        stream.buffer.flush()


def complain(line: str) -> None:
    """Write the one line on standard error that goes with every exit code but 0."""
    if sys.stderr is not None:
        try:
            print(f"tally: {visible(line)}", file=sys.stderr, flush=True)
        except OSError:  # nobody listens; the exit code still speaks
            pass


def say_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, folding: Container[str]
) -> None:
    """Write a table: some columns fold on a narrow terminal; elsewhere a row is a line.

    Where it is too narrow for that as well, lines are longer than it is: no cell is left out.
    """
    from rich import box
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    cells = [[visible(cell) for cell in row] for row in rows]
    widest = [max(map(cell_len, column)) for column in zip(columns, *cells, strict=True)]
    least = [
        min(width, _FOLDED_COLUMNS_MIN) if column in folding else width
        for column, width in zip(columns, widest, strict=True)
    ]
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
    )
    for column, width in zip(columns, least, strict=True):
        table.add_column(
            Text(visible(column)),
            justify="right" if column == "#" else "left",
            overflow="fold",
            no_wrap=column not in folding,
            min_width=width,
        )
    for row in cells:
        table.add_row(*map(Text, row))
    # Between two columns stand two spaces.
    narrowest = sum(least) + 2 * (len(columns) - 1)
    console = _console(max(_console().width, narrowest) if _is_terminal() else _TABLE_COLUMNS_MAX)
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        print(line.rstrip())


def count(number: int, noun: str) -> str:
    """Return a number with its noun: 1 receipt, 2 receipts."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def prepare_streams() -> None:
    """Make sure that no character fails for want of a place in the terminal's encoding."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def error_is_terminal() -> bool:
    """Whether somebody watches standard error."""
    return sys.stderr is not None and sys.stderr.isatty()


def _is_seen(character: str, before: str) -> bool:
    if not character.isprintable() or character in _UNSEEN:
        return False
    # A combining mark belongs to a letter; over anything else it would strike out our own text.
    return category(character)[0] != "M" or category(before)[0] in "LM"


def _escape(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _styled(span: Span) -> tuple[str, str]:
    text, style = (span, "") if isinstance(span, str) else (span[0], _COLOURS[span[1]])
    return visible(text), style


def _is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


def _is_colourful() -> bool:
    return _is_terminal() and not read("NO_COLOR") and read("TERM") != "dumb"


def _console(width: int | None = None) -> Any:
    from rich.console import Console

    return Console(width=width, highlight=False, markup=False, emoji=False)
