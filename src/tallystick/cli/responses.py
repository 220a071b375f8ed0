# SPDX-License-Identifier: Apache-2.0
"""A folder of response bodies as a mapping from receipt id to bytes, read one at a time.

The body of `urn:receipt:<uuid>` is the file `<uuid>.json`. Ids come from receipts, so from
strangers: only a plain uuid ever becomes a file name, and no symbolic link is followed.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from typing import Final

from tallystick.durable.file import read_descriptor, shown
from tallystick.errors import LimitError, UnreadableError
from tallystick.limits import RESPONSE_BYTES_MAX

_PREFIX: Final = "urn:receipt:"
_SUFFIX: Final = ".json"
_UUID: Final = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

# Not blocking: opening a FIFO would otherwise wait for its writer before we can refuse it.
_OPEN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class ResponseFolder(Mapping[str, bytes]):
    """The bodies in one folder. Other files are listed by name: they are reported as unused."""

    def __init__(self, folder: str) -> None:
        """List the folder, once."""
        try:
            names = sorted(os.listdir(folder))
        except OSError as fault:
            raise UnreadableError(f"{shown(folder)} could not be read: {fault.strerror}") from None
        self._folder = folder
        self._ids = frozenset(one for one in map(_id_of, names) if one is not None)
        self._strangers = [_printable(name) for name in names if _id_of(name) is None]

    def __getitem__(self, receipt_id: str) -> bytes:
        """Return one body, or raise what says why it could not be read."""
        if receipt_id not in self._ids:
            raise KeyError(receipt_id)
        path = os.path.join(self._folder, receipt_id.removeprefix(_PREFIX) + _SUFFIX)
        try:
            descriptor = os.open(path, _OPEN)
            try:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise UnreadableError(f"{shown(path)} is not a regular file")
                return read_descriptor(descriptor, RESPONSE_BYTES_MAX)
            finally:
                os.close(descriptor)
        except LimitError as fault:
            raise LimitError(f"{shown(path)} {fault}") from None
        except OSError as fault:
            why = "is a symbolic link" if os.path.islink(path) else fault.strerror
            raise UnreadableError(f"{shown(path)} could not be read: {why}") from None

    def __contains__(self, receipt_id: object) -> bool:
        return receipt_id in self._ids

    def __iter__(self) -> Iterator[str]:
        yield from sorted(self._ids)
        yield from self._strangers

    def __len__(self) -> int:
        return len(self._ids) + len(self._strangers)


def _id_of(name: str) -> str | None:
    uuid = name.removesuffix(_SUFFIX)
    return _PREFIX + uuid if name.endswith(_SUFFIX) and _UUID.fullmatch(uuid) else None


def _printable(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
