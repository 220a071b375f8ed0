# SPDX-License-Identifier: Apache-2.0
"""Does a value match what a rule asks of it? Pure; globs, patterns, folders, numbers.

A rule that holds something back (flag, pause, block) matches generously: names in any case, one of
several values, texts within lists, whatever can't be looked at. A rule that lets something through
(pass) matches exactly: every value, of the right kind, in the right case. So a doubt never opens.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from tallystick.channels.folder_match import within_test
from tallystick.channels.json_path import TOO_MUCH, JsonPath
from tallystick.errors import RulesError
from tallystick.limits import RULE_TEXT_CHARS_MAX, RULE_VALUES_MAX
from tallystick.model.pattern_check import pattern_fault

# Takes a text; tells whether it matches.
TextTest = Callable[[str], bool]
_CLASS: Final = re.compile(r"\[!?\]?[^\]]*\]")


def glob_test(pattern: str, *, exact: bool) -> TextTest:
    """Return a test for a glob (`*`, `?`, `[abc]`), or raise `RulesError`."""
    parts, at = [""], 0
    while at < len(pattern):
        one = pattern[at]
        if one == "*":
            parts.append("")
        elif one == "?":
            parts[-1] += "."
        elif one == "[":
            found = _CLASS.match(pattern, at)
            if found is None or len(found[0].strip("[!]")) == 0:
                raise RulesError(f"the glob {pattern!r} has a [ that is not closed, or empty")
            inner = found[0][1:-1].replace("\\", "\\\\").replace("[", "\\[").replace("^", "\\^")
            inner = "^" + inner[1:] if inner.startswith("!") else inner
            parts[-1] += f"[{inner}]"
            at = found.end() - 1
        else:
            parts[-1] += re.escape(one)
        at += 1
    # What stands between two stars is looked for once, from the left: no way is gone twice, so that
    # a text that was made for it takes no longer than another.
    regex = parts[0] + "".join(f"(?>.*?{part})" for part in parts[1:-1] if part)
    regex += f".*{parts[-1]}" if len(parts) > 1 else ""
    try:
        matches = re.compile(regex, re.DOTALL | (0 if exact else re.IGNORECASE)).fullmatch
    except re.error as fault:
        raise RulesError(f"the glob {pattern!r} can't be used: {fault}") from None
    return lambda text: matches(text) is not None


def regex_test(pattern: str) -> TextTest:
    """Return a test for a regular expression, found anywhere; or raise `RulesError`."""
    fault = pattern_fault(pattern)
    if fault is not None:
        raise RulesError(f"the pattern {pattern!r} can't be used: {fault}")
    search = re.compile(pattern).search
    return lambda text: search(text) is not None


class ArgumentTest:
    """One demand that a rule makes of the arguments."""

    def __init__(self, path: JsonPath, tests: Mapping[str, Any], *, exact: bool) -> None:
        """Take the path and the demands: exists, equals, in, glob, regex, within, above, below."""
        self._path = path
        self._exact = exact
        self._exists = tests.get("exists")
        self._equal: tuple[Any, ...] | None = None
        if "equals" in tests or "in" in tests:
            self._equal = (*tests.get("in", ()), *([tests["equals"]] if "equals" in tests else ()))
        self._texts = [_text_test(kind, tests[kind], exact) for kind in _TEXT_KINDS & tests.keys()]
        self._above, self._below = tests.get("above"), tests.get("below")

    def matches(self, arguments: object) -> bool:
        """Whether the arguments are as demanded."""
        found = self._path.find(arguments)
        if not found.is_whole:
            return not self._exact  # what was not looked at could be anything
        if self._exact and found.has_variants:
            return False
        if self._exists is False:
            # Under another spelling it may be there for us, and not for the server.
            return not found.values or (found.has_variants and not self._exact)
        if not found.values:
            return False
        all_or_any = all if self._exact else any
        return all_or_any(self._holds(value) for value in found.values)

    def _holds(self, value: Any) -> bool:
        if self._equal is not None and not self._is_among(value):
            return False
        if self._texts:
            texts = _exact_text(value) if self._exact else _texts_in(value)
            if texts is not None and not all(any(map(test, texts)) for test in self._texts):
                return False
        for bound, is_above in ((self._above, True), (self._below, False)):
            if bound is not None:
                number = _number_of(value)
                if number is None:
                    # No number where one is wanted: a server may still make one of it.
                    if self._exact:
                        return False
                elif not (number > bound if is_above else number < bound):
                    return False
        return True

    def _is_among(self, value: Any) -> bool:
        assert self._equal is not None
        if self._exact:
            return any(type(one) is type(value) and one == value for one in self._equal)
        texts = _texts_in(value)
        if texts is None:
            return True
        wanted = {spelling for one in self._equal for spelling in _spellings(one)}
        return any(_plain(text) in wanted for text in texts)


def readings_of(arguments: Any) -> tuple[Any, ...]:
    """Return the arguments in each way in which servers read them.

    Official SDKs parse an argument that is JSON in a text, where another type than text is wanted.
    """
    if not isinstance(arguments, dict):
        return (arguments,)
    parsed = {}
    for name, value in arguments.items():
        if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
            continue
        if len(value) > RULE_TEXT_CHARS_MAX:
            parsed[name] = TOO_MUCH
            continue
        try:
            parsed[name] = json.loads(value, parse_int=_whole)
        except ValueError:
            pass  # then it is a text for everybody
        except RecursionError:
            parsed[name] = TOO_MUCH  # others read deeper than we do
    return (arguments, {**arguments, **parsed}) if parsed else (arguments,)


def _whole(digits: str) -> int | float:
    try:
        return int(digits)
    except ValueError:
        return float(digits)  # more digits than Python likes, and others read them


_TEXT_KINDS: Final = frozenset(("glob", "regex", "within"))


def _text_test(kind: str, text: str, exact: bool) -> TextTest:
    if kind == "glob":
        return glob_test(text, exact=exact)
    return regex_test(text) if kind == "regex" else within_test(text, exact=exact)


def _exact_text(value: Any) -> list[str]:
    return [value] if isinstance(value, str) and len(value) <= RULE_TEXT_CHARS_MAX else []


def _texts_in(value: Any) -> list[str] | None:
    """Return the texts of a value: its own, those within, keys, and a list's words as one line.

    None where there is more than is looked at.
    """
    waiting, texts, seen = [value], [], 0
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            seen += 2 * len(one)
            waiting += (*one, *one.values())
        elif isinstance(one, list):
            seen += len(one)
            waiting += one
            if one and all(isinstance(word, str) for word in one):
                texts.append(" ".join(one))
        elif one is TOO_MUCH:
            return None
        else:
            texts.append(_shown(one))
            if "\0" in texts[-1]:
                texts.insert(0, texts[-1].partition("\0")[0])  # where it ends for some
        if seen > RULE_VALUES_MAX or (texts and len(texts[-1]) > RULE_TEXT_CHARS_MAX):
            return None
    return texts


def _spellings(value: Any) -> set[str]:
    """Return what servers take for a value that a rule names, each in its plain form."""
    if isinstance(value, bool) or value in (0, 1):
        return _YES if value else _NO
    return {_plain(_shown(value))}


# As the readers of servers know them.
_YES: Final = {"true", "1", "yes", "on", "y", "t"}
_NO: Final = {"false", "0", "no", "off", "n", "f"}


def _plain(text: str) -> str:
    """Return a text as it is compared: 5, 5.0, 05, 5e0, 0x5, 0_5 and digits of any script are 5."""
    text = text.strip().casefold()
    for read in (float, _with_prefix):
        try:
            number = read(text)
        except (ValueError, OverflowError):
            continue
        return str(int(number)) if number.is_integer() else str(number)
    return text


def _with_prefix(text: str) -> float:
    """Return what `0x`, `0o` and `0b` begin, as Python and JavaScript read it."""
    return float(int(text, 0))


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return value if isinstance(value, str) else str(value)


def _number_of(value: Any) -> float | int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value
