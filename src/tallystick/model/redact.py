# SPDX-License-Identifier: Apache-2.0
"""Takes secrets out of every text that a receipt carries in clear, before it is signed.

What is hashed or sealed stays as it was: only what anybody can read is changed. `[redacted:NAME]`
stands where a secret stood. Each pattern is looked for only where a text holds one of its hints,
and none of them goes back over more than `PATTERN_STEPS_MAX` characters (see `pattern_check`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any, Final

import msgspec

from tallystick.crypto.strict_toml import parse_toml
from tallystick.errors import PatternError
from tallystick.limits import (
    CLEAN_TEXT_CHARS_MAX,
    CLEAN_TEXTS_MAX,
    JSON_DEPTH_MAX,
    PATTERN_FILE_BYTES_MAX,
    PATTERNS_MAX,
    REDACTED_CHARS_MAX,
)
from tallystick.model.frame import Frame
from tallystick.model.pattern_check import pattern_fault
from tallystick.model.secret_blocks import without_blocks
from tallystick.model.secret_patterns import BUILT_IN, KEYS, Pattern
from tallystick.model.unveil import is_veiled, unveiled

_KEY_NAME: Final = re.compile(
    r"(?is).{0,80}" + KEYS + r"(?:[_-].{0,80}|[0-9]{0,3})|authorization|(?:set-)?cookie|auth"
)
# Fields of a frame that a receipt carries in clear.
_FIELDS: Final = (
    "action_type",
    "agent_id",
    "agent_type",
    "capture_method",
    "channel",
    "correlation_id",
    "error",
    "idempotency_key",
    "issuer_model",
    "issuer_name",
    "model",
    "operator_id",
    "operator_name",
    "prompt_preview",
    "session_id",
    "target_resource",
    "target_system",
)
_TEXTS_OF: Final = attrgetter(*_FIELDS, "tool.name", "tool.server")


class Redactor:
    """All patterns, compiled. Threads may share it.

    It keeps short texts in which nothing was found, as names are: most frames hold the same again.
    """

    def __init__(self, custom: Iterable[Pattern] = ()) -> None:
        self._patterns = [
            (one.name, re.compile(one.regex), one.hints) for one in (*BUILT_IN, *custom)
        ]
        hints = [one.hints for one in (*BUILT_IN, *custom)]
        self._hints = None if not all(hints) else tuple(sorted({h for some in hints for h in some}))
        # Only of what holds no hint at all: no text is kept that could hold a secret.
        self._clean: set[str | None] = {None}

    def text(self, text: str) -> str:
        """Return a text without its secrets; what is over the limit is cut off."""
        if len(text) > REDACTED_CHARS_MAX:
            text = text[:REDACTED_CHARS_MAX]
        clean = self._text(text)
        if is_veiled(clean):
            # A secret shows to whoever unescapes it: then that is what is shown, without it.
            plain = unveiled(clean)[:REDACTED_CHARS_MAX]
            if (again := self._text(plain)) != plain:
                return again
        return clean

    def _text(self, text: str) -> str:
        """Return a text without the secrets that stand in it as they are."""
        if not self._may_hold(text):
            return text
        if text[:1] in ("{", "["):
            text = self._json(text)
        text = without_blocks(text)
        lower = _folded(text)
        for name, pattern, hints in self._patterns:
            if not hints or any(hint in lower for hint in hints):
                text = pattern.sub(lambda found, name=name: _masked(found, name), text)  # type: ignore[misc]  # mypy sees no default of a lambda
        return text

    def value(self, value: Any) -> Any:
        """Return a JSON value without the secrets in its texts and under its telling keys."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(one) for one in value]
        if isinstance(value, dict):
            return {
                self.text(key): "[redacted:key-value]"
                if _is_secret(key, inner)
                else self.value(inner)
                for key, inner in value.items()
            }
        return value

    def frame(self, frame: Frame) -> Frame:
        """Return the frame without secrets in what a receipt carries in clear.

        `input` and `output` stay: they are hashed and sealed, never shown.
        """
        changed: dict[str, Any] = {}
        if not self._are_clean(frame):
            for name in _FIELDS:
                text = getattr(frame, name)
                if text not in self._clean and (clean := self.text(text)) != text:
                    changed[name] = clean
            if (tool := self._struct(frame.tool)) is not frame.tool:
                changed["tool"] = tool
            if frame.rule is not None and (rule := self._struct(frame.rule)) is not frame.rule:
                changed["rule"] = rule
        if frame.usage is not None and (usage := self.value(frame.usage)) != frame.usage:
            changed["usage"] = usage
        return msgspec.structs.replace(frame, **changed) if changed else frame

    def _are_clean(self, frame: Frame) -> bool:
        """Whether no text of a frame, beside those in its `usage`, holds a hint."""
        if self._hints is None:
            return False
        texts: Sequence[str | None] = _TEXTS_OF(frame)
        if frame.rule is not None:
            texts = [*texts, *msgspec.structs.astuple(frame.rule)]
        clean = self._clean
        if clean.issuperset(texts):
            return True
        fresh = [one for one in texts if one is not None and one not in clean]
        # A line feed is in no hint: none can begin in one text and end in the next.
        joined = "\n".join(fresh)
        if self._may_hold(joined) or any(map(is_veiled, fresh)):
            return False
        if len(clean) > CLEAN_TEXTS_MAX:
            clean = self._clean = {None}
        clean.update(one for one in fresh if len(one) <= CLEAN_TEXT_CHARS_MAX)
        return True

    def _may_hold(self, text: str) -> bool:
        if self._hints is None:
            return True
        lower = _folded(text)
        for hint in self._hints:  # noqa: SIM110  # a generator would take twice the time
            if hint in lower:
                return True
        return False

    def _struct(self, part: msgspec.Struct) -> Any:
        changed = {}
        for name in part.__struct_fields__:
            text = getattr(part, name)
            if text is not None and (clean := self.text(text)) != text:
                changed[name] = clean
        return msgspec.structs.replace(part, **changed) if changed else part

    def _json(self, text: str) -> str:
        """Return JSON in a text with the values of telling keys masked; other text as it is."""
        # Not what the interpreter's stack has room for: each process is to say the same.
        if _is_deep(text):
            return "[redacted:too-deep]"
        try:
            value = json.loads(text)
        except ValueError:
            return text
        clean = self.value(value)
        return text if clean == value else json.dumps(clean, ensure_ascii=False)


