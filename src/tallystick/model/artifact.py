# SPDX-License-Identifier: Apache-2.0
"""Artefacts: the files that a run left, as a manifest names them, and the tree over them.

An entry is the RFC 8785 form of `{bytes, contentType, path, sha256}`, at most 1 KiB. Entries stand
in bytewise order of their paths, and each is a leaf of an RFC 6962 tree: so one artefact can be
shown alone, and that a path is *not* there, too.

A path is UTF-8 in normal form C, relative, with `/` between its names. Whatever two systems could
read differently is refused and not repaired: control characters, `\\`, `.` and `..`, empty names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from hashlib import sha256
from typing import Annotated, Final
from unicodedata import category, is_normalized

import msgspec

from tallystick.crypto.merkle import Edge, leaf_hash
from tallystick.errors import ManifestError
from tallystick.limits import (
    ARTIFACT_BYTES_MAX,
    ARTIFACT_DEPTH_MAX,
    ARTIFACT_ENTRY_BYTES_MAX,
    ARTIFACT_NAME_BYTES_MAX,
    ARTIFACT_PATH_BYTES_MAX,
    ARTIFACTS_MAX,
)
from tallystick.model.shapes import matcher

HEX_PATTERN: Final = r"[0-9a-f]{64}"
ARTIFACTS: Final = "artifacts/"

_MEDIA_TYPE_PATTERN: Final = r"[a-z0-9][a-z0-9.+-]{0,40}/[a-z0-9][a-z0-9.+-]{0,60}"
_UNKNOWN_TYPE: Final = "application/octet-stream"
# As the source has them; a name says little, so a longer list would only seem to know more.
_TYPES: Final = {
    "csv": "text/csv",
    "html": "text/html",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "log": "text/plain",
    "md": "text/markdown",
    "txt": "text/plain",
    "xml": "application/xml",
    "yaml": "application/yaml",
    "yml": "application/yaml",
}
_OUTCOME_PREFIX: Final = b"\2"


class ArtifactEntry(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False
):
    """One file: its path from the run's directory on, what it hashes to, its size and its type."""

    size: Annotated[int, msgspec.Meta(ge=0, le=ARTIFACT_BYTES_MAX)] = msgspec.field(name="bytes")
    content_type: str = msgspec.field(name="contentType")
    path: str
    sha256: str


# The members stand in the order in which RFC 8785 sorts them.
_ENCODE: Final = msgspec.json.Encoder().encode
_DECODE: Final = msgspec.json.Decoder(ArtifactEntry).decode


def encode_entry(entry: ArtifactEntry) -> bytes:
    """Return the canonical bytes of an entry."""
    return _ENCODE(entry)


