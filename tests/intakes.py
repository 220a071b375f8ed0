# SPDX-License-Identifier: Apache-2.0
"""Intakes under test: one over a real ledger, which can be made to stumble."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from struct import unpack_from
from typing import Any

from tests.ledgers import Home
from tests.portions import TERMS

from tallystick.daemon.attested import ArrivedFrame, StatedFrame
from tallystick.daemon.connection import Account, Arrived, Connection
from tallystick.daemon.drafted import Drafted
from tallystick.daemon.drafting_ahead import DraftingAhead
from tallystick.daemon.intake import Intake
from tallystick.daemon.ledger import Ledger
from tallystick.daemon.losses import Losses
from tallystick.daemon.peer import attest
from tallystick.daemon.principal_names import PrincipalNames
from tallystick.daemon.stand_in import StandIn
from tallystick.daemon.tallies import Tallies
from tallystick.errors import FrameRefused, SignerUnavailable, StoreError
from tallystick.model.frame import Acknowledgement, Refusal


class Stumbling:
    """A ledger that meets a bug, or trouble, with frames of certain sessions."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.unavailable = 0
        self.is_far = False  # whether it says that somebody else signs
        self.batches: list[int] = []
        self.holds: threading.Event | None = None
        self.held_in = "write"  # which of its steps waits for that
        self.threads: list[str] = []  # of whom each transaction was written by
        self.stated: set[str] = set()  # of what another process has stated

    @property
    def losses(self) -> Losses:
        return self._ledger.losses

    def commit(self, frames: Sequence[ArrivedFrame], /) -> list[Acknowledgement | Refusal]:
        self._meet(frames)
        self._wait_in("commit")
        return self._ledger.commit(frames)

    def draft(self, frames: Sequence[ArrivedFrame], /) -> Drafted:
        self._wait_in("draft")
        self._meet(frames)
        if self.held_in == "commit":
            raise RuntimeError("a stumble")
        return self._ledger.draft(frames)

    def write(self, drafted: Drafted, /) -> list[Acknowledgement | Refusal]:
        self.threads.append(threading.current_thread().name)
        self._wait_in("write")
        return self._ledger.write(drafted)

    def stop(self, error: BaseException, /) -> None:
        self._ledger.stop(error)

    @property
    def signs_here(self) -> bool:
        return not self.is_far and self._ledger.signs_here

    def _wait_in(self, step: str) -> None:
        if self.holds is not None and self.held_in == step:
            assert self.holds.wait(20)

    def _meet(self, frames: Sequence[ArrivedFrame]) -> None:
        sessions = {
            one.statement.session_id if isinstance(one, StatedFrame) else one.frame.session_id
            for one in frames
        }
        self.stated |= {one.statement.receipt_id for one in frames if isinstance(one, StatedFrame)}
        self.batches.append(len(frames))
        if "bug" in sessions:
            raise RuntimeError("on purpose")
        if "disk" in sessions:
            raise StoreError("the disk is gone")
        if "signer" in sessions and self.unavailable:
            self.unavailable -= 1
            raise SignerUnavailable("on purpose")


class House:
    """An intake over a ledger, and one connection whose answers can be read."""

    def __init__(self, folder: Path, *, stands_in: bool = False) -> None:
        self.home = Home(folder)
        self.ledger = self.home.open()
        self.stumbling = Stumbling(self.ledger)
        names = PrincipalNames("linux", lookup=lambda uid: f"user{uid}")
        names.principal(os.getuid())
        self.ahead = DraftingAhead(TERMS, names)
        self.tallies = Tallies()
        self.finished: list[Arrived] = []
        self.stopped: list[Exception] = []
        self.done = threading.Semaphore(0)
        here, self.there = socket.socketpair()
        here.setblocking(False)
        self.there.settimeout(20)
        self.connection = Connection(here, attest(here), Account(0), 0)
        self.turns: list[str] = []
        self.stand_in = StandIn(self._turn, lambda: None) if stands_in else None
        self.is_prompt = True
        self.intake = Intake(
            self.stumbling,
            tallies=self.tallies,
            finished=self._finish,
            on_stop=self.stopped.append,
            ahead=self.ahead,
            stand_in=self.stand_in,
            is_prompt=lambda _: self.is_prompt,
        )

    def _turn(self) -> None:
        self.turns.append(threading.current_thread().name)
        time.sleep(0.001)

    def submit(self, *bodies: bytes, fault: FrameRefused | None = None) -> None:
        """Let bodies arrive together."""
        now_ns = self.home.now_ms * 1_000_000
        self.intake.submit(Arrived(self.connection, list(bodies), now_ns, fault))

    def _finish(self, arrived: Arrived) -> None:
        self.finished.append(arrived)
        self.done.release()

    def send(self, *bodies: bytes, fault: FrameRefused | None = None) -> None:
        """Let bodies arrive together, and wait until they are done."""
        self.submit(*bodies, fault=fault)
        assert self.done.acquire(timeout=20)

    def answers(self) -> list[dict[str, Any]]:
        """Return the answers that have come so far."""
        self.there.setblocking(False)
        try:
            data = self.there.recv(1 << 20)
        except BlockingIOError:
            return []
        found, start = [], 0
        while start < len(data):
            (size,) = unpack_from(">I", data, start)
            found.append(json.loads(data[start + 4 : start + 4 + size]))
            start += 4 + size
        return found

    def close(self) -> None:
        self.intake.close()
        if self.stand_in is not None:
            self.stand_in.close()
        self.ahead.close()
        self.ledger.close()
        self.connection.close()
        self.there.close()


@contextmanager
def opened_house(folder: Path) -> Iterator[House]:
    """Yield a house in a folder that is ours alone, as a daemon's has to be."""
    folder.chmod(0o700)
    house = House(folder)
    try:
        yield house
    finally:
        house.close()
