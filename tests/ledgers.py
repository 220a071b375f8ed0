# SPDX-License-Identifier: Apache-2.0
"""Ledgers under test: a folder with key and store, a clock that the test sets, and frames."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from tallystick.daemon.attested import AttestedFrame
from tallystick.daemon.drafter import Drafter
from tallystick.daemon.drafting import DraftSettings
from tallystick.daemon.key_file import FileKeySource, make_keys
from tallystick.daemon.key_source import KeySource
from tallystick.daemon.ledger import Ledger
from tallystick.daemon.opening import open_ledger
from tallystick.daemon.peer import Attestation
from tallystick.daemon.principal_names import PrincipalNames
from tallystick.daemon.publishing import archived
from tallystick.model.action import PeerCredential
from tallystick.model.extension import Peer
from tallystick.model.frame import Frame, Tool
from tallystick.model.redact import Redactor
from tallystick.verify.report import Report
from tallystick.verify.source import Source
from tallystick.verify.trust import Trust, trust_of
from tallystick.verify.verification import verify_input

ISSUER = "did:agent-receipts-daemon:local"
METHOD = f"{ISSUER}#k1"
# 2026-03-10 12:00:00 UTC.
NOON_MS = 1_773_144_000_000
DAY_MS = 24 * 60 * 60 * 1000

PEER = Attestation(
    credential=PeerCredential(exe_path="/usr/bin/agent", gid=7, pid=4, platform="linux", uid=7),
    peer=Peer(exe_status="ok", ppid=1, start_time=9),
)


class _Killed(BaseException):
    """What ends a daemon between two steps."""


class Home:
    """Where a ledger lives: opened as often as a test likes, by a clock that the test sets."""

    def __init__(self, folder: Path, *, with_key: bool = True) -> None:
        self.folder = folder
        self.db = folder / "receipts.db"
        self.key = folder / "signing.key"
        self.public = folder / "signing.key.pub"
        self.heads = folder / "signing.key.heads"
        self.now_ms = NOON_MS
        if with_key:
            make_keys(self.key, self.public)

    def open(self, *, chain_id: str | None = None, keys: KeySource | None = None) -> Ledger:
        """Open the ledger as the daemon does."""
        names = PrincipalNames("linux", lookup=lambda uid: f"user{uid}")
        return open_ledger(
            db=self.db,
            keys=keys or FileKeySource(self.key, METHOD),
            public_path=self.public,
            heads_path=self.heads,
            issuer_id=ISSUER,
            drafting=Drafter(DraftSettings(issuer_id=ISSUER, redactor=Redactor()), names),
            clock=lambda: self.now_ms * 1_000_000,
            chain_id=chain_id,
        )

    def frame(self, **members: Any) -> AttestedFrame:
        """Return a frame that arrives now."""
        return AttestedFrame(frame=frame(**members), peer=PEER, received_ns=self.now_ms * 1_000_000)

    def die_at(self, step: str) -> None:
        """Leave what a daemon leaves that dies at a step of a rotation."""

        def reached(now: str) -> None:
            if now == step:
                raise _Killed

        ledger = self.open()
        ledger.commit([self.frame(), self.frame(agent_id="a")])
        with suppress(_Killed):
            ledger.rotate(reached)
        ledger._store.close()
        ledger._heads.close()

    def bodies(self) -> list[str]:
        """Return all receipts as they are stored, in the order in which they were written."""
        with closing(sqlite3.connect(f"file:{self.db}?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT receipt_json FROM receipts ORDER BY rowid")
            return [str(one) for (one,) in rows]

    def rows(self) -> list[tuple[Any, ...]]:
        """Return all rows of the store with all of their columns."""
        with closing(sqlite3.connect(f"file:{self.db}?mode=ro", uri=True)) as connection:
            return connection.execute("SELECT * FROM receipts ORDER BY rowid").fetchall()

    def receipts(self) -> list[dict[str, Any]]:
        """Return all receipts as values."""
        return [json.loads(one) for one in self.bodies()]

    def verify(self) -> Report:
        """Judge all chains of the store under the published key and its predecessors."""
        lines = "".join(f"{one}\n" for one in self.bodies()).encode()
        keys = [self.public.read_text(), *archived(self.public)]
        # A store that rotated often has more keys than one call takes loose.
        trust = Trust(anyone=tuple(trust_of([one]).anyone[0] for one in keys))
        return verify_input([Source(lines, name="store")], trust)


def frame(**members: Any) -> Frame:
    """Return a frame of one tool call, with more members where they are given."""
    given: dict[str, Any] = {
        "v": "1",
        "ts_emit": "2026-03-10T11:59:59.123Z",
        "session_id": "session-1",
        "channel": "mcp",
        "tool": Tool(name="Read"),
        "decision": "allowed",
        **members,
    }
    return Frame(**given)


def chain_of(receipt: dict[str, Any]) -> dict[str, Any]:
    """Return the link of a receipt."""
    found: dict[str, Any] = receipt["credentialSubject"]["chain"]
    return found


def type_of(receipt: dict[str, Any]) -> str:
    """Return the action type of a receipt."""
    return str(receipt["credentialSubject"]["action"]["type"])