def parse_entry(data: bytes, where: str = "") -> ArtifactEntry:
    """Return the entry that canonical bytes spell, or refuse them."""
    try:
        entry = _DECODE(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise ManifestError("is not an entry of an artefact", where) from None
    fault = entry_fault(entry)
    if fault is not None:
        raise ManifestError(fault, where)
    if _ENCODE(entry) != data:  # a key twice, a blank, another spelling
        raise ManifestError("is not the canonical form of an entry", where)
    return entry


def parse_entries(lines: bytes, where: str = "") -> Iterator[ArtifactEntry]:
    """Yield the entries of a list, one on each line; order and number are not looked at."""
    if lines and not lines.endswith(b"\n"):
        raise ManifestError("does not end with a newline", where)
    if lines.count(b"\n") > ARTIFACTS_MAX:
        raise ManifestError(f"lists over {ARTIFACTS_MAX} artefacts", where)
    for number, line in enumerate(lines.split(b"\n")[:-1], 1):
        yield parse_entry(line, f"{where}:{number}")


def entry_fault(entry: ArtifactEntry) -> str | None:
    """Say what is wrong with the values of an entry, or None."""
    if not entry.path.startswith(ARTIFACTS):
        return f"has a path that is not below {ARTIFACTS}"
    fault = path_fault(entry.path)
    if fault is not None:
        return f"has a path that {fault}"
    if matcher(HEX_PATTERN)(entry.sha256) is None:
        return "has a sha256 that is not 64 lower-case hex digits"
    if matcher(_MEDIA_TYPE_PATTERN)(entry.content_type) is None:
        return "has a contentType that is no media type"
    if len(_ENCODE(entry)) > ARTIFACT_ENTRY_BYTES_MAX:
        return f"is over {ARTIFACT_ENTRY_BYTES_MAX} bytes"
    return None


def path_fault(path: str) -> str | None:
    """Say why no artefact may have this path, or None."""
    if not (path.isascii() and path.isprintable()):
        try:
            path.encode()
        except UnicodeEncodeError:
            return "is not UTF-8"
        if any(category(character) in _UNSEEN for character in path):
            return "holds control characters"
        if not is_normalized("NFC", path):
            return "is not in Unicode normal form C"
    if len(path.encode()) > ARTIFACT_PATH_BYTES_MAX:
        return f"is over {ARTIFACT_PATH_BYTES_MAX} bytes"
    if "\\" in path:
        return "holds a backslash"
    names = path.split("/")
    if len(names) > ARTIFACT_DEPTH_MAX:
        return f"is deeper than {ARTIFACT_DEPTH_MAX} levels"
    for name in names:
        if name in _NO_NAMES:
            return "is not relative and plain"
        if len(name) > ARTIFACT_NAME_BYTES_MAX // 4 and (
            len(name.encode()) > ARTIFACT_NAME_BYTES_MAX
        ):
            return f"has a name over {ARTIFACT_NAME_BYTES_MAX} bytes"
    return None


_NO_NAMES: Final = frozenset({"", ".", ".."})
# Controls, line and paragraph separators: they forge lines wherever a path is printed.
_UNSEEN: Final = frozenset({"Cc", "Zl", "Zp"})


def media_type(path: str) -> str:
    """Return the media type that a path's ending stands for."""
    name = path.rpartition("/")[2]
    stem, _, ending = name.rpartition(".")
    return _TYPES.get(ending.lower(), _UNKNOWN_TYPE) if stem else _UNKNOWN_TYPE


def path_key(entry: ArtifactEntry) -> bytes:
    """Return what entries are sorted by."""
    return entry.path.encode()


def entry_leaf(entry: ArtifactEntry) -> bytes:
    """Return the leaf of an entry."""
    return leaf_hash(_ENCODE(entry))


def artifacts_root(entries: Iterable[ArtifactEntry]) -> bytes:
    """Return the RFC 6962 root over entries, which stand in the order of their paths."""
    edge = Edge()
    edge.extend(map(entry_leaf, entries))
    return edge.root()


def out_of_order(entries: Iterable[ArtifactEntry]) -> str | None:
    """Return the first path that does not come after the one before it, or None."""
    before = b""
    for entry in entries:
        key = path_key(entry)
        if key <= before:
            return entry.path
        before = key
    return None


def file_and_folder(entries: Collection[ArtifactEntry]) -> str | None:
    """Return a path that is a file and a folder of others: no folder holds both. Or None."""
    folders: set[str] = set()
    for entry in entries:
        folder = entry.path.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    return min(folders & {entry.path for entry in entries}, default=None)


def outcome_hash(count: int, root: bytes) -> bytes:
    """Return what a post on chain commits to: the number of the artefacts and their tree's root.

    A path in a tree authenticates neither size nor index, so the count is hashed with the root.
    """
    assert 0 <= count < 1 << 64 and len(root) == 32
    return sha256(_OUTCOME_PREFIX + count.to_bytes(8, "big") + root).digest()


def sums_line(entry: ArtifactEntry) -> bytes:
    """Return the line of a `SHA256SUMS` file; our paths need no escapes there."""
    return f"{entry.sha256}  {entry.path}\n".encode()
