# SPDX-License-Identifier: Apache-2.0
"""The single writer: frames go in, and their receipts are on stable storage when it returns.

One call of `commit` is one transaction, whatever it holds: receipts of all chains, what was lost,
and at midnight the end of yesterday's chains. One lock puts callers in order.

`draft` and `write` are its two halves, for who drafts the next transaction while one is written.
What is drafted builds on what is not yet stored: where a `write` fails, nothing more is written.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tallystick.daemon.answering import answers_of
from tallystick.daemon.attested import ArrivedFrame
from tallystick.daemon.batch import Issuing, Place, Status
from tallystick.daemon.chain_names import agents_of, day_of, is_of
from tallystick.daemon.drafted import Answer, Drafted, Drafting
from tallystick.daemon.head_file import HeadFile
from tallystick.daemon.key_source import KeySource
from tallystick.daemon.ledger_status import LedgerStatus
from tallystick.daemon.losses import Losses, Taken, told
from tallystick.daemon.resume import Resumed, checked, place_of
from tallystick.daemon.rotation import Reached, rotate
from tallystick.daemon.turn import Standing, Turn
from tallystick.daemon.unwritten import Unwritten
from tallystick.durable.file import FilePath
from tallystick.errors import StoreError, StoreStoppedError
from tallystick.limits import AGENT_CHAINS_MAX, CHAIN_NAMES_KEPT_MAX
from tallystick.model.chain import Head
from tallystick.model.frame import Refusal
from tallystick.model.rotation import KeyRotation
from tallystick.ports import Signer
from tallystick.store.ledger import LedgerStore
from tallystick.verify.trust import fingerprint_of


class Ledger:
    """Owns the heads of all chains. Any thread may call; each call is done as a whole."""

    def __init__(
        self,
        *,
        store: LedgerStore,
        keys: KeySource,
        public_path: FilePath,
        heads: HeadFile,
        issuer_id: str,
        drafting: Drafting,
        clock: Callable[[], int],
        chain_id: str | None = None,
        resumed: Resumed | None = None,
    ) -> None:
        """Go on from `resumed`; `chain_id` fixes the root instead of a new one for each day.

        Use `open_ledger`, which looks at what the store holds before it trusts it.
        """
        self.losses = Losses()
        self.drafting = drafting
        self._store = store
        self._keys = keys
        self._public_path = public_path
        self._heads = heads
        self._issuing = Issuing(
            issuer_id=issuer_id, verification_method=keys.verification_method, signer=keys
        )
        self._clock = clock
        self._fixed = chain_id
        self._lock = threading.Lock()
        self._is_closed = False
        self._fault: StoreError | None = None
        self._commits = self._fsync_ns = 0
        self._unwritten = Unwritten()
        resumed = resumed or Resumed(standing=Standing())
        self._standing = self._durable = resumed.standing
        # Of the open chains, those that were used last.
        self._places = OrderedDict((place.head.chain_id, place) for place in resumed.agents)
        self._agents_open = set(self._places)
        if self._standing.root is not None:
            self._places[self._standing.root.head.chain_id] = self._standing.root

    def begin(self) -> None:
        """Close what another day, or another fixed name, left open: it was not closed in order."""
        with self._lock:
            now_ms = self._now_ms()
            root = self._standing.root
            if root is not None and not is_of(root.head.chain_id, self._base(now_ms)):
                turn = self._turn(now_ms)
                turn.end_all("interrupted", self._agents(), now_ms)
                self._append(turn)

    def commit(self, frames: Sequence[ArrivedFrame]) -> list[Answer]:
        """Return, in order, what became of each frame, when all of it is on stable storage."""
        with self._alone():
            now_ms = frames[0].received_ns // 1_000_000 if frames else self._now_ms()
            turn = self._turn(now_ms)
            self._roll_over(turn, now_ms)
            answers, refused = self._answers(turn, frames)
            taken = self._note_losses(turn, now_ms, refused)
            try:
                self._append(turn)
            except BaseException:
                self.losses.give_back(taken)
                raise
            return answers

    def draft(self, frames: Sequence[ArrivedFrame]) -> Drafted:
        """Return what to `write`, soon and in this order; raising, nothing has changed."""
        with self._lock:
            self._check_open()
            now_ms = frames[0].received_ns // 1_000_000
            if self._is_due(now_ms):
                self._unwritten.wait()  # what ends a day looks into the store
            turn = self._turn(now_ms)
            self._roll_over(turn, now_ms)
            answers, refused = self._answers(turn, frames)
            taken = self._note_losses(turn, now_ms, refused)
            closed = self._advance(turn)
            heads = [place.head for place in turn.batch.places.values()]
            number = self._unwritten.draft()
            return Drafted(number, answers, turn.batch.rows, heads, closed, turn.standing, taken)

    @property
    def signs_here(self) -> bool:
        """Whether the key is in this process: another one takes its time for each receipt."""
        return self._keys.sign_all is not None

    def is_prompt_at(self, moment_ms: int) -> bool:
        """Whether a draft of then waits for nobody: no signer elsewhere, and no end of a day."""
        return self.signs_here and not self._is_due(moment_ms)

    def write(self, drafted: Drafted) -> list[Answer]:
        """Return the answers when a transaction is on stable storage; once for each, in order."""
        try:
            if self._fault is not None:
                raise StoreStoppedError(str(self._fault))
            self._unwritten.check(drafted.number)
            if drafted.rows:
                self._store.append(drafted.rows)
                self._note_stored(drafted.heads, drafted.closed, drafted.standing)
        except BaseException as error:
            self.losses.give_back(drafted.losses)
            self.stop(error)
            raise
        self._unwritten.note_written(drafted.number)
        return drafted.answers

    def stop(self, error: BaseException) -> None:
        """Write nothing any more: what was drafted may not be in the store."""
        if self._fault is None:
            told_error = error if isinstance(error, StoreError) else None
            self._fault = told_error or StoreError(f"a commit failed: {type(error).__name__}")
        self._unwritten.give_up()

    def tick(self) -> None:
        """Do what is due without a frame: the end of a day, and losses that nothing carries."""
        with self._alone():
            now_ms = self._now_ms()
            turn = self._turn(now_ms)
            self._roll_over(turn, now_ms)
            self._write(turn, now_ms, with_losses=True)
            self._heads.shorten()
        # Beside commits, which wait for no other sync than their own.
        self.sync_heads()

    def rotate(self, reached: Reached = lambda _: None) -> tuple[bytes, bytes]:
        """Hand over to the next key, close all chains, and return both public keys, old and new."""
        with self._alone():
            commits = self._commits
            try:
                keys = rotate(self._keys, self._public_path, self._hand_over, reached)
            except BaseException as error:
                if self._commits != commits:
                    # The store goes on with a key that we could not put in place.
                    self._fault = StoreStoppedError(
                        f"a rotation was committed and not finished ({error}): start again, which "
                        "does the rest"
                    )
                raise
            self.sync_heads()
            return keys

    def close(self, status: Status = "interrupted") -> None:
        """Close all chains in one transaction, the root first; again does nothing."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            self._unwritten.wait()
            try:
                if self._fault is None:
                    now_ms = self._now_ms()
                    turn = self._turn(now_ms)
                    agents = self._agents()
                    self._write(
                        turn,
                        now_ms,
                        with_losses=True,
                        finish=lambda: turn.end_all(status, agents, now_ms),
                    )
            finally:
                try:
                    self._heads.close()
                finally:
                    self._keys.teardown()
                    self._store.close()

    def status(self) -> LedgerStatus:
        """Return how things stand; waits for nobody."""
        standing = self._durable
        head = standing.root.head if standing.root is not None else None
        return LedgerStatus(
            root=None if head is None else head.chain_id,
            sequence=0 if head is None else head.sequence,
            hash=None if head is None else head.hash,
            receipts=len(self._store),
            commits=self._commits,
            last_fsync_ns=self._fsync_ns,
            last_issued_ms=standing.last_ms,
            open_roots=0 if head is None else 1,
            open_agents=len(self._agents_open),
            fingerprint=fingerprint_of(self._keys.get_public_key()),
        )

    def sync_heads(self) -> None:
        """Make the heads stable; where that fails, nothing more is taken."""
        try:
            self._heads.sync()
        except StoreError as error:
            self._fault = self._fault or error
            raise

    def _check_open(self) -> None:
        if self._is_closed:
            raise StoreStoppedError("the ledger is closed")
        if self._fault is not None:
            raise StoreStoppedError(str(self._fault))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock, with nothing drafted that is not written."""
        with self._lock:
            self._check_open()
            self._unwritten.wait()
            self._check_open()
            yield

    def _now_ms(self) -> int:
        return self._clock() // 1_000_000

    def _base(self, now_ms: int) -> str:
        return self._fixed or day_of(max(now_ms, self._standing.last_ms))

    def _turn(self, now_ms: int) -> Turn:
        return Turn(
            self._issuing,
            self._standing,
            place_of=self._place_of,
            base=self._base(now_ms),
            is_used=self._store.has_chain,
        )

    def _hand_over(self, rotation: KeyRotation, successor: Signer) -> None:
        now_ms = self._now_ms()
        turn = self._turn(now_ms)
        agents = self._agents()
        self._write(
            turn,
            now_ms,
            with_losses=True,
            finish=lambda: turn.hand_over(rotation, successor, agents, now_ms),
        )

    def _answers(self, turn: Turn, frames: Sequence[ArrivedFrame]) -> tuple[list[Answer], Losses]:
        """Return what becomes of each frame, and the losses that the refused ones are."""
        answers = answers_of(turn, frames, self.drafting, self._keys)
        refused = Losses()
        for one, answer in zip(frames, answers, strict=True):
            if isinstance(answer, Refusal):
                drops, moment_ms = one.drop_count, one.received_ns // 1_000_000
                refused.note_refused(answer.code, moment_ms, drops)
        return answers, refused

    def _note_losses(self, turn: Turn, now_ms: int, refused: Losses) -> Taken | None:
        """Have a turn that writes anything tell of what was lost, before it and in it.

        Where that fails, its frames may come again: what was refused of them counts only then.
        """
        if not turn.batch.rows:
            self.losses.give_back(refused.take())
            return None
        before, taken = self.losses.take_besides(refused)
        try:
            if taken is not None:
                turn.note_losses(*told(taken), now_ms)
        except BaseException:
            self.losses.give_back(before)
            raise
        return taken

    def _is_due(self, now_ms: int) -> bool:
        """Whether the root is of another day, or has as many chains below it as may be open."""
        root = self._standing.root
        if root is None:
            return False
        is_full = len(self._agents_open) > AGENT_CHAINS_MAX
        is_todays = self._fixed is not None or is_of(root.head.chain_id, self._base(now_ms))
        return is_full or not is_todays

    def _roll_over(self, turn: Turn, now_ms: int) -> None:
        """Close the chains of a day that is over, or too many; the next receipt begins a root."""
        if self._is_due(now_ms):
            turn.end_all("complete", self._agents(), now_ms)

    def _agents(self) -> Iterator[Place]:
        """Yield the open chains of the root's agents."""
        root = self._standing.root
        if root is not None:
            for last in self._store.last_rows_below(agents_of(root.head.chain_id)):
                if not last.is_terminal:
                    yield self._place_of(last.chain_id)

    def _place_of(self, chain_id: str) -> Place:
        known = self._places.get(chain_id)
        if known is not None:
            return known
        last = self._store.last_row(chain_id)
        if last is None:
            return Place(head=Head(chain_id=chain_id))
        checked(self._store.path, last, self._keys.get_public_key())
        return place_of(last)

    def _write(
        self,
        turn: Turn,
        now_ms: int,
        *,
        with_losses: bool,
        finish: Callable[[], object] = lambda: None,
    ) -> None:
        """Write a turn with what was lost; where that fails, the losses are still to be told."""
        taken = self.losses.take() if with_losses else None
        try:
            if taken is not None:
                turn.note_losses(*told(taken), now_ms)
            finish()
            self._append(turn)
        except BaseException:
            self.losses.give_back(taken)
            raise

    def _append(self, turn: Turn) -> None:
        """Make a turn durable, and only then its heads ours."""
        batch = turn.batch
        if not batch.rows:
            return
        self._store.append(batch.rows)
        closed = self._advance(turn)
        heads = [place.head for place in batch.places.values()]
        self._note_stored(heads, closed, turn.standing)

    def _advance(self, turn: Turn) -> list[str]:
        """Go on from where a turn ends; return the chains that it closed."""
        self._standing = turn.standing
        closed = []
        for chain_id, place in turn.batch.places.items():
            if place.is_terminal:
                self._places.pop(chain_id, None)
                closed.append(chain_id)
            else:
                self._places[chain_id] = place
                self._places.move_to_end(chain_id)
        # Those of the few turns that are not yet stored are the last that go.
        while len(self._places) > CHAIN_NAMES_KEPT_MAX:
            self._places.popitem(last=False)
        return closed

    def _note_stored(self, heads: Sequence[Head], closed: list[str], standing: Standing) -> None:
        """Write the new heads beside the key. The receipts are safe already, whatever comes."""
        self._commits += 1
        self._fsync_ns = self._clock()
        self._durable = standing
        self._agents_open.update(one.chain_id for one in heads)
        self._agents_open.difference_update(closed)
        if standing.root is not None:
            self._agents_open.discard(standing.root.head.chain_id)
        previous = standing.previous
        if closed and previous is not None:
            # The root's end vouches for all before it, and stays until the next root has ended.
            closed = [one for one in (*self._heads.heads, *closed) if one != previous.chain_id]
        try:
            self._heads.write(heads, closed)
        except StoreError as error:
            self._fault = error
