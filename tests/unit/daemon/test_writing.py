# SPDX-License-Identifier: Apache-2.0
"""The thread that writes: in order, never far behind, and not at all for a lone job."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from tallystick.daemon.writing import Writing


def unexpected(fault: BaseException) -> None:
    """Fail: no job here is to raise."""
    raise fault


def test_a_lone_job_is_done_by_who_brings_it() -> None:
    """Where nothing waits, the thread is not changed; where something does, order comes first."""
    writing = Writing("w", unexpected)
    ran: list[tuple[str, str]] = []
    holds = threading.Event()

    def note(name: str) -> None:
        ran.append((name, threading.current_thread().name))

    writing.do(lambda: note("alone"), is_alone=True)
    writing.do(lambda: note("first") if holds.wait(20) else None, is_alone=False)
    release = threading.Timer(0.05, holds.set)
    release.start()
    writing.do(lambda: note("behind"), is_alone=True)
    writing.close()
    assert ran == [("alone", threading.current_thread().name), ("first", "w"), ("behind", "w")]


def test_what_is_drafted_meanwhile_waits_for_a_lone_job() -> None:
    """Also where it comes alone itself: jobs are done one by one, in the order of their begin."""
    writing = Writing("w", unexpected)
    ran: list[str] = []
    holds, begun = threading.Event(), threading.Event()
    alone = threading.Thread(
        target=writing.do_here,
        args=(lambda: ran.append("alone") if holds.wait(20) else None, begun.set),
    )
    idle = [writing.is_idle]
    alone.start()
    assert begun.wait(20)
    idle.append(writing.is_idle)
    assert idle == [True, False]
    writing.do(lambda: ran.append("behind"), is_alone=True)
    assert ran == []
    holds.set()
    alone.join(20)
    writing.close()
    assert ran == ["alone", "behind"]


def test_who_drafts_is_held_back() -> None:
    """One job runs and one waits: the next is taken when there is room."""
    writing = Writing("w", unexpected)
    done: list[int] = []
    holds = threading.Event()

    def job(number: int) -> None:
        if holds.wait(20):
            done.append(number)

    for number in range(2):
        writing.do(partial(job, number), is_alone=False)
    third = threading.Thread(
        target=writing.do, args=(lambda: done.append(2),), kwargs={"is_alone": False}
    )
    third.start()
    third.join(0.2)
    assert third.is_alive()
    holds.set()
    third.join(20)
    writing.close()
    assert done == [0, 1, 2]


@pytest.mark.parametrize("is_alone", [True, False])
def test_a_job_that_raises_is_told_and_holds_up_nobody(is_alone: bool) -> None:
    """Also where what it raises is no exception of the usual kind: the thread goes on."""
    told: list[str] = []
    writing = Writing("w", lambda fault: told.append(type(fault).__name__))

    def fails(kind: type[BaseException]) -> None:
        raise kind("on purpose")

    for kind in (RuntimeError, SystemExit, MemoryError):
        writing.do(partial(fails, kind), is_alone=is_alone)
    writing.do(lambda: told.append("done"), is_alone=False)
    writing.close()
    writing.do_here(partial(fails, KeyError), lambda: told.append("begun"))
    assert told == ["RuntimeError", "SystemExit", "MemoryError", "done", "begun", "KeyError"]
