# SPDX-License-Identifier: Apache-2.0
"""Bundles: a manifest with all that is needed to check it, in one file that has one form.

A `.tally` file is a tar archive (ustar) that any tar unpacks: regular files only, mode 0644, no
owner, no times, two blocks of zeros at the end and nothing after them. Every byte of a header
follows from the member's name and size, so a reader compares headers instead of believing them:
there are no links, no gaps, no second spelling, and no compression that could blow up. A path of
over 100 bytes stands in a pax header of one record before its member.

Members come in one order, each at most once: what is in `NAMED`, then `artifacts/…` by the bytes of
their paths. The reader takes a stream from its beginning to its end, and holds a chunk of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

import msgspec

from tallystick.errors import BundleError
from tallystick.limits import (
    ARTIFACT_BYTES_MAX,
    ARTIFACT_CHUNK_BYTES,
    ARTIFACT_LIST_BYTES_MAX,
    ARTIFACT_PATH_BYTES_MAX,
    ARTIFACTS_MAX,
    BUNDLE_RECEIPTS_BYTES_MAX,
    INTENT_BYTES_MAX,
    LOG_PROOF_BYTES_MAX,
    MANIFEST_BYTES_MAX,
    NOTE_BYTES_MAX,
    SIGNATURES_FILE_BYTES_MAX,
)
from tallystick.model.artifact import ARTIFACTS, path_fault

MANIFEST: Final = "evidence/manifest.json"
DIGEST: Final = "evidence/manifest.sha256"
SIGNATURES: Final = "evidence/signatures.json"
ARTIFACT_LIST: Final = "evidence/artifacts.jsonl"
SUMS: Final = "evidence/SHA256SUMS"
INTENT: Final = "evidence/intent.json"
POLICY: Final = "evidence/policy.json"
RECEIPTS: Final = "evidence/receipts.jsonl"
LOG_CHECKPOINT: Final = "evidence/log/checkpoint"
LOG_PROMISE: Final = "evidence/log/promise"
LOG_PROOF: Final = "evidence/log/proof"
LOG_SHEET: Final = "evidence/log/sheet"
OF_A_LOG: Final = (LOG_CHECKPOINT, LOG_PROMISE, LOG_PROOF, LOG_SHEET)

# All members but the artefacts, in their order, each with the most bytes that it may have.
NAMED: Final = {
    MANIFEST: MANIFEST_BYTES_MAX + 1,
    DIGEST: 65,
    SIGNATURES: SIGNATURES_FILE_BYTES_MAX,
    ARTIFACT_LIST: ARTIFACT_LIST_BYTES_MAX,
    SUMS: ARTIFACT_LIST_BYTES_MAX,
    INTENT: INTENT_BYTES_MAX,
    POLICY: INTENT_BYTES_MAX,
    RECEIPTS: BUNDLE_RECEIPTS_BYTES_MAX,
    LOG_CHECKPOINT: NOTE_BYTES_MAX,
    LOG_PROMISE: LOG_PROOF_BYTES_MAX,
    LOG_PROOF: LOG_PROOF_BYTES_MAX,
    LOG_SHEET: NOTE_BYTES_MAX,
}
# Where each stands; artefacts come after all of them.
_PLACES: Final = {name: place for place, name in enumerate(NAMED)}

BLOCK: Final = 512
END: Final = bytes(2 * BLOCK)
_NAME_BYTES: Final = 100
_PAX_NAME: Final = b"pax"
_PAX_BYTES_MAX: Final = ARTIFACT_PATH_BYTES_MAX + 16

Read: TypeAlias = Callable[[int], bytes]


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One file in a bundle, by name and size."""

    name: str
    size: int

    @property
    def is_artifact(self) -> bool:
        """Whether it is one of the files that the run left."""
        return self.name.startswith(ARTIFACTS)


def member_header(name: str, size: int) -> bytes:
    """Return all that stands before the bytes of a member."""
    raw = name.encode()
    if len(raw) <= _NAME_BYTES:
        return _header(raw, size, b"0")
    record = _pax_record(raw)
    return (
        _header(_PAX_NAME, len(record), b"x")
        + record
        + padding(len(record))
        + _header(raw[:_NAME_BYTES], size, b"0")
    )


def padding(size: int) -> bytes:
    """Return the zeros that fill the last block of a member."""
    return bytes(-size % BLOCK)


def named_members(contents: Mapping[str, bytes]) -> Iterator[bytes]:
    """Yield all members but the artefacts, each in whole, in their order."""
    for name in NAMED:
        if name in contents:
            content = contents[name]
            yield member_header(name, len(content)) + content + padding(len(content))


