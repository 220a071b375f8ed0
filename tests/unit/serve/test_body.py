# SPDX-License-Identifier: Apache-2.0
"""Bodies: bounded one by one and all together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tallystick.serve.body import BodyDoor, ClientGone, check_media_type, header_of
from tallystick.serve.problem import Refusal


def receiving(*parts: bytes | None) -> Callable[[], Awaitable[Any]]:
    """Return an ASGI `receive` that gives these parts; None is a client that is gone."""
    left = list(parts)

    async def receive() -> Any:
        part = left.pop(0)
        if part is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": bool(left)}

    return receive


def read(door: BodyDoor, limit: int, *parts: bytes | None, length: bytes = b"") -> bytes:
    headers = [(b"content-length", length)] if length else []
    return asyncio.run(door.read(headers, receiving(*parts), limit))


def test_a_body_comes_whole_from_any_number_of_parts() -> None:
    """One part or several, up to the limit itself."""
    door = BodyDoor(10)
    assert read(door, 10, b"0123456789") == b"0123456789"
    door.leave(10)
    assert read(door, 10, b"01", b"", b"234", b"56789") == b"0123456789"
    door.leave(10)
    assert read(door, 10, b"") == b""


@pytest.mark.parametrize("parts", [(b"012345",), (b"0123", b"45"), (b"012345", b"")])
def test_more_than_the_limit_is_refused(parts: tuple[bytes, ...]) -> None:
    """However it is cut; and what it took is given back."""
    door = BodyDoor(100)
    with pytest.raises(Refusal) as caught:
        read(door, 5, *parts)
    assert (caught.value.name, caught.value.members) == ("too-large", {"limit": 5})
    assert read(door, 100, b"x" * 100)


def test_an_announced_length_is_believed_before_anything_is_read() -> None:
    """So that nobody sends a gigabyte to learn that it is too much."""

    async def never() -> Any:
        raise AssertionError("was read")

    for zeros in (0, 5000):
        assert read(BodyDoor(9), 5, b"abc", length=b"0" * zeros + b"3") == b"abc"
    with pytest.raises(Refusal):
        asyncio.run(BodyDoor(100).read([(b"content-length", b"6")], never, 5))


def test_all_bodies_share_one_room() -> None:
    """When it is full, clients are told to come back; then it is free again."""
    door = BodyDoor(10)
    read(door, 10, b"123456")
    for parts in ((b"12345",), (b"123", b"45")):
        with pytest.raises(Refusal) as caught:
            read(door, 10, *parts)
        assert caught.value.name == "busy"
    door.leave(6)
    assert len(read(door, 10, b"1234567890")) == 10


def test_nobody_gets_the_room_of_all() -> None:
    """One owner holds three times what it leaves; others find a place, and it does again later."""
    door = BodyDoor(100)
    for _ in range(15):
        door.enter(5, 5, "greedy")
    for size in (5, 1):
        with pytest.raises(Refusal) as caught:
            door.enter(size, 5, "greedy")
        assert (caught.value.name, "one caller" in caught.value.detail) == ("busy", True)
    for _ in range(3):
        door.enter(5, 5, "modest")
    door.leave(15, "modest")
    for _ in range(15):
        door.leave(5, "greedy")
    assert door._held == {}
    door.enter(75, 5 * 15, "greedy")


def test_a_body_that_is_not_whole_counts_for_its_owner() -> None:
    """What has come of it takes up room, and is given back where it is refused."""
    door = BodyDoor(100)
    headers: list[tuple[bytes, bytes]] = []
    assert asyncio.run(door.read(headers, receiving(b"x" * 35, b"x" * 25), 60, "greedy"))
    with pytest.raises(Refusal) as caught:
        asyncio.run(door.read(headers, receiving(b"x" * 10, b"x" * 10), 60, "greedy"))
    assert caught.value.name == "busy"
    assert len(asyncio.run(door.read(headers, receiving(b"x" * 15, b"x" * 15), 60, "modest"))) == 30


def test_one_body_may_be_as_large_as_all_the_room() -> None:
    """Who asks for bodies that large gets them, one at a time."""
    door = BodyDoor(100)
    assert asyncio.run(door.read([], receiving(b"x" * 50, b"x" * 50), 100, "one"))
    door.leave(100, "one")
    door.enter(100, 100, "one")


@pytest.mark.parametrize("parts", [(None,), (b"12", None)])
def test_a_client_that_goes_leaves_nothing(parts: tuple[bytes | None, ...]) -> None:
    """Nobody is answered, and no room is lost."""
    door = BodyDoor(10)

    async def receive() -> Any:
        part = left.pop(0)
        if part is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": True}

    left = list(parts)
    with pytest.raises(ClientGone):
        asyncio.run(door.read([], receive, 10))
    assert len(read(door, 10, b"1234567890")) == 10


def test_media_types() -> None:
    """The type must be one that is taken, and nothing may be packed."""
    taken = frozenset({b"application/json"})
    kind = (b"content-type", b"application/json")
    check_media_type([kind], taken)
    check_media_type([kind, (b"content-encoding", b"identity")], taken)
    check_media_type([(b"content-type", b"Application/JSON ; charset=x")], taken)
    for headers in (
        [],
        [(b"content-type", b"text/json")],
        [kind, (b"content-encoding", b"gzip")],
        [kind, (b"content-encoding", b"identity"), (b"content-encoding", b"br")],
    ):
        with pytest.raises(Refusal) as caught:
            check_media_type(headers, taken)
        assert caught.value.name == "wrong-media-type"
    assert header_of([kind], b"x") is None
