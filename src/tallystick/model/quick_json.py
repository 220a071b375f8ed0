# SPDX-License-Identifier: Apache-2.0
"""JSON by the interpreter's own C code, without the package around it.

`json` imports regular expressions, which cost a process that sends one frame a fifth of its time.
Where an interpreter has no such code, or another, the package is used: the answers are the same.
"""

from __future__ import annotations

import sys
from _collections_abc import Callable

_Pairs = list[tuple[str, object]]
# What keeps C code from overflowing its stack on deep input. Some packages raise it (an EVM has a
# thousand frames of its own): there nesting is counted first.
_FRAMES_USUAL = 1000


def make_encode() -> Callable[[object], str]:
    """Return what writes a value without blanks, in Unicode, and raises for what is no JSON."""
    try:
        from _json import encode_basestring, make_encoder

        def refuse(value: object) -> object:
            raise TypeError(f"{type(value).__name__} is no JSON")

        def encode(value: object) -> str:
            if sys.getrecursionlimit() > _FRAMES_USUAL:
                _bound_value(value)
            markers: dict[int, object] = {}
            writer = make_encoder(
                markers, refuse, encode_basestring, None, ":", ",", False, False, False
            )
            return "".join(writer(value, 0))

        if encode({"a": [1, "é", None]}) == '{"a":[1,"é",null]}':
            return encode
    except (ImportError, TypeError, AttributeError):
        pass
    import json

    return json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def make_decode(
    members: Callable[[_Pairs], dict[str, object]] | None = None,
    constant: Callable[[str], object] | None = None,
) -> Callable[[str], object]:
    """Return what reads one value, or raises ValueError; `members` makes objects of pairs.

    `constant` makes what NaN and the infinities are; without it, they are refused.
    """

    def refused(text: str) -> object:
        raise ValueError(f"{text} is no JSON number")

    try:
        from _json import make_scanner

        class Manner:
            strict = True
            object_hook = None
            object_pairs_hook = staticmethod(members) if members is not None else None
            array_hook = None
            parse_float = float
            parse_int = int
            parse_constant = staticmethod(constant or refused)
            memo: dict[str, str] = {}  # noqa: RUF012  # as the C code wants it

        scan = make_scanner(Manner())  # type: ignore[arg-type]  # it asks for members only

        def decode(text: str) -> object:
            bare = text.strip(" \t\r\n")
            if sys.getrecursionlimit() > _FRAMES_USUAL:
                _bound(bare)
            try:
                value, end = scan(bare, 0)
            except (StopIteration, SystemError):
                # Python 3.11 has no error to raise where nobody has imported `json`.
                raise ValueError("this is no JSON") from None
            if end != len(bare):
                raise ValueError("something follows the JSON value")
            return value

        if decode(' {"a": [1, 2.5, "é"]}\n') == {"a": [1, 2.5, "é"]}:
            return decode
    except (ImportError, TypeError, AttributeError, ValueError):
        pass
    import json

    return json.JSONDecoder(object_pairs_hook=members, parse_constant=constant or refused).decode


def _bound(text: str) -> None:
    from tallystick.crypto.strict import bound_structure  # only where it is needed
    from tallystick.errors import MalformedInput

    try:
        bound_structure(text.encode("utf-8", "surrogatepass"), len(text) + 1)
    except MalformedInput as fault:
        raise ValueError(fault.message) from None


def _bound_value(value: object) -> None:
    level: list[object] = [value]
    for _ in range(_FRAMES_USUAL // 2):
        below: dict[int, object] = {}
        for one in level:
            inner = one.values() if isinstance(one, dict) else one
            if isinstance(one, (dict, list, tuple)):
                below |= {id(member): member for member in inner}  # type: ignore[attr-defined]
        if not below:
            return
        level = list(below.values())
    raise RecursionError("nested too deep, or within itself")
