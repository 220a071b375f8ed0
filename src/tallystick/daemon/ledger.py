# SPDX-License-Identifier: Apache-2.0
"""The single writer: frames go in, and their receipts are on stable storage when it returns.

One call of `commit` is one transaction, whatever it holds: receipts of all chains, what was lost,
and at midnight the end of yesterday's chains. One lock puts callers in order.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence

import msgspec

from tallystick.daemon.attested import AttestedFrame
from tallystick.daemon.batch import Author, Draft, Status, Tip
from tallystick.daemon.chain_names import agents_of, day_of, is_of, unused
from tallystick.daemon.losses import Losses, told
from tallystick.daemon.turn import Standing, Turn
from tallystick.errors import FrameRefused, ReceiptError, RefusedInput, StoreStoppedError
from tallystick.limits import CHAIN_NAMES_KEPT_MAX
from tallystick.model.chain import Head
from tallystick.model.frame import Acknowledgement, Refusal
from tallystick.store.ledger import LedgerStore

Answer = Acknowledgement | Refusal

Drafting = Callable[[AttestedFrame], Draft]


class LedgerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger can say of itself."""

    # The open root and where it stands; None between two roots.
    root: str | None
    sequence: int
    hash: str | None
    receipts: int
    commits: int
    last_issued_ms: int


class Ledger:
    """Owns the heads of all chains. Any thread may call; each call is done as a whole."""

    def __init__(
        self,
        *,
        store: LedgerStore,
        author: Author,
        draft: Drafting,
        clock: Callable[[], int],
        chain_id: str | None = None,
        standing: Standing | None = None,
        tip_of: Callable[[str], Tip] | None = None,
    ) -> None:
        """Go on from `standing`; `chain_id` fixes the root instead of a new one for each day."""
        self.losses = Losses()
        self._store = store
        self._author = author
        self._draft = draft
        self._clock = clock
        self._fixed = chain_id
        self._lock = threading.Lock()
        self._is_closed = False
        self._commits = 0
        self._standing = standing or Standing()
        self._load = tip_of or (lambda name: Tip(head=Head(chain_id=name)))
        # Of the open chains, those that were used last.
        self._tips: OrderedDict[str, Tip] = OrderedDict()

    def commit(self, frames: Sequence[AttestedFrame]) -> list[Answer]:
        """Return, in order, what became of each frame, when all of it is on stable storage."""
        with self._lock:
            self._check_open()
            now_ms = frames[0].received_ns // 1_000_000 if frames else self._now_ms()
            turn = self._turn()
            self._roll_over(turn, now_ms)
            answers = [self._answer(turn, one) for one in frames]
            self._write(turn, now_ms, with_losses=bool(turn.batch.rows))
            return answers

    def tick(self) -> None:
        """Do what is due without a frame: the end of a day, and losses that nothing carries."""
        with self._lock:
            self._check_open()
            now_ms = self._now_ms()
            turn = self._turn()
            self._roll_over(turn, now_ms)
            self._write(turn, now_ms, with_losses=True)

    def close(self, status: Status = "interrupted") -> None:
        """Close all chains in one transaction, the root first; again does nothing."""
        with self._lock:
            if self._is_closed:
                return
            now_ms = self._now_ms()
            turn = self._turn()
            taken = self._add_losses(turn, now_ms)
            turn.end_all(status, self._agents(), now_ms)
            self._append(turn, taken)
            self._is_closed = True

    def status(self) -> LedgerStatus:
        """Return how things stand; waits for nobody."""
        standing = self._standing
        head = standing.root.head if standing.root is not None else None
        return LedgerStatus(
            root=None if head is None else head.chain_id,
            sequence=0 if head is None else head.sequence,
            hash=None if head is None else head.hash,
            receipts=len(self._store),
            commits=self._commits,
            last_issued_ms=standing.last_ms,
        )

    def _check_open(self) -> None:
        if self._is_closed:
            raise StoreStoppedError("the ledger is closed")

    def _now_ms(self) -> int:
        return self._clock() // 1_000_000

    def _turn(self) -> Turn:
        return Turn(self._author, self._standing, self._tip_of, self._new_root)

    def _answer(self, turn: Turn, one: AttestedFrame) -> Answer:
        try:
            return turn.add(one, self._draft(one))
        except FrameRefused as fault:
            refusal = Refusal(code=fault.code, message=str(fault))
        except ReceiptError as fault:
            # Its words may quote the frame.
            where = fault.where or "the receipt"
            refusal = Refusal(code="FRAME_VALUE", message=f"makes no receipt: {where}")
        except RefusedInput:
            refusal = Refusal(code="FRAME_VALUE", message="makes no receipt")
        moment_ms = one.received_ns // 1_000_000
        self.losses.note(refusal.code, moment_ms)
        if one.frame.drop_count:
            self.losses.note(CLAIMED, moment_ms, one.frame.drop_count)
        return refusal

    def _roll_over(self, turn: Turn, now_ms: int) -> None:
        """Close yesterday's chains; the next receipt begins today's."""
        root = self._standing.root
        if self._fixed is not None or root is None:
            return
        day = day_of(max(now_ms, self._standing.last_ms))
        if not is_of(root.head.chain_id, day):
            turn.end_all("complete", self._agents(), now_ms)

    def _new_root(self) -> str:
        day = day_of(max(self._now_ms(), self._standing.last_ms))
        return unused(self._fixed or day, self._store.has_chain)

    def _agents(self) -> Iterator[Tip]:
        """Yield the open chains of the root's agents."""
        root = self._standing.root
        if root is not None:
            for tail in self._store.tails_below(agents_of(root.head.chain_id)):
                if not tail.is_terminal:
                    yield self._tip_of(tail.chain_id)

    def _tip_of(self, chain_id: str) -> Tip:
        known = self._tips.get(chain_id)
        return known if known is not None else self._load(chain_id)

    def _add_losses(self, turn: Turn, now_ms: int) -> tuple[dict[str, int], int, int] | None:
        taken = self.losses.take()
        if taken is not None:
            turn.note_losses(*told(taken), now_ms)
        return taken

    def _write(self, turn: Turn, now_ms: int, *, with_losses: bool) -> None:
        self._append(turn, self._add_losses(turn, now_ms) if with_losses else None)

    def _append(self, turn: Turn, taken: tuple[dict[str, int], int, int] | None) -> None:
        """Make a turn durable, and only then its heads ours."""
        batch = turn.batch
        if not batch.rows:
            return
        try:
            self._store.append(batch.rows)
        except BaseException:
            self.losses.give_back(taken)
            raise
        self._commits += 1
        self._standing = turn.standing
        for chain_id, tip in batch.tips.items():
            if tip.is_terminal:
                self._tips.pop(chain_id, None)
            else:
                self._tips[chain_id] = tip
                self._tips.move_to_end(chain_id)
        while len(self._tips) > CHAIN_NAMES_KEPT_MAX:
            self._tips.popitem(last=False)


# The reason under which losses go that an emitter told of in a frame that was itself refused.
CLAIMED = "CLAIMED_BY_EMITTER"
