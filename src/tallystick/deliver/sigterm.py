# SPDX-License-Identifier: Apache-2.0
"""The ready-made answer to SIGTERM, for those who want it: flush, and say if something remains.

The library installs no signal handler by itself; this one is installed by calling it.
"""

from __future__ import annotations

import os
import signal
import threading
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
    """On SIGTERM flush the emitter; if anything remains, close the chain as interrupted.

    What remains then is signed and sent as `agent_receipts.agent_end` with `status: interrupted`.
    Afterwards the handler that was installed before runs; without one the process ends with 143,
    unless `then_exit` is false. Returns a function that takes the handler out again.

    The work is done in a thread of its own, because a handler runs between two instructions of
    the main thread, which may just hold the chain's lock.
    """
    before = signal.getsignal(signal.SIGTERM)

    def finish() -> None:
        try:
            if emitter.flush(deadline_ms=deadline_ms) > 0 and not chain.is_closed:
                chain.close("interrupted")
        except Error:
            pass  # best effort: what is in a durable log is delivered at the next start
        if then_exit and not callable(before):
            os._exit(128 + signal.SIGTERM)

    def handle(number: int, frame: FrameType | None) -> None:
        worker = threading.Thread(target=finish, name="tally-sigterm", daemon=False)
        worker.start()
        if callable(before):
            worker.join((deadline_ms + 1000) / 1000)
            before(number, frame)

    signal.signal(signal.SIGTERM, handle)
    return lambda: _restore(handle, before)


def _restore(ours: Callable[..., Any], before: Any) -> None:
    if signal.getsignal(signal.SIGTERM) is ours:
        signal.signal(signal.SIGTERM, before)
