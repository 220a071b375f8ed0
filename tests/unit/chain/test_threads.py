# SPDX-License-Identifier: Apache-2.0
"""Threads beside an event loop, and not those of the loop."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading

import pytest

from tallystick.chain.threads import Threads
from tallystick.limits import ASYNC_CALLS_MAX


def test_the_loops_own_threads_stay_free() -> None:
    """However many calls wait, the loop still does what it needs threads for."""
    gate = threading.Event()

    async def crowd() -> list[bool]:
        threads = Threads()
        waiting = [asyncio.create_task(threads.run(gate.wait)) for _ in range(100)]
        await asyncio.sleep(0)
        assert await asyncio.wait_for(asyncio.to_thread(os.getpid), 10) == os.getpid()
        gate.set()
        return await asyncio.gather(*waiting)

    before = threading.active_count()
    assert asyncio.run(crowd()) == [True] * 100
    assert threading.active_count() <= before + ASYNC_CALLS_MAX


def test_who_is_cancelled_leaves_the_call_in_line() -> None:
    """Also while no thread was free: what has run is recorded, whoever still waits for it."""
    gate = threading.Event()
    done: list[int] = []

    async def crowd() -> None:
        threads = Threads()
        busy = [asyncio.create_task(threads.run(gate.wait)) for _ in range(ASYNC_CALLS_MAX)]
        last = asyncio.create_task(threads.run(done.append, 1))
        await asyncio.sleep(0.01)
        last.cancel()
        with pytest.raises(asyncio.CancelledError):
            await last
        gate.set()
        await asyncio.gather(*busy)
        await threads.run(done.append, 2)

    asyncio.run(crowd())
    assert done == [1, 2]


def test_results_faults_and_context_pass() -> None:
    """As if the function had been called here."""
    name: contextvars.ContextVar[str] = contextvars.ContextVar("name")

    async def calls() -> tuple[int, str]:
        threads = Threads()
        name.set("x")
        with pytest.raises(ValueError, match="invalid literal"):
            await threads.run(int, "y")
        return await threads.run(int, "11", base=2), await threads.run(name.get)

    assert asyncio.run(calls()) == (3, "x")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_has_threads_of_its_own() -> None:
    """Those of the parent did not come along: nothing waits for them."""
    threads = Threads()
    assert asyncio.run(threads.run(int, "1")) == 1
    child = os.fork()
    if child == 0:
        os._exit(asyncio.run(asyncio.wait_for(threads.run(int, "7"), 10)))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
