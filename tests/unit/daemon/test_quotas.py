# SPDX-License-Identifier: Apache-2.0
"""Who may be read, and who has to wait."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest

from tallystick.daemon.connection import READ_BYTES, Connection
from tallystick.daemon.inbound import Inbound
from tallystick.daemon.peer import attest
from tallystick.daemon.quotas import Bounds, Quotas, share_of


@pytest.fixture
def quotas() -> Quotas:
    return Quotas(
        Bounds(frames=10, user_frames=6, held=4 * READ_BYTES, user_held=2 * READ_BYTES, unsent=100)
    )


@pytest.fixture
def connection_of(quotas: Quotas) -> Iterator[Callable[[int], Connection]]:
    sockets: list[socket.socket] = []

    def make(uid: int) -> Connection:
        here, there = socket.socketpair()
        here.setblocking(False)
        sockets.extend((here, there))
        return Connection(here, attest(here), quotas.account_of(uid), 0)

    yield make
    for one in sockets:
        one.close()


def test_a_flood_holds_up_itself(
    quotas: Quotas, connection_of: Callable[[int], Connection]
) -> None:
    """Who has frames in line waits for them; who has none may always add one read."""
    flood, calm = connection_of(7), connection_of(7)
    flood.frames = 6
    quotas.count(flood.account, 6, 100)
    assert quotas.is_over(flood)
    assert not quotas.is_over(calm)
    quotas.count(flood.account, -6, -100)
    flood.frames = 0
    assert not quotas.is_over(flood)


def test_one_user_does_not_take_it_all(
    quotas: Quotas, connection_of: Callable[[int], Connection]
) -> None:
    """Bytes of one user have a bound of their own, below that of all."""
    greedy, other = connection_of(7), connection_of(8)
    quotas.count(greedy.account, 1, 2 * READ_BYTES)
    assert quotas.is_over(greedy)
    assert not quotas.is_over(other)


def test_all_users_together_have_a_bound(
    quotas: Quotas, connection_of: Callable[[int], Connection]
) -> None:
    """Each is within its own; what they have in line together still has an end."""
    one, other, calm = connection_of(7), connection_of(8), connection_of(8)
    for each in (one, other):
        each.frames = 5
        assert not quotas.is_over(each)
        quotas.count(each.account, 5, 100)
    assert quotas.is_over(one)
    assert quotas.is_over(other)
    assert not quotas.is_over(calm)


def test_bytes_of_all_users_together_have_a_bound(
    quotas: Quotas, connection_of: Callable[[int], Connection]
) -> None:
    """One read more has to fit, and is taken where it just does."""
    users = [connection_of(uid) for uid in range(5)]
    for one in users[:4]:
        assert not any(quotas.is_over(each) for each in users)
        quotas.count(one.account, 1, READ_BYTES)
    assert all(quotas.is_over(each) for each in users)


def test_unfinished_frames_can_not_block_each_other(
    quotas: Quotas, connection_of: Callable[[int], Connection]
) -> None:
    """Where only halves of frames are held, one at a time goes on, until it is whole or over."""
    halves = [connection_of(7) for _ in range(3)]
    for one in halves:
        one.inbound.take(b"\0\1\0\0half")
        quotas.count(one.account, 0, READ_BYTES)
    assert [quotas.is_over(one) for one in halves] == [False, True, True]
    halves[0].is_ended = True
    assert [quotas.is_over(one) for one in halves[1:]] == [False, True]
    halves[1].inbound = Inbound()
    assert [quotas.is_over(one) for one in (halves[2], halves[1])] == [False, True]


def test_answers_that_nobody_takes_count(
    quotas: Quotas, connection_of: Callable[[int], Connection]
) -> None:
    """But at the end of the daemon all that was sent is read, answers or not."""
    deaf = connection_of(7)
    deaf.answer(bytes(5_000_000))
    assert quotas.is_over(deaf)
    assert not quotas.is_over(deaf, counts_answers=False)


def test_accounts_are_forgotten(quotas: Quotas, connection_of: Callable[[int], Connection]) -> None:
    """Nothing is kept of a user who has neither connections nor frames."""
    account = connection_of(7).account
    quotas.count(account, 1, 1)
    quotas.forget(account)
    assert quotas.account_of(7) is account
    quotas.count(account, -1, -1)
    account.connections = 1
    quotas.forget(account)
    assert quotas.account_of(7) is account
    account.connections = 0
    quotas.forget(account)
    assert quotas.account_of(7) is not account
    assert share_of(100) == 75
