# SPDX-License-Identifier: Apache-2.0
"""Connections that are lent, kept, aged and given up."""

from __future__ import annotations

import gc
import socket
import threading
import time

import pytest
from tests.misbehaving import (
    Behaviour,
    Collector,
    Exchange,
    answer,
    closing,
    drop,
    raw,
    wait_for_end,
)

from tallystick.deliver.answer import Request, WireFault
from tallystick.deliver.pool import Pool
from tallystick.deliver.wire import (
    Connection,
)
from tallystick.limits import IDLE_MS_MAX

REQUEST = Request("POST /", "c.example")
OK = b"HTTP/1.1 201 X\r\nContent-Length: 0\r\n\r\n"


class Lent:
    """A pool in front of a collector, with clocks that can be put forward."""

    def __init__(self, collector: Collector, **settings: int) -> None:
        self.ahead_s = 0.0
        self.ahead_by_day_s = 0.0
        self.collector = collector
        self.pool = Pool(
            self.connect,
            clock=lambda: time.time_ns() + int(self.ahead_by_day_s * 1e9),
            monotonic=self.monotonic,
            **settings,
        )

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead_s

    def connect(self, deadline: float) -> Connection:
        connected = socket.create_connection(("127.0.0.1", self.collector.port))
        return Connection(connected, self.monotonic)

    def post(self, within_s: float = 5.0) -> int:
        return self.pool.exchange(REQUEST, b"{}", self.monotonic() + within_s).status


def test_one_connection_serves_many_requests() -> None:
    """What is idle is lent again."""
    with Collector() as collector:
        lent = Lent(collector)
        assert [lent.post() for _ in range(5)] == [201] * 5
    assert collector.connections == 1


def test_as_many_as_are_needed_at_once() -> None:
    """Callers at the same time have connections of their own; the last one used is lent first."""
    together = threading.Barrier(3)

    def meeting(exchange: Exchange) -> bool:
        together.wait(5)
        return answer(201)(exchange)

    with Collector(meeting, meeting, meeting, answer(201)) as collector:
        lent = Lent(collector)
        threads = [threading.Thread(target=lent.post) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(5)
        for _ in range(5):
            lent.post()
        assert collector.connections == 3
        lent.pool.close()


@pytest.mark.parametrize("clock", ["ahead_s", "ahead_by_day_s"])
def test_old_connections_are_not_lent(clock: str) -> None:
    """Either clock can say that a connection has been idle for too long."""
    with Collector() as collector:
        lent = Lent(collector)
        lent.post()
        setattr(lent, clock, IDLE_MS_MAX / 1000 - 5)
        lent.post()
        assert collector.connections == 1
        setattr(lent, clock, 2 * IDLE_MS_MAX / 1000)
        lent.post()
        assert collector.connections == 2


def test_noisy_connections_are_not_lent() -> None:
    """Bytes that nobody asked for are never read as an answer."""

    def chatty(exchange: Exchange) -> bool:
        exchange.send(OK)
        time.sleep(0.03)
        return exchange.send(OK)

    with Collector(chatty, answer(409)) as collector:
        lent = Lent(collector)
        assert lent.post() == 201
        time.sleep(0.1)
        assert lent.post() == 409
    assert collector.connections == 2


@pytest.mark.parametrize("end", [drop, closing(answer(201))])
def test_a_kept_connection_that_was_closed_is_replaced(end: Behaviour) -> None:
    """Closed before the request, or under it: sent on a fresh connection, once."""
    with Collector(answer(201), end, answer(201)) as collector:
        lent = Lent(collector)
        assert [lent.post() for _ in range(4)] == [201] * 4
    assert collector.connections == 2


def test_all_idle_connections_are_given_up_together() -> None:
    """A collector that restarted has closed them all: only one of them is tried."""
    together = threading.Barrier(4)

    def meeting(exchange: Exchange) -> bool:
        together.wait(5)
        return answer(201)(exchange)

    with Collector(*[meeting] * 4, drop, answer(201)) as collector:
        lent = Lent(collector)
        threads = [threading.Thread(target=lent.post) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(5)
        assert lent.post() == 201
        assert len(lent.pool._idle) == 1
    assert len(collector.requests) == 6


def test_a_fresh_connection_is_not_tried_twice() -> None:
    """Closed without an answer right after connecting: that is an attempt."""
    with Collector(drop) as collector:
        lent = Lent(collector)
        with pytest.raises(WireFault) as caught:
            lent.post()
    assert caught.value.fate == "stale"
    assert collector.connections == 1


def test_faults_give_the_turn_back() -> None:
    """A pool of one serves on after any number of failures."""
    with Collector(*[raw(b"nonsense")] * 5, answer(201)) as collector:
        lent = Lent(collector, size=1)
        for _ in range(5):
            with pytest.raises(WireFault):
                lent.post()
        assert lent.post() == 201


def test_who_finds_all_busy_waits_for_a_while() -> None:
    """One connection allowed and in use: the second caller is told when its time is over."""
    go_on = threading.Event()

    def when_told(exchange: Exchange) -> bool:
        go_on.wait(10)
        return answer(201)(exchange)

    with Collector(when_told) as collector:
        lent = Lent(collector, size=1)
        first = threading.Thread(target=lent.post)
        first.start()
        while not collector.requests:
            time.sleep(0.001)
        with pytest.raises(WireFault, match="all 1 connections busy") as caught:
            lent.post(0.05)
        assert caught.value.fate == "again"
        go_on.set()
        first.join(5)
        assert lent.post() == 201
    assert collector.connections == 1


def has_ended(ends: list[float]) -> Behaviour:
    """Answer, and note when the other side has closed the connection."""

    def behaviour(exchange: Exchange) -> bool:
        exchange.send(OK)
        wait_for_end(exchange)
        if not exchange.is_over.is_set():
            ends.append(time.monotonic())
        return False

    return behaviour


def wait_for(ends: list[float], count: int) -> None:
    until = time.monotonic() + 5
    while len(ends) < count:
        assert time.monotonic() < until, "a connection was not closed"
        time.sleep(0.002)


def test_closing_closes_what_is_idle_and_what_comes_back() -> None:
    """After `close` no connection stays open."""
    ends: list[float] = []
    with Collector(has_ended(ends)) as collector:
        lent = Lent(collector)
        lent.post()
        lent.pool.close()
        wait_for(ends, 1)
        lent.post()
        wait_for(ends, 2)


def test_a_pool_that_is_forgotten_closes_its_connections() -> None:
    """Nothing stays open, and nobody is warned of it."""
    ends: list[float] = []
    with Collector(has_ended(ends)) as collector:
        lent = Lent(collector)
        lent.post()
        del lent.pool
        gc.collect()
        wait_for(ends, 1)