class BundleReader:
    """Takes a bundle apart, member by member; raises `BundleError` for what has another form."""

    def __init__(self, read: Read) -> None:
        """Read from where the stream is; `read` gives fewer bytes than asked for at its end only.

        `exactly` makes such a function of one that gives what it has.
        """
        self._read = read
        self._left = 0
        self._padding = 0
        self._place = -1
        self._last = b""
        self._count = 0
        self.name = ""

    def next(self) -> Member | None:
        """Return the next member, or None at the end; what is left of the one before is skipped."""
        for _ in self.chunks():
            pass
        block = self._read(BLOCK)
        if self._place < 0 and block != _ZEROS and not block.startswith(BEGINNINGS):
            raise BundleError("is no bundle")
        if len(block) != BLOCK:
            raise BundleError("is cut off", self.name)
        if block == _ZEROS:
            if self._read(BLOCK + 1) != _ZEROS:
                raise BundleError("does not end with two blocks of zeros and nothing after them")
            return None
        raw, size, header = self._names(block)
        if header != _header(raw[:_NAME_BYTES], size, b"0"):
            raise BundleError("has a header that is not in its one form", _shown(raw))
        name = self._admit(raw, size)
        self.name, self._left, self._padding = name, size, -size % BLOCK
        return Member(name=name, size=size)

    def chunks(self) -> Iterator[bytes]:
        """Yield what is left of the member."""
        while self._left:
            chunk = self._read(min(self._left, ARTIFACT_CHUNK_BYTES))
            if not chunk:
                raise BundleError("is cut off", self.name)
            self._left -= len(chunk)
            yield chunk
        if self._padding:
            if self._read(self._padding) != bytes(self._padding):
                raise BundleError("is not filled up with zeros", self.name)
            self._padding = 0

    def content(self) -> bytes:
        """Return what is left of the member at once: for those in `NAMED`, which are bounded."""
        return b"".join(self.chunks())

    def _block(self) -> bytes:
        block = self._read(BLOCK)
        if len(block) != BLOCK:
            raise BundleError("is cut off", self.name)
        return block

    def _names(self, block: bytes) -> tuple[bytes, int, bytes]:
        """Return path, size and header of a member; a long path stands before it."""
        if block[156:157] != b"x":
            return block[:_NAME_BYTES].rstrip(b"\0"), _size(block), block
        size = _size(block)
        if size > _PAX_BYTES_MAX or block != _header(_PAX_NAME, size, b"x"):
            raise BundleError("has a pax header that is not in its one form", self.name)
        record = self._read(size)
        path = record.partition(b" path=")[2][:-1]
        if len(path) <= _NAME_BYTES or record != _pax_record(path):
            raise BundleError("has a pax record that is not one long path", self.name)
        if self._read(-size % BLOCK) != padding(size):
            raise BundleError("has a pax record that is not filled up with zeros", self.name)
        block = self._block()
        return path, _size(block), block

    def _admit(self, raw: bytes, size: int) -> str:
        """Return the name of a member that may stand here."""
        try:
            name = raw.decode()
        except UnicodeDecodeError:
            raise BundleError("has a name that is not UTF-8", _shown(raw)) from None
        place = _PLACES.get(name)
        if place is not None:
            if place <= self._place:
                raise BundleError("comes twice, or out of order", name)
            if size > NAMED[name]:
                raise BundleError(f"is over {NAMED[name]} bytes", name)
            self._place = place
            return name
        if not name.startswith(ARTIFACTS):
            raise BundleError("is no member of a bundle", _shown(raw))
        fault = path_fault(name)
        if fault is not None:
            raise BundleError(f"has a path that {fault}", _shown(raw))
        if raw <= self._last:
            raise BundleError("comes twice, or out of order", name)
        if self._count == ARTIFACTS_MAX:
            raise BundleError(f"is one artefact more than {ARTIFACTS_MAX}", name)
        self._place, self._last = len(_PLACES), raw
        self._count += 1
        return name


def exactly(read: Read) -> Read:
    """Return a function that gives as many bytes as are asked for, while there are that many."""

    def full(size: int) -> bytes:
        data = read(size)
        if len(data) == size or not data:
            return data
        parts = [data]
        missing = size - len(data)
        while missing and (data := read(missing)):
            parts.append(data)
            missing -= len(data)
        return b"".join(parts)

    return full


_ZEROS: Final = bytes(BLOCK)
# How a bundle begins that has a first member, sound or not; what begins otherwise is none.
BEGINNINGS: Final = (b"evidence/", b"artifacts/", _PAX_NAME + b"\0")
# Between name and size, between size and checksum, and from the kind to the end of the block.
_OWNER: Final = b"0000644\0" + b"0000000\0" * 2
_TIME: Final = b"00000000000\0"
_BLANK_SUM: Final = b" " * 8
_REST: Final = bytes(100) + b"ustar\x0000" + bytes(64 + 8 + 8 + 155 + 12)
_FIXED_SUM: Final = sum(_OWNER + _TIME + _BLANK_SUM + _REST)


def _header(name: bytes, size: int, kind: bytes) -> bytes:
    digits = b"%011o\0" % size
    checksum = _FIXED_SUM + sum(name) + sum(digits) + kind[0]
    filled = name.ljust(_NAME_BYTES, b"\0")
    return b"".join((filled, _OWNER, digits, _TIME, b"%06o\0 " % checksum, kind, _REST))


def _size(block: bytes) -> int:
    """Return the size that a header states; what is no octal number fails the comparison later."""
    digits = block[124:135]
    if not digits.isdigit() or b"8" in digits or b"9" in digits:
        return 0
    return min(int(digits, 8), ARTIFACT_BYTES_MAX)


def _pax_record(path: bytes) -> bytes:
    """Return `<length> path=<path>\\n`, where the length counts its own digits."""
    rest = b" path=" + path + b"\n"
    size = len(rest) + len(str(len(rest)))
    size = len(rest) + len(str(size))
    return str(size).encode() + rest


def _shown(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
