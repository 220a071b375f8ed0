# SPDX-License-Identifier: Apache-2.0
"""The thread that stores what is drafted, and answers, while the next transaction is drafted.

It works off jobs in their order, and there is never more than one that waits: whoever drafts is
held back by the disk. A job that comes alone is done at once, by the thread that brings it. One job
is done at a time, whoever does it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Queue

Job = Callable[[], None]


class Writing:
    """Owns the thread. One other thread gives it jobs, or a second one where nothing is to be done.

    A job is not to raise. One that does is told to `on_fault`, and the thread goes on: who waits
    for it would wait forever.
    """

    def __init__(self, name: str, on_fault: Callable[[BaseException], None]) -> None:
        """Begin."""
        self._on_fault = on_fault
        self._jobs: Queue[Job | None] = Queue(maxsize=1)
        self._doing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def is_idle(self) -> bool:
        """Whether no job waits or is done."""
        return not self._jobs.unfinished_tasks and not self._doing.locked()

    def do(self, job: Job, *, is_alone: bool) -> None:
        """Have a job done behind all others; waits while one waits already.

        Where nothing else is to be done, and nothing else comes (`is_alone`), two changes of the
        thread would only cost time.
        """
        if is_alone and self.is_idle:
            self.do_here(job)
        else:
            self._jobs.put(job)

    def do_here(self, job: Job, begun: Callable[[], None] = lambda: None) -> None:
        """Do a job by this thread; `begun` is called when no other can come before it."""
        with self._doing:
            begun()
            try:
                job()
            except BaseException as fault:  # noqa: BLE001 - a thread that ends silently is a hang
                self._on_fault(fault)

    def close(self) -> None:
        """Do what waits, and end the thread."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            self.do_here(job)
            del job  # or the last one would stay in memory
            self._jobs.task_done()
