# SPDX-License-Identifier: Apache-2.0
"""Does a value match what a rule asks of it? Pure; globs, patterns, folders, numbers.

A rule that holds something back (flag, pause, block) matches generously: names in any case, one of
several values, texts within lists, whatever can't be looked at. A rule that lets something through
(pass) matches exactly: every value, of the right kind, in the right case. So a doubt never opens.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

from tallystick.channels.json_path import JsonPath
from tallystick.errors import RulesError
from tallystick.limits import ARGUMENTS_MAX, RULE_TEXT_CHARS_MAX
from tallystick.model.pattern_check import pattern_fault

# Takes a text; tells whether it matches.
TextTest = Callable[[str], bool]
_CLASS: Final = re.compile(r"\[!?\]?[^\]]*\]")


def glob_test(pattern: str, *, exact: bool) -> TextTest:
    """Return a test for a glob (`*`, `?`, `[abc]`), or raise `RulesError`."""
    regex, at = "", 0
    while at < len(pattern):
        one = pattern[at]
        if one == "*":
            regex += "" if regex.endswith(".*") else ".*"
        elif one == "?":
            regex += "."
        elif one == "[":
            found = _CLASS.match(pattern, at)
            if found is None or len(found[0].strip("[!]")) == 0:
                raise RulesError(f"the glob {pattern!r} has a [ that is not closed, or empty")
            inner = found[0][1:-1].replace("\\", "\\\\").replace("[", "\\[").replace("^", "\\^")
            inner = "^" + inner[1:] if inner.startswith("!") else inner
            regex += f"[{inner}]"
            at = found.end() - 1
        else:
            regex += re.escape(one)
        at += 1
    if regex.count(".*") > _STARS_MAX:
        raise RulesError(f"the glob {pattern!r} has over {_STARS_MAX} stars")
    try:
        matches = re.compile(regex, re.DOTALL | (0 if exact else re.IGNORECASE)).fullmatch
    except re.error as fault:
        raise RulesError(f"the glob {pattern!r} can't be used: {fault}") from None
    return lambda text: matches(text) is not None


# Each star multiplies the ways in which a text can fail to match.
_STARS_MAX: Final = 4


def regex_test(pattern: str) -> TextTest:
    """Return a test for a regular expression, found anywhere; or raise `RulesError`."""
    fault = pattern_fault(pattern)
    if fault is not None:
        raise RulesError(f"the pattern {pattern!r} can't be used: {fault}")
    search = re.compile(pattern).search
    return lambda text: search(text) is not None


def within_test(folder: str, *, exact: bool) -> TextTest:
    """Return a test for paths at or below a folder; `..` and `file://` are seen through."""
    if not folder.startswith("/"):
        raise RulesError("`within` names a folder by its whole path, as in /srv/data")
    wanted = posixpath.normpath(folder).lstrip("/").casefold()

    def test(text: str) -> bool:
        seen = [text] if exact else [text, unquote(text)]
        return any(_is_within(one, wanted, exact=exact) for one in seen)

    return test


def _is_within(text: str, wanted: str, *, exact: bool) -> bool:
    if text.lower().startswith("file://"):
        text = unquote(text[len("file://") :])
    text = text.strip() if not exact else text
    if not text.startswith("/"):
        # Where a relative path ends up depends on a folder that we don't know.
        return not exact and (".." in text or text.startswith("~"))
    if exact and (".." in text.split("/") or "\\" in text or "\0" in text):
        return False
    normal = posixpath.normpath(text.replace("\\", "/")).lstrip("/").casefold()
    return wanted in ("", ".") or normal == wanted or normal.startswith(f"{wanted}/")


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
            return not self._exact
        if self._exact and found.has_variants:
            return False
        if self._exists is False:
            return not found.values
        if not found.values:
            return False
        all_or_any = all if self._exact else any
        return all_or_any(self._holds(value) for value in found.values)

    def _holds(self, value: Any) -> bool:
        if self._equal is not None and not self._is_among(value):
            return False
        for test in self._texts:
            texts = _exact_text(value) if self._exact else _texts_in(value)
            if not any(test(text) for text in texts):
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
        wanted = {_shown(one).casefold() for one in self._equal}
        return any(text.strip().casefold() in wanted for text in _texts_in(value))


_TEXT_KINDS: Final = frozenset(("glob", "regex", "within"))


def _text_test(kind: str, text: str, exact: bool) -> TextTest:
    if kind == "glob":
        return glob_test(text, exact=exact)
    return regex_test(text) if kind == "regex" else within_test(text, exact=exact)


def _exact_text(value: Any) -> list[str]:
    return [value] if isinstance(value, str) and len(value) <= RULE_TEXT_CHARS_MAX else []


def _texts_in(value: Any) -> Iterator[str]:
    """Yield the texts of a value: its own, those within, and a list's words as one line."""
    waiting, seen = [value], 0
    while waiting and seen <= ARGUMENTS_MAX:
        one = waiting.pop()
        seen += 1
        if isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one[:ARGUMENTS_MAX]
            if one and all(isinstance(word, str) for word in one[:ARGUMENTS_MAX]):
                yield " ".join(one[:ARGUMENTS_MAX])[:RULE_TEXT_CHARS_MAX]
        elif isinstance(one, str) and len(one) > RULE_TEXT_CHARS_MAX:
            # What is too long to be searched whole is searched at both ends.
            yield one[:RULE_TEXT_CHARS_MAX]
            yield one[-RULE_TEXT_CHARS_MAX:]
        else:
            yield _shown(one)


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return value if isinstance(value, str) else str(value)


def _number_of(value: Any) -> float | int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value
