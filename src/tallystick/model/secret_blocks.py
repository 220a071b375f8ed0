# SPDX-License-Identifier: Apache-2.0
"""Secrets that span lines or brackets: what a pattern can't follow to its end, a walk can.

    password: |          a block of YAML: all lines that are indented below the key
      ...
    "token": {...}       an object or a list behind a telling name, anywhere in a text

Each walk goes over the text once and never back. What is not closed is masked to its end.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from tallystick.model.secret_patterns import KEYS

_EndOf = Callable[[str, re.Match[str]], tuple[int, int]]

_MASK: Final = "[redacted:key-value]"
_NAME: Final = rf"(?i:{KEYS})(?:s\b|[_-][A-Za-z0-9_-]{{0,24}}|[0-9]{{0,3}})[\"']?"
_BLOCK: Final = re.compile(
    rf"{_NAME}[ \t]{{0,8}}:[ \t]{{1,8}}[|>][0-9+-]{{0,3}}[ \t]{{0,8}}(?:#[^\r\n]*)?\r?\n"
)
_COMPOSITE: Final = re.compile(
    rf"{_NAME}\s{{0,16}}+(?::=|=>|[:=])\s{{0,16}}+(?=[\[{{])(?!\[redacted:)"
)
_TOKEN: Final = re.compile(r"\\.|[\"'\[\]{}]", re.DOTALL)
_KEY_START: Final = re.compile(r"[ \t]*(?:-[ \t]+)*")


def without_blocks(text: str) -> str:
    """Return the text without the blocks, objects and lists behind telling names."""
    if "\n" in text and ("|" in text or ">" in text):
        text = _without(text, _BLOCK, _block_end, keeps="\n")
    if "{" in text or "[" in text:
        text = _without(text, _COMPOSITE, _composite_end, keeps="")
    return text


def _without(text: str, head: re.Pattern[str], end_of: _EndOf, *, keeps: str) -> str:
    parts: list[str] = []
    at = 0
    while (found := head.search(text, at)) is not None:
        start, end = end_of(text, found)
        if end <= start:
            parts.append(text[at : found.end()])
            at = found.end()
            continue
        parts += [
            text[at:start],
            _MASK if keeps else f'"{_MASK}"',
            keeps if end < len(text) else "",
        ]
        at = end
    return "".join((*parts, text[at:])) if at else text


def _block_end(text: str, found: re.Match[str]) -> tuple[int, int]:
    """Return from where to where a block goes: its `|`, and all lines below the key."""
    line = text.rfind("\n", 0, found.start()) + 1
    key = _KEY_START.match(text, line)
    indent = (key.end() if key is not None else line) - line
    at = found.end()
    while at < len(text):
        stop = text.find("\n", at)
        stop = len(text) if stop < 0 else stop + 1
        body = text[at:stop]
        if body.strip() and len(body) - len(body.lstrip(" \t")) <= indent:
            break
        at = stop
    start = text.find(":", found.start()) + 2
    return (start, at) if at > found.end() else (start, start)


def _composite_end(text: str, found: re.Match[str]) -> tuple[int, int]:
    """Return from where to where an object or a list goes; what is in quotes opens nothing."""
    depth, quote = 0, ""
    for token in _TOKEN.finditer(text, found.end()):
        one = token.group()
        if len(one) > 1:
            continue
        if quote:
            quote = "" if one == quote else quote
        elif one in "\"'":
            quote = one
        elif one in "[{":
            depth += 1
        else:
            depth -= 1
            if depth == 0:
                # What is empty hides nothing.
                is_empty = token.start() == found.end() + 1
                return found.end(), found.end() if is_empty else token.end()
    return found.end(), len(text)
