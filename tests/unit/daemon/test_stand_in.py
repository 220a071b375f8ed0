# SPDX-License-Identifier: Apache-2.0
"""Who is at the sockets: one thread at a time, and always one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from tests.daemons import wait_until

from tallystick.daemon.stand_in import StandIn
from tallystick.limits import AWAY_MS_MAX


class Sockets:
    """Sockets at which turns are taken: each waits until it is woken."""

    def __init__(self) -> None:
        self.turns: list[str] = []
        self.at_once = self.at_once_max = 0
        self.woken = threading.Semaphore(0)
        self.fault: BaseException | None = None
        self.stand_in = StandIn(self.turn, self.woken.release)

    def turn(self) -> None:
        """Wait for something, as the loop does."""
        self.at_once += 1
        self.at_once_max = max(self.at_once_max, self.at_once)
        try:
            self.turns.append(threading.current_thread().name)
            assert self.woken.acquire(timeout=20)
            if self.fault is not None:
                raise self.fault
        finally:
            self.at_once -= 1


@pytest.fixture
def sockets() -> Iterator[Sockets]:
    sockets = Sockets()
    yield sockets
    sockets.stand_in.close()
    assert not sockets.stand_in._thread.is_alive()


def test_who_is_away_for_a_moment_is_not_stood_in_for(sockets: Sockets) -> None:
    """A usual commit costs no change of threads, however many there are."""
    for _ in range(200):
        sockets.stand_in.leave()
        sockets.stand_in.back()
    assert sockets.turns == []
    assert not sockets.stand_in.is_there


def test_who_is_away_for_long_is_stood_in_for(sockets: Sockets) -> None:
    """Soon, for as long as that takes, and no turn of the one is beside a turn of the other."""
    for number in range(3):
        sockets.stand_in.leave()
        wait_until(lambda: sockets.stand_in.is_there)
        before = len(sockets.turns)
        sockets.woken.release()
        wait_until(lambda before=before: len(sockets.turns) > before)
        sockets.stand_in.back()
        assert not sockets.stand_in.is_there
        assert set(sockets.turns) == {"tally-stand-in"}, number
        sockets.woken.release()
        sockets.turn()
        sockets.turns.clear()
    assert sockets.at_once_max == 1


def time_away(sockets: Sockets) -> float:
    """Be away until somebody stands in; return how long that took: a busy machine adds to it."""
    began = time.monotonic()
    sockets.stand_in.leave()
    wait_until(lambda: sockets.stand_in.is_there)
    took = time.monotonic() - began
    sockets.stand_in.back()
    return took


def test_it_looks_often_where_it_has_just_stood_in(sockets: Sockets) -> None:
    """A disk that is slow once is slow again: nobody waits for the next look of a quiet time."""
    took = [time_away(sockets)]
    for _ in range(7):
        time.sleep(AWAY_MS_MAX / 4000)
        took.append(time_away(sockets))
    assert min(took[1:]) < 8 * AWAY_MS_MAX / 1000, took


def test_it_looks_often_where_there_is_something_to_look_at(sockets: Sockets) -> None:
    """After a quarter of a second at most, and while there is traffic after some milliseconds."""
    took = []
    for _ in range(3):
        for _ in range(15):  # it has seen by then that there is traffic
            sockets.stand_in.leave()
            sockets.stand_in.back()
            time.sleep(AWAY_MS_MAX / 1000)
        took.append(time_away(sockets))
    assert min(took) < 8 * AWAY_MS_MAX / 1000, took


def test_what_it_stumbles_over_is_raised_where_it_is_heard(sockets: Sockets) -> None:
    """The thread that serves ends as if it had stumbled itself; none ends silently."""
    sockets.fault = RuntimeError("on purpose")
    sockets.stand_in.leave()
    wait_until(lambda: sockets.stand_in.is_there)
    sockets.woken.release()
    wait_until(lambda: not sockets.stand_in.is_there)
    with pytest.raises(RuntimeError, match="on purpose"):
        sockets.stand_in.back()


def test_it_ends_also_where_it_stands_in(sockets: Sockets) -> None:
    """Who fails on the way back leaves nobody behind at the sockets."""
    sockets.stand_in.leave()
    wait_until(lambda: sockets.stand_in.is_there)
    sockets.stand_in.close()
    assert not sockets.stand_in.is_there
