# SPDX-License-Identifier: Apache-2.0
"""Examines a stream of receipts in order, while other processes check signatures.

This process reads, and others check. It is one of the workers itself: when it has read far enough
ahead it checks a batch that no other has. Where another cannot be started, or is lost, it does the
same with more of them: the answers are equal for any number. The window is bounded: a few batches a
worker are in memory at any moment. What is large is never read ahead.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from selectors import EVENT_READ, DefaultSelector

from tallystick.crypto.checking import pack
from tallystick.limits import CHECKER_PATIENCE_MS, WINDOW_BYTES_MAX
from tallystick.verify.batch import Batch, Examine, GuessKey, next_batch, tried_here
from tallystick.verify.checker_process import CheckerProcess
from tallystick.verify.companion import may_start, this_process
from tallystick.verify.receipt import Examined
from tallystick.verify.source import Raw

_BATCHES_PER_WORKER = 3
_BATCHES_PER_CHECKER = 2


class _Checkers:
    """The checker processes of one verification, and the batches that each is at work on."""

    def __init__(self, count: int) -> None:
        self._startable = count if may_start() else 0
        self._batches: dict[CheckerProcess, deque[Batch]] = {}
        self._answered: DefaultSelector | None = None
        self._owner = this_process()

    def hand_over(self, idle: deque[Batch]) -> None:
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

    def collect(self, idle: deque[Batch], *, wait: bool) -> None:
        """Take the answers that have come; those of a checker that is lost nobody has begun.

        One that has been waited for in vain is lost, too: somebody may have stopped it.
        """
        if self._owner != this_process():
            self._leave_to_parent(idle)
        if self._answered is None or not self._batches:
            return
        came = self._answered.select(CHECKER_PATIENCE_MS / 1000 if wait else 0)
        if wait and not came:
            for checker in [one for one, batches in self._batches.items() if batches]:
                self._lose(checker, idle)
        for key, _ in came:
            checker = key.data
            try:
                for answers in checker.receive():
                    self._batches[checker].popleft().take(answers)
            except OSError:
                self._lose(checker, idle)

    def end(self) -> None:
        """End all of them; in a process that was forked since, only let go of them."""
        if self._answered is not None:
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
            checker = self._started()
        except OSError:
            self._startable = 0
            return None
        self._startable -= 1
        self._batches[checker] = deque()
        return checker

    def _started(self) -> CheckerProcess:
        if self._answered is None:
            self._answered = DefaultSelector()
        checker = CheckerProcess()
        try:
            self._answered.register(checker, EVENT_READ, checker)
        except OSError:
            checker.end()
            raise
        return checker

    def _lose(self, checker: CheckerProcess, idle: deque[Batch]) -> None:
        assert self._answered is not None  # each checker is registered there
        self._answered.unregister(checker)
        idle.extendleft(reversed(self._batches.pop(checker)))
        checker.end()

    def _leave_to_parent(self, idle: deque[Batch]) -> None:
        """Begin without any: questions and answers of two processes would mix in one pipe."""
        for batches in self._batches.values():
            idle.extendleft(reversed(batches))
        self.end()
        self._batches, self._answered, self._owner = {}, None, this_process()


def tried_together(
    source: Iterator[Raw], examine: Examine, guess_key: GuessKey, workers: int
) -> Iterator[Examined]:
    """Yield what each receipt says, in order, its signature tried under the key that is guessed."""
    checkers = _Checkers(workers - 1)
    ahead = workers * _BATCHES_PER_WORKER
    window: deque[Batch] = deque()
    idle: deque[Batch] = deque()  # those of the window that nobody has begun, oldest first
    size = 0
    is_over = False
    try:
        while True:
            checkers.collect(idle, wait=False)
            checkers.hand_over(idle)
            if window and window[0].is_tried:
                batch = window.popleft()
                size -= batch.size
                yield from batch.examined
            elif window and window[0].is_large:
                batch = window.popleft()
                size -= batch.size
                yield from tried_here(batch, examine, guess_key)
            elif not is_over and len(window) < ahead and size < WINDOW_BYTES_MAX:
                batch = next_batch(source)
                is_over = not batch.raws
                if is_over:
                    continue
                window.append(batch)
                if not batch.is_large:
                    batch.read(examine, guess_key)
                    idle.append(batch)
                size += batch.size
            elif idle:
                idle.popleft().try_here()
            elif window:
                checkers.collect(idle, wait=True)
            else:
                return
    finally:
        checkers.end()
