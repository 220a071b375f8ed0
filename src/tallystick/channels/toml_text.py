# SPDX-License-Identifier: Apache-2.0
"""TOML as its author wrote it: one value changed in place, every other byte as it was.

No writer of TOML is needed: a change is made in the lines of one table, and stands only if the
whole text then says what it said before, but for that value. Tables that are written in another
way (inline, or with dotted keys) are refused.
"""

from __future__ import annotations

import json
from typing import Any, Final

from tallystick.crypto.strict_toml import parse_toml
from tallystick.errors import ClientConfigError, RefusedInput

_ELSEWHERE: Final = "has a table in a form that is not edited here; nothing was changed"


class TomlText:
    """A TOML text in which members of tables with a header of their own can be set."""

    def __init__(self, text: str) -> None:
        """Parse it, or raise `ClientConfigError`."""
        self.text = text
        _ = self.value

    @property
    def value(self) -> dict[str, Any]:
        """What the text says."""
        found = _says(self.text)
        if found is None:
            raise ClientConfigError("is no TOML that can be read; nothing was changed")
        return found

    def put(self, path: tuple[str, ...], value: str | list[str]) -> None:
        """Set a member of a table that has a header: a text, or a list of texts."""
        table, name = path[:-1], path[-1]
        wanted = self.value
        _inner(wanted, table)[name] = value
        line = f"{name} = {_written(value)}"
        lines = self.text.splitlines(keepends=True)
        first, last = self._section(lines, table)
        found = _member(lines, first, last, name)
        if found is None:
            # Behind the header: what follows the last member may belong to the next table.
            before = lines[first - 1]
            ending = "\r\n" if "\r\n" in self.text else "\n"
            lines[first - 1] = before if before.endswith("\n") else before + ending
            lines.insert(first, f"{line}{ending}")
        else:
            at, end = found
            lines[at:end] = [f"{line}{_rest_of(lines[at:end], name)}"]
        self._become("".join(lines), wanted)

    def drop(self, *path: str) -> None:
        """Remove a member of a table that has a header, if it is there."""
        table, name = path[:-1], path[-1]
        wanted = self.value
        if name not in _inner(wanted, table):
            return
        del _inner(wanted, table)[name]
        lines = self.text.splitlines(keepends=True)
        first, last = self._section(lines, table)
        found = _member(lines, first, last, name)
        if found is None:
            raise ClientConfigError(_ELSEWHERE)
        del lines[found[0] : found[1]]
        self._become("".join(lines), wanted)

    def _become(self, text: str, wanted: dict[str, Any]) -> None:
        if _says(text) != wanted:
            raise ClientConfigError(_ELSEWHERE)
        self.text = text

    def _section(self, lines: list[str], table: tuple[str, ...]) -> tuple[int, int]:
        """Return the lines of a table: from the one behind its header to the next header."""
        header: Any = {}
        for step in reversed(table):
            header = {step: header}
        for number, line in enumerate(lines):
            if line.lstrip().startswith("[") and _says(line) == header:
                for end in range(number + 1, len(lines)):
                    if lines[end].lstrip().startswith("[") and _says(lines[end]) is not None:
                        return number + 1, end
                return number + 1, len(lines)
        raise ClientConfigError(_ELSEWHERE)


def _inner(value: dict[str, Any], table: tuple[str, ...]) -> dict[str, Any]:
    inner: Any = value
    for step in table:
        inner = inner.get(step) if isinstance(inner, dict) else None
    if not isinstance(inner, dict):
        raise ClientConfigError(_ELSEWHERE)
    return inner


def _member(lines: list[str], first: int, last: int, name: str) -> tuple[int, int] | None:
    """Return the lines of one member: as many as it takes to be TOML again."""
    at = first
    while at < last:
        end = at + 1
        while (found := _says("".join(lines[at:end]))) is None and end < last:
            end += 1
        if found is None:
            return None
        if set(found) == {name}:
            return at, end
        at = end
    return None


def _rest_of(lines: list[str], name: str) -> str:
    """Return the comment and the line end behind a member's value."""
    last = lines[-1]
    content = last.rstrip("\r\n")
    ending = last[len(content) :]
    whole = "".join(lines)
    value = (_says(whole) or {}).get(name)
    before = whole[: len(whole) - len(last)]
    for at, one in enumerate(content):
        if one == "#" and (_says(before + content[:at]) or {}).get(name) == value:
            return f"  {content[at:]}{ending}"
    return ending


def _written(value: str | list[str]) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_written(one) for one in value)}]"
    # A JSON string is a TOML string, but for one control character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")


def _says(text: str) -> dict[str, Any] | None:
    try:
        return parse_toml(text)
    except RefusedInput:
        return None