def read_patterns(data: bytes) -> tuple[Pattern, ...]:
    """Return the patterns of a file, or raise `PatternError`.

    TOML, one table for each: `[[pattern]]` with `name` and `regex`, and nothing else.
    """
    if len(data) > PATTERN_FILE_BYTES_MAX:
        raise PatternError(f"{len(data)} bytes, over the limit of {PATTERN_FILE_BYTES_MAX}")
    try:
        content = parse_toml(data.decode("utf-8"))
    except ValueError as fault:  # also of what is no text
        raise PatternError(f"no TOML: {fault}") from None
    tables = content.pop("pattern", None)
    if content:
        raise PatternError(f"unknown key {min(content)[:80]!r}: patterns are [[pattern]]")
    if not isinstance(tables, list) or not tables:
        raise PatternError("no [[pattern]] in it")
    if len(tables) > PATTERNS_MAX:
        raise PatternError(f"{len(tables)} patterns, over the limit of {PATTERNS_MAX}")
    return tuple(_read_pattern(table, at) for at, table in enumerate(tables, 1))


# One that does not end goes as far as the text: each is looked at once.
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_BRACKET: Final = re.compile(r"[\[\]{}]")

# Letters that patterns take for these ASCII ones where they look past case.
_FOLDS: Final = {0x130: "i", 0x131: "i", 0x17F: "s", 0x212A: "k"}


def _folded(text: str) -> str:
    """Return a text in lower case, so that each text that a pattern takes shows its hint."""
    return text.lower() if text.isascii() else text.translate(_FOLDS).lower()


_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")


def _read_pattern(table: object, at: int) -> Pattern:
    if not isinstance(table, dict) or table.keys() != {"name", "regex"}:
        raise PatternError(f"pattern {at}: it has `name` and `regex`, and nothing else")
    name, regex = table["name"], table["regex"]
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise PatternError(f"pattern {at}: its name is lower-case letters, digits and hyphens")
    if not isinstance(regex, str):
        raise PatternError(f"pattern {at} ({name}): its regex is not text")
    fault = pattern_fault(regex)
    if fault is not None:
        raise PatternError(f"pattern {at} ({name}): {fault}")
    return Pattern(name=name, regex=regex)


def _masked(found: re.Match[str], name: str) -> str:
    """Return the match with its groups masked, or a mask for all of it where it has none."""
    whole = found.group()
    mask = f"[redacted:{name}]"
    spans = [found.span(at) for at in range(1, found.re.groups + 1)]
    spans = [span for span in spans if span != (-1, -1)]
    if not spans:
        return mask
    if any(whole[a - found.start() : b - found.start()].startswith("[redacted:") for a, b in spans):
        return whole
    start = found.start()
    parts, at = [], 0
    for begin, end in spans:
        parts += [whole[at : begin - start], mask]
        at = end - start
    return "".join((*parts, whole[at:]))


def _is_deep(text: str) -> bool:
    """Whether what may be JSON is nested deeper than any that we read."""
    if text.count("[") + text.count("{") <= JSON_DEPTH_MAX:
        return False
    depth = 0
    for bracket in _BRACKET.findall(_QUOTED.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > JSON_DEPTH_MAX:
            return True
    return False


def _is_secret(key: str, value: object) -> bool:
    return (
        value not in (None, "", True, False, [], {})
        and not (isinstance(value, str) and value.startswith("[redacted:"))
        # Counts of tokens are what `usage` is for.
        and not (isinstance(value, (int, float)) and "token" in key.lower())
        and _KEY_NAME.fullmatch(key) is not None
    )
