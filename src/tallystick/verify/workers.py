# SPDX-License-Identifier: Apache-2.0
"""Examines a stream of receipts batch by batch, in order, with processes that check signatures.

Four fifths of the time go into signatures, and the rest holds the interpreter's lock: so this
process reads, and others check. It is one of the workers itself: when it has read far enough ahead
it checks a batch that no other has. Where another cannot be started, or is lost, it does the same
with more of them: the answers are equal for any number. The window is bounded: a few batches a
worker are in memory at any moment. What is large is never read ahead.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from selectors import EVENT_READ, DefaultSelector

from tallystick.crypto.checking import KEY_BYTES, SIGNATURE_BYTES, check, pack
from tallystick.limits import WINDOW_BYTES_MAX
from tallystick.model.receipt import Receipt
from tallystick.verify.checker_process import CheckerProcess, may_start
from tallystick.verify.receipt import Examined
from tallystick.verify.source import Raw

# Two batches fit into a pipe, so that handing one over waits for nobody. Larger batches are slower
# without checkers, too: reading and checking throw each other's tables out of the fastest cache.
_BATCH_ITEMS = 32
_BATCH_BYTES = 28 * 1024
_LARGE_BYTES = 64 * 1024
_BATCHES_PER_WORKER = 3
_BATCHES_PER_CHECKER = 2
# So many are checked before a checker would have started.
_BATCHES_ALONE = 16

Examine = Callable[[list[Raw]], list[Examined]]
GuessKey = Callable[[Receipt], bytes | None]
# Signature, signed bytes, public key.
Question = tuple[bytes, bytes, bytes]


class _Batch:
    """Receipts on their way through the workers."""

    def __init__(self, raws: list[Raw], size: int, *, is_large: bool) -> None:
        self.raws = raws
        self.size = size
        self.is_large = is_large
        self.examined: list[Examined] = []
        # Whose signature can be tried, and under which key.
        self.asked: list[tuple[Examined, Question]] = []
        self.is_tried = False

    def read(self, examine: Examine, guess_key: GuessKey) -> None:
        """Examine the receipts, and choose the key that each is tried with."""
        self.examined, self.raws = examine(self.raws), []
        for one in self.examined:
            if one.signature is None or one.receipt is None:
                continue
            one.tried_key = guess_key(one.receipt)
            if one.tried_key is not None:
                assert one.body is not None  # a signature is decoded only beside its body
                self.asked.append((one, (one.signature, one.body, one.tried_key)))

    def take(self, answers: Iterable[int | bool]) -> None:
        """Note what came of trying the signatures."""
        for (one, _), fits in zip(self.asked, answers, strict=True):
            one.fits_tried_key = fits == 1
        self.asked, self.is_tried = [], True

    def try_here(self) -> None:
        """Check the signatures in this process."""
        self.take([check(*question) for _, question in self.asked])

    @property
    def is_for_checkers(self) -> bool:
        """Whether there is something to check, all of it of the sizes that it should have."""
        return bool(self.asked) and all(
            len(signature) == SIGNATURE_BYTES and len(key) == KEY_BYTES
            for _, (signature, _, key) in self.asked
        )


class _Checkers:
    """The checker processes of one verification, and the batches that each is at work on."""

    def __init__(self, count: int) -> None:
        self._startable = count if may_start() else 0
        self._batches: dict[CheckerProcess, deque[_Batch]] = {}
        self._answered = DefaultSelector()

    def hand_over(self, idle: deque[_Batch]) -> None:
        """Give checkers with room the oldest batches that nobody has begun."""
        while idle and idle[0].is_for_checkers and (checker := self._with_room()) is not None:
            batch = idle[0]
            piece = pack(question for _, question in batch.asked)
            try:
                checker.ask(piece, len(batch.asked))
            except OSError:
                self._lose(checker, idle)
            else:
                self._batches[checker].append(idle.popleft())

    def collect(self, idle: deque[_Batch], *, wait: bool) -> None:
        """Take the answers that have come; those of a checker that is lost nobody has begun."""
        if not self._batches:
            return
        for key, _ in self._answered.select(None if wait else 0):
            checker: CheckerProcess = key.data
            try:
                for answers in checker.receive():
                    self._batches[checker].popleft().take(answers)
            except OSError:
                self._lose(checker, idle)

    def end(self) -> None:
        """End all of them."""
        self._answered.close()
        for checker in self._batches:
            checker.end()

    def _with_room(self) -> CheckerProcess | None:
        for checker, batches in self._batches.items():
            if len(batches) < _BATCHES_PER_CHECKER:
                return checker
        if self._startable == 0:
            return None
        try:
            checker = CheckerProcess()
        except OSError:
            self._startable = 0
            return None
        self._startable -= 1
        self._batches[checker] = deque()
        self._answered.register(checker, EVENT_READ, checker)
        return checker

    def _lose(self, checker: CheckerProcess, idle: deque[_Batch]) -> None:
        self._answered.unregister(checker)
        idle.extendleft(reversed(self._batches.pop(checker)))
        checker.end()


def tried(
    raws: Iterable[Raw], examine: Examine, guess_key: GuessKey, workers: int
) -> Iterator[Examined]:
    """Yield what each receipt says, in order, its signature tried under the key that is guessed."""
    source = iter(raws)
    checkers = _Checkers(workers - 1)
    ahead = 1 if workers == 1 else workers * _BATCHES_PER_WORKER
    window: deque[_Batch] = deque()
    idle: deque[_Batch] = deque()  # those of the window that nobody has begun, oldest first
    size = count = 0
    is_over = False
    try:
        while True:
            checkers.collect(idle, wait=False)
            if count > _BATCHES_ALONE:
                checkers.hand_over(idle)
            if window and window[0].is_tried:
                batch = window.popleft()
                size -= batch.size
                yield from batch.examined
            elif window and window[0].is_large:
                batch = window.popleft()
                size -= batch.size
                yield from _one_by_one(batch, examine, guess_key)
            elif not is_over and len(window) < ahead and size < WINDOW_BYTES_MAX:
                batch = _next_batch(source)
                is_over = not batch.raws
                if is_over:
                    continue
                count += 1
                size += batch.size
                window.append(batch)
                if not batch.is_large:
                    batch.read(examine, guess_key)
                    idle.append(batch)
            elif idle:
                idle.popleft().try_here()
            elif window:
                checkers.collect(idle, wait=True)
            else:
                return
    finally:
        checkers.end()


def _one_by_one(batch: _Batch, examine: Examine, guess_key: GuessKey) -> Iterator[Examined]:
    """Yield what large receipts say; never more than one of them is taken apart at a moment."""
    for raw in batch.raws:
        alone = _Batch([raw], 0, is_large=True)
        alone.read(examine, guess_key)
        alone.try_here()
        yield from alone.examined


def _next_batch(source: Iterator[Raw]) -> _Batch:
    """Take the next few receipts; only those that are bytes have a size."""
    raws: list[Raw] = []
    size = largest = 0
    for raw in islice(source, _BATCH_ITEMS):
        raws.append(raw)
        if isinstance(raw, bytes):
            size += len(raw)
            largest = max(largest, len(raw))
        if size >= _BATCH_BYTES:
            break
    return _Batch(raws, size, is_large=largest >= _LARGE_BYTES)
