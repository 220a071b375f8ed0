# SPDX-License-Identifier: Apache-2.0
"""Threads of our own for calls from asyncio.

Those of the event loop are few, and it needs them itself: to look names up, for files, for
`to_thread`. Calls that wait for a slow collector must not take them all.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

from tallystick.limits import ASYNC_CALLS_MAX

Result = TypeVar("Result")


class Threads:
    """Runs calls beside an event loop. They end by themselves with whoever holds this."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._process = 0
        self._pool: Any = None

    async def run(self, function: Callable[..., Result], *args: Any, **members: Any) -> Result:
        """Return what a function returns, or raise what it raises; the loop goes on meanwhile.

        Whoever is cancelled while it waits, waits no more; the function is run all the same.
        """
        import asyncio  # 30 ms: only programs that have it already come here
        import contextvars
        from functools import partial

        context = contextvars.copy_context()
        call = partial(context.run, function, *args, **members)
        running = asyncio.get_running_loop().run_in_executor(self._threads(), call)
        # A call that still waits for a thread would be dropped: the result of a call that has run.
        result: Result = await asyncio.shield(running)
        return result

    def _threads(self) -> Any:
        if self._process != os.getpid():  # a forked child inherits the pool, and not its threads
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(ASYNC_CALLS_MAX, thread_name_prefix="tallystick")
            self._process = os.getpid()
        return self._pool
