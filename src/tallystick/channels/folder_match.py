# SPDX-License-Identifier: Apache-2.0
"""Is a text a path at or below a folder? As generously, or as exactly, as a rule demands.

Generously: whatever a server may take for such a path, and whatever leads nobody here knows where.
Exactly: a whole path that is written as it is meant, in the case of the folder.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import unquote

from tallystick.errors import RulesError

# A URL of a file, however many slashes it has; what stands between the second and the third is a
# host, which servers pass over.
_FILE: Final = re.compile(r"file:(?://[^/]*)?(/.*)?", re.IGNORECASE | re.DOTALL)
# Links that lead to what only the process itself knows.
_ELSEWHERE: Final = re.compile(
    r"/?(?:proc/[^/]+/(?:task/[^/]+/)?(?:root|cwd|fd|map_files)|dev/fd)(?:/|$)", re.IGNORECASE
)
# Readers of URLs pass over these, wherever they stand.
_UNSEEN: Final = str.maketrans("", "", "\t\r\n")
# Escapes within escapes.
_UNQUOTED_MAX: Final = 3


def within_test(folder: str, *, exact: bool) -> Callable[[str], bool]:
    """Return a test for paths at or below a folder; `..` and `file:` are seen through."""
    if not folder.startswith("/"):
        raise RulesError("`within` names a folder by its whole path, as in /srv/data")
    wanted = posixpath.normpath(folder).lstrip("/")
    if exact:
        return lambda text: all(_is_surely_in(one, wanted) for one in _unquoted(text))
    folded = _folded(wanted)
    return lambda text: any(_may_be_in(one, folded) for one in _generously(text))


def _is_surely_in(text: str, wanted: str) -> bool:
    if text != text.translate(_UNSEEN):
        return False  # what is two names here is `..` for readers of URLs
    if text.lower().startswith("file://"):
        text = unquote(text[len("file://") :])
    if not text.startswith("/") or ".." in text.split("/") or "\\" in text or "\0" in text:
        return False
    return _is_below(posixpath.normpath(text).lstrip("/"), wanted)


def _may_be_in(text: str, wanted: str) -> bool:
    if not text.startswith("/"):
        # Where a relative path ends up depends on a folder that we don't know.
        return ".." in text or text[:1] in ("~", "$")
    if _climbs(text):
        return True
    normal = posixpath.normpath(text).lstrip("/")
    return _ELSEWHERE.match(normal) is not None or _is_below(_folded(normal), wanted)


def _climbs(text: str) -> bool:
    """Whether a name stands before a `..`: it may be a link, and then that leads elsewhere.

    `/var/run/../etc` is `/var/etc` by its words, and `/etc` where `/var/run` is a link to `/run`.
    """
    names = iter(text.split("/"))
    return any(name not in ("", ".", "..") for name in names) and ".." in names


def _is_below(normal: str, wanted: str) -> bool:
    return wanted in ("", ".") or normal == wanted or normal.startswith(f"{wanted}/")


def _generously(text: str) -> Iterator[str]:
    for one in _unquoted(text.translate(_UNSEEN)):
        plain = one.strip().replace("\\", "/")
        found = _FILE.fullmatch(plain)
        if found is not None:
            plain = found[1] or ""
            yield re.split("[?#]", plain, maxsplit=1)[0]
        yield plain
        if "\0" in plain:
            yield plain.partition("\0")[0]


def _unquoted(text: str) -> Iterator[str]:
    """Yield a text, and what it says to those who take `%2e` for a dot, once or more often."""
    yield text
    for _ in range(_UNQUOTED_MAX):
        before, text = text, unquote(text)
        if text == before:
            return
        yield text


def _folded(path: str) -> str:
    """Return a path as file systems compare names that look past case and composition."""
    return path.casefold() if path.isascii() else unicodedata.normalize("NFKC", path).casefold()
