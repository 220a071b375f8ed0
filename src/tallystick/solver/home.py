# SPDX-License-Identifier: Apache-2.0
"""Where a solver keeps its state: one directory, readable by its owner alone.

runs/<run id>/       one run: intent, policy, states, receipts, artefacts, evidence, bundle
intents/<intent id>  which runs an intent has had, and the lock that lets it run once
manifests.jsonl      the order of this solver's manifests: each names the one before it
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Final

from tallystick.durable.file import (
    FilePath,
    lock,
    make_directory,
    open_directory,
    reason_of,
    shown,
    unlock,
)
from tallystick.errors import DurableError, RunBusyError, RunError, WalLockedError

_ID: Final = re.compile(r"[0-9a-f]{64}")
_MODE: Final = 0o700
# Between tries for a lock: who only asks whether it is held has it for a moment.
_PAUSES_S: Final = (0.005, 0.02, 0.08)


class SolverHome:
    """The directories of one solver."""

    def __init__(self, path: FilePath) -> None:
        """Take a path; nothing is made or opened yet."""
        self.path = os.path.abspath(os.fspath(path))

    def make(self) -> None:
        """Make what is missing."""
        for path in (self.path, self.runs, self.intents, self.queue):
            make_directory(path, _MODE)

    @property
    def runs(self) -> str:
        """The directory of all runs."""
        return os.path.join(self.path, "runs")

    @property
    def intents(self) -> str:
        """The directory of what is known of intents."""
        return os.path.join(self.path, "intents")

    @property
    def queue(self) -> str:
        """The directory of intents that wait."""
        return os.path.join(self.path, "queue")

    @property
    def manifests(self) -> str:
        """The file that holds the order of manifests."""
        return os.path.join(self.path, "manifests.jsonl")

    def run(self, run_id: str) -> str:
        """Return the directory of a run."""
        if not _ID.fullmatch(run_id):
            raise RunError("a run's id is 64 hexadecimal digits")
        return os.path.join(self.runs, run_id)

    def run_ids(self) -> list[str]:
        """Return the ids of all runs that have a directory, in no order that means anything."""
        try:
            return sorted(name for name in os.listdir(self.runs) if _ID.fullmatch(name))
        except FileNotFoundError:
            return []
        except OSError as fault:
            raise RunError(f"{shown(self.runs)} can't be read: {reason_of(fault)}") from fault

    def attempts(self, intent_id: str) -> str:
        """Return the file that lists the runs of an intent."""
        return os.path.join(self.intents, f"{intent_id}.jsonl")

    def find(self, beginning: str) -> str:
        """Return the one run whose id begins like this."""
        if not re.fullmatch(r"[0-9a-f]{4,64}", beginning):
            raise RunError("a run is named by 4 to 64 hexadecimal digits of its id")
        found = [name for name in self.run_ids() if name.startswith(beginning)]
        if len(found) != 1:
            raise RunError("no run has that id" if not found else "several runs begin like this")
        return found[0]


def run_id_of(intent_id: str, attempt: int) -> str:
    """Return the id of an intent's n-th run: the same on every machine."""
    return sha256(f"run:{intent_id}:{attempt}".encode("ascii")).hexdigest()


@contextmanager
def held(path: FilePath, what: str, *, wait: bool = False) -> Iterator[None]:
    """Hold the lock file at `path`, or raise `RunBusyError`; the kernel frees it after a crash."""
    try:
        directory, name = open_directory(path)
    except (OSError, ValueError) as fault:
        raise DurableError(f"{shown(path)} can't be locked: {reason_of(fault)}") from fault
    try:
        descriptor = (_waited if wait else _locked)(name, directory, what)
        try:
            yield
        finally:
            unlock(descriptor)
    finally:
        os.close(directory)


def is_held(path: FilePath) -> bool:
    """Whether a process holds this lock just now; nothing is made or written to find out.

    It is asked for a share, so that those who ask do not take each other for a holder.
    """
    import fcntl

    try:
        directory, name = open_directory(path)
    except (OSError, ValueError):
        return False
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    except OSError:
        return False
    finally:
        os.close(directory)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        unlock(descriptor)


def _locked(name: str, directory: int, what: str) -> int:
    for pause_s in (*_PAUSES_S, None):
        try:
            return lock(name, directory, what)
        except WalLockedError as fault:
            if pause_s is None:
                raise RunBusyError(str(fault)) from None
        except OSError as fault:
            raise DurableError(f"{what} can't be locked: {reason_of(fault)}") from fault
        time.sleep(pause_s)
    raise AssertionError("the last try raises")


def _waited(name: str, directory: int, what: str) -> int:
    import fcntl

    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(name, flags, 0o600, dir_fd=directory)
    except OSError as fault:
        raise DurableError(f"{what} can't be locked: {reason_of(fault)}") from fault
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
