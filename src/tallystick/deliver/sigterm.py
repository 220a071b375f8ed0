# SPDX-License-Identifier: Apache-2.0
"""The ready-made answer to SIGTERM, for those who want it: flush, and say if something remains.

The library installs no signal handler by itself; this one is installed by calling it.
"""

from __future__ import annotations

import _thread
import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Literal, Protocol

from tallystick.errors import Error


class _Chain(Protocol):
    @property
    def is_closed(self) -> bool: ...

    def close(self, status: Literal["complete", "interrupted"] = ...) -> Any: ...


class _Flushing(Protocol):
    def flush(self, deadline_ms: int = ...) -> int: ...


def install_sigterm_flush(
    emitter: _Flushing, chain: _Chain, *, deadline_ms: int = 2000, then_exit: bool = True
) -> Callable[[], None]:
    """On SIGTERM flush the emitter; if anything remains, there or in the chain, close the chain as
    interrupted.

    What remains then is signed and sent as `agent_receipts.agent_end` with `status: interrupted`;
    that too may take `deadline_ms` at most. A recorder may stand in both places. Afterwards the
    handler that was installed before runs, in the main thread; without one the process ends with
    143, unless `then_exit` is false. Returns a function that takes the handler out again.

    The work is done in a thread of its own, and the main thread goes on meanwhile: it may just be
    inside of a delivery, which nobody else can finish.
    """
    before = signal.getsignal(signal.SIGTERM)
    is_begun = is_done = is_heard = False

    def finish() -> None:
        nonlocal is_done
        try:
            remaining = emitter.flush(deadline_ms=deadline_ms)
            # An emitter that keeps nothing has nothing left, but the chain may.
            remaining += getattr(chain, "undelivered", 0)
            if remaining > 0 and not chain.is_closed:
                ending = threading.Thread(target=_interrupt, args=(chain,), daemon=True)
                ending.start()
                ending.join(deadline_ms / 1000)
        finally:
            is_done = True
            if callable(before):
                _wake_main_thread(lambda: is_heard)
            elif then_exit:
                os._exit(128 + signal.SIGTERM)

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal is_begun, is_heard
        if is_done and callable(before):
            is_heard = True
            before(number, frame)
        elif not is_begun:
            is_begun = True
            try:
                # Not threading.Thread from here: starting one takes locks that the interrupted
                # code may hold.
                _thread.start_new_thread(_start, (finish,))
            except RuntimeError:  # the interpreter is about to end, and starts no threads any more
                finish()

    signal.signal(signal.SIGTERM, handle)
    return lambda: _restore(handle, before)


def _start(finish: Callable[[], None]) -> None:
    # This one the interpreter waits for.
    threading.Thread(target=finish, name="tally-sigterm", daemon=False).start()


def _wake_main_thread(is_heard: Callable[[], bool]) -> None:
    """Have the handler run again. More than once: the signal may come just before a system call."""
    main = threading.main_thread()
    while main.is_alive() and not is_heard():
        signal.pthread_kill(main.ident or 0, signal.SIGTERM)
        time.sleep(0.05)


def _interrupt(chain: _Chain) -> None:
    try:
        chain.close("interrupted")
    except Error:
        pass  # best effort: what is in a durable log is delivered at the next start


def _restore(ours: Callable[..., Any], before: Any) -> None:
    if signal.getsignal(signal.SIGTERM) is ours:
        signal.signal(signal.SIGTERM, before)
