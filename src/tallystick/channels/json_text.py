# SPDX-License-Identifier: Apache-2.0
"""JSON as its author wrote it: found by path, changed in place, every other byte as it was.

Files of other programs hold numbers, spacing and members that are not ours to rewrite. Strict: a
comment, a key twice, or anything else that two parsers may read in two ways is refused.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import msgspec

from tallystick.errors import ClientConfigError
from tallystick.limits import JSON_DEPTH_MAX, JSON_NUMBER_CHARS_MAX

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_PLAIN: Final = re.compile(r"true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_INDENT: Final = re.compile(r"\n([ \t]+)\S")

_string: Final = json.JSONDecoder().raw_decode


def _written(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    # Half of a surrogate pair can only be written as an escape.
    return text if text.isascii() or not _HALF.search(text) else json.dumps(value)


_HALF: Final = re.compile("[\ud800-\udfff]")


class Place(msgspec.Struct, kw_only=True):
    """One value, and where it stands in the text."""

    start: int
    end: int
    # Of an object: each member's name, where its key begins, and its value. Of an array: items.
    members: dict[str, tuple[int, Place]] | None = None
    items: list[Place] | None = None


class JsonText:
    """A JSON text that can be changed without touching what is not meant."""

    def __init__(self, text: str) -> None:
        """Parse it, or raise `ClientConfigError`."""
        self.text = text
        self._read()

    @property
    def value(self) -> Any:
        """What the text says."""
        return json.loads(self.text)

    def find(self, *path: str | int) -> Place | None:
        """Return where a value stands, or None where there is none."""
        place: Place | None = self._root
        for step in path:
            if place is None:
                return None
            if isinstance(step, int):
                items = place.items or []
                place = items[step] if step < len(items) else None
            else:
                found = (place.members or {}).get(step)
                place = None if found is None else found[1]
        return place

    def put(self, path: tuple[str | int, ...], value: Any) -> None:
        """Set the value at a path, on one line; its parent must be an object or a list."""
        text = _written(value)
        there = self.find(*path)
        if there is not None:
            self._splice(there.start, there.end, text)
            return
        parent = self.find(*path[:-1])
        step = path[-1]
        if parent is None or (parent.members if isinstance(step, str) else parent.items) is None:
            raise ClientConfigError("has something else where an object or a list belongs")
        if isinstance(step, str):
            text = f"{_written(step)}: {text}"
            last = max((one.end for _, one in (parent.members or {}).values()), default=None)
        else:
            last = max((one.end for one in parent.items or []), default=None)
        line = self._line(len(path))
        if last is None:
            close = self._line(len(path) - 1)
            self._splice(parent.start + 1, parent.end - 1, f"{line}{text}{close}")
        else:
            self._splice(last, last, f",{line}{text}")

    def drop(self, *path: str | int) -> None:
        """Remove a member or an item, with the comma that goes with it."""
        place, parent = self.find(*path), self.find(*path[:-1])
        if place is None or parent is None:
            return
        if parent.members is not None:
            parts = [(key, one.end) for key, one in parent.members.values()]
            start = parent.members[str(path[-1])][0]
        else:
            parts = [(one.start, one.end) for one in parent.items or []]
            start = place.start
        at = parts.index((start, place.end))
        if len(parts) == 1:
            self._splice(parent.start + 1, parent.end - 1, "")
        elif at == 0:
            self._splice(start, parts[1][0], "")
        else:
            self._splice(parts[at - 1][1], place.end, "")

    def _line(self, depth: int) -> str:
        indent = self._indent()
        ending = "\r\n" if "\r\n" in self.text else "\n"
        return "" if indent is None else ending + indent * depth

    def _indent(self) -> str | None:
        """Return what one level is indented by; None where all stands on one line."""
        found = _INDENT.search(self.text)
        if found is not None:
            return found[1]
        return None if self._root.members or self._root.items else "  "

    def _splice(self, start: int, end: int, new: str) -> None:
        self.text = self.text[:start] + new + self.text[end:]
        self._read()

    def _read(self) -> None:
        try:
            self._root = self._value(self._skip(0), 0)
        except (ValueError, IndexError):
            raise ClientConfigError("is no strict JSON; nothing was changed") from None
        if self._skip(self._root.end) != len(self.text):
            raise ClientConfigError("is no strict JSON: something follows it")

    def _skip(self, at: int) -> int:
        found = _SPACE.match(self.text, at)
        assert found is not None
        return found.end()

    def _value(self, at: int, depth: int) -> Place:
        if depth > JSON_DEPTH_MAX:
            raise ClientConfigError("is nested too deep")
        first = self.text[at]
        if first == "{":
            return self._object(at, depth)
        if first == "[":
            return self._array(at, depth)
        if first == '"':
            return Place(start=at, end=_string(self.text, at)[1])
        found = _PLAIN.match(self.text, at)
        if found is None or found.end() - at > JSON_NUMBER_CHARS_MAX:
            raise ValueError
        return Place(start=at, end=found.end())

    def _object(self, at: int, depth: int) -> Place:
        members: dict[str, tuple[int, Place]] = {}
        here = self._skip(at + 1)
        if self.text[here] == "}":
            return Place(start=at, end=here + 1, members=members)
        while True:
            if self.text[here] != '"':
                raise ValueError
            name, after = _string(self.text, here)
            after = self._skip(after)
            if self.text[after] != ":":
                raise ValueError
            if name in members:
                raise ClientConfigError("has a key twice in one object: which one counts?")
            value = self._value(self._skip(after + 1), depth + 1)
            members[name] = (here, value)
            here = self._skip(value.end)
            if self.text[here] == "}":
                return Place(start=at, end=here + 1, members=members)
            if self.text[here] != ",":
                raise ValueError
            here = self._skip(here + 1)

    def _array(self, at: int, depth: int) -> Place:
        items: list[Place] = []
        here = self._skip(at + 1)
        if self.text[here] == "]":
            return Place(start=at, end=here + 1, items=items)
        while True:
            value = self._value(here, depth + 1)
            items.append(value)
            here = self._skip(value.end)
            if self.text[here] == "]":
                return Place(start=at, end=here + 1, items=items)
            if self.text[here] != ",":
                raise ValueError
            here = self._skip(here + 1)
