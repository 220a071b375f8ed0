# SPDX-License-Identifier: Apache-2.0
"""The directory of one run: what lies where, and how it is made, kept and withheld."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from tallystick.durable.file import make_directory, reason_of, sync_directory, write_replace
from tallystick.durable.tree import sync_filesystem
from tallystick.errors import DurableError, RunError
from tallystick.limits import ARTIFACT_DEPTH_MAX

ARTIFACTS: Final = "artifacts"
INTENT: Final = "intent.json"
POLICY: Final = "policy.json"
RECEIPTS: Final = "receipts.jsonl"
BUNDLE: Final = "bundle.tally"
LOCK: Final = "lock"
_WITHHELD: Final = "withheld"


class Workspace:
    """One run's directory."""

    def __init__(self, run_dir: str) -> None:
        self.path = run_dir
        self.artifacts = os.path.join(run_dir, ARTIFACTS)
        self.bundle = os.path.join(run_dir, BUNDLE)
        self.lock = os.path.join(run_dir, LOCK)

    def make(self) -> None:
        """Make the directory with its empty folder of artefacts."""
        if not make_directory(self.path, 0o700):
            raise RunError("this run has a directory already")
        make_directory(self.artifacts, 0o700)

    def keep(self, intent: bytes, policy: bytes) -> None:
        """Keep what was asked, byte by byte, and what it is decided by."""
        write_replace(os.path.join(self.path, INTENT), intent, 0o600)
        write_replace(os.path.join(self.path, POLICY), policy, 0o600)

    def artifact_bytes(self) -> int:
        """Return what all regular files that the runner left have together.

        What can't be looked at, or lies deeper than artefacts may, is refused by name when it is
        hashed. A program may have nested folders deeper than this one may call itself.
        """
        total, folders = 0, [(self.artifacts, 1)]
        while folders:
            folder, depth = folders.pop()
            for entry in _entries(folder):
                try:
                    if entry.is_file(follow_symlinks=False):
                        total += entry.stat(follow_symlinks=False).st_size
                    elif depth < ARTIFACT_DEPTH_MAX and entry.is_dir(follow_symlinks=False):
                        folders.append((entry.path, depth + 1))
                except OSError:
                    continue
        return total

    def settle(self) -> None:
        """Return when all that the runner left is on stable storage."""
        sync_filesystem(self.path)  # artefacts lie in it, and may be closed to us

    def withhold(self) -> None:
        """Put aside artefacts that no manifest can take in; an empty folder takes their place."""
        aside, number = os.path.join(self.path, _WITHHELD), 1
        while os.path.lexists(aside):  # put aside before, and something came after it
            number += 1
            aside = os.path.join(self.path, f"{_WITHHELD}-{number}")
        try:
            os.rename(self.artifacts, aside)
            sync_directory(aside)
        except OSError as fault:
            raise DurableError(f"artefacts can't be put aside: {reason_of(fault)}") from fault
        make_directory(self.artifacts, 0o700)


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    """Yield what lies in a folder, one by one: a program may have left millions of files."""
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError:
        return
