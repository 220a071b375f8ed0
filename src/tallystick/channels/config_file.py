# SPDX-License-Identifier: Apache-2.0
"""The configuration of another program, changed with care: diff, backup, one step, a way back.

The file is read once, and written only if it still holds what was read: these programs write it
too. Links are followed; permission bits are kept, and the owner where root makes the change.
"""

from __future__ import annotations

import difflib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from tallystick.durable.file import Owner, read_bounded, shown, write_new, write_replace
from tallystick.errors import ClientConfigError, LimitError, PathTakenError, UnreadableError
from tallystick.limits import CLIENT_CONFIG_BYTES_MAX

_BACKUP = ".before-tally"
_NEW_MODE = 0o600


class ConfigChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a file holds, and what it is to hold; None where there is no file."""

    path: str
    before: bytes | None
    after: bytes | None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return self.before == self.after

    def diff(self) -> Iterator[str]:
        """Yield the lines of a unified diff."""
        before, after = (
            [] if one is None else one.decode("utf-8", "replace").splitlines()
            for one in (self.before, self.after)
        )
        yield from difflib.unified_diff(before, after, self.path, self.path, lineterm="", n=1)

    def apply(self, *, keeps: bool = True) -> str | None:
        """Write it, after a backup; return where the backup is, or None without one."""
        if self.is_empty:
            return None
        target = os.path.realpath(self.path)
        # Before the backup as well: a link may lead to somebody else's file by now, who is to get
        # none of what was read.
        self._check_same(target)
        mode, owner, backup = _NEW_MODE, None, None
        if self.before is not None:
            found = os.stat(target)
            mode, owner = stat.S_IMODE(found.st_mode), _owner_of(found)
            backup = _back_up(target, self.before, mode, owner) if keeps else None
        self._check_same(target)
        if self.after is None:
            os.unlink(target)
        else:
            os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
            write_replace(target, self.after, mode, owner=owner)
        return backup

    def _check_same(self, target: str) -> None:
        if read_config(target) != self.before:
            raise ClientConfigError(f"{shown(self.path)} was changed meanwhile; try again")


def read_config(path: str) -> bytes | None:
    """Return what a configuration file holds; None where there is none."""
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            raise ClientConfigError(f"{shown(path)} is no file")  # a pipe would be waited for
        return read_bounded(path, CLIENT_CONFIG_BYTES_MAX)
    except LimitError as fault:
        raise ClientConfigError(str(fault)) from None
    except UnreadableError:
        if os.path.lexists(path):
            raise
        return None


def text_of(data: bytes) -> str:
    """Return the content of a configuration file as text, or raise `ClientConfigError`."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise ClientConfigError("is not UTF-8; nothing was changed") from None


@contextmanager
def about(path: str) -> Iterator[None]:
    """Have refusals say which file they are about."""
    try:
        yield
    except ClientConfigError as fault:
        raise ClientConfigError(f"{shown(path)} {fault}") from None


def backups(path: str) -> list[str]:
    """Return the backups of a file, the newest first."""
    target = os.path.realpath(path)
    found = []
    number = 1
    while os.path.exists(name := _backup_name(target, number)):
        found.append(name)
        number += 1
    return found[::-1]


def _owner_of(found: os.stat_result) -> Owner | None:
    """Return whom a file belongs to, where one of ours would not and we can give it away."""
    owner = (found.st_uid, found.st_gid)
    return owner if os.geteuid() == 0 and owner != (0, os.getegid()) else None


def _back_up(target: str, before: bytes, mode: int, owner: Owner | None) -> str:
    number = len(backups(target)) + 1
    while True:
        name = _backup_name(target, number)
        try:
            write_new(name, before, mode, owner=owner)
        except PathTakenError:
            number += 1
        else:
            return name


def _backup_name(target: str, number: int) -> str:
    return target + _BACKUP + (f"-{number}" if number > 1 else "")
