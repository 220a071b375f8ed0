# SPDX-License-Identifier: Apache-2.0
"""What tests of a collector's log share: a real store, receipts for it, and a clock to move."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final

from tallystick.collector.log_keys import LogKeys, create_log_keys, load_log_keys
from tallystick.model.submission import Submission
from tallystick.store.sqlite_log import SqliteLog

ORIGIN: Final = "collector.example/log1"
START_MS: Final = 1_700_000_000_000


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        """Return the time in milliseconds."""
        return self.now_ms

    def passes(self, seconds: float) -> None:
        """Let time pass, also backwards."""
        self.now_ms += int(seconds * 1000)


def submission(name: str, tenant: str = "anonymous", sequence: int = 1) -> Submission:
    """Return a receipt as a store takes it."""
    body = b'{"id":"urn:receipt:%b"}' % name.encode()
    receipt_id = f"urn:receipt:{name}"
    return Submission(
        tenant=tenant,
        receipt_id=receipt_id,
        issuer="did:agent:a",
        chain_id="chain:a",
        sequence=sequence,
        action_type="filesystem.file.read",
        terminal=None,
        receipt_hash="sha256:" + sha256(body).hexdigest(),
        digest=sha256(body).digest(),
        id_hash=sha256(receipt_id.encode()).digest(),
        body=body,
    )


def submissions(count: int, name: str = "a") -> list[Submission]:
    """Return so many different receipts."""
    return [submission(f"{name}{number}", sequence=number) for number in range(1, count + 1)]


@contextmanager
def opened(folder: Path, clock: Clock | None = None) -> Iterator[SqliteLog]:
    """Open the store of a folder, and close it again."""
    with closing(SqliteLog(folder / "collector.db", clock_ms=clock or Clock())) as store:
        yield store


def keys_in(folder: Path) -> LogKeys:
    """Return the keys of a folder, made when they are first asked for."""
    if (folder / "log").is_dir():
        return load_log_keys(folder / "log")
    return create_log_keys(folder / "log", ORIGIN, max_delay_ms=5000)
