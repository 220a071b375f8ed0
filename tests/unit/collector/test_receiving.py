# SPDX-License-Identifier: Apache-2.0
"""The post path against a sequencer that fails or is busy; all else is tested over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.material import signed, statement, wire

from tallystick.collector.meters import METERS
from tallystick.collector.parsing import Parsing
from tallystick.collector.receiving import (
    Receiving,
    Settle,
    _lines_of,
)
from tallystick.errors import StoreBusyError, StoreError
from tallystick.limits import BATCH_RECEIPTS_MAX
from tallystick.model.submission import Batch, Placed, Submission
from tallystick.serve.access import Gate
from tallystick.serve.body import BodyDoor
from tallystick.serve.metrics import Meters
from tallystick.serve.problem import Refusal
from tallystick.serve.rate import RateLimit


class Sequencer:
    """Another one than ours: gives places out of its head, or fails."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault
        self.calls: list[int] = []

    async def place(self, submission: Submission, /) -> Placed:
        return (await self.place_all([submission]))[0]

    async def place_all(self, submissions: Sequence[Submission], /) -> list[Placed]:
        self.calls.append(len(submissions))
        if self.fault is not None:
            raise self.fault
        batch = Batch(0, len(submissions), 1, bytes(32))
        return [
            Placed(
                index=index,
                batch=batch,
                leaf_hash=bytes(32),
                entry=b"e",
                path_text=b"",
                is_new=True,
            )
            for index, _ in enumerate(submissions)
        ]

    def ask(self, submissions: Sequence[Submission], settle: Settle, /) -> None:
        raise AssertionError("posts that are whole are for test_posting")

    def promise_file(self, placed: Placed, /) -> bytes:
        return b"promise %d" % placed.index

    def promise_json(self, placed: Placed, /) -> bytes:
        return b'"%b"' % self.promise_file(placed)


def receiving(sequencer: Sequencer, room: int = 1000_000) -> Receiving:
    meters = Meters(METERS)
    return Receiving(
        sequencer,
        Gate(is_open=True),
        meters,
        Parsing(2000, meters),
        rate=RateLimit(0, 1, lambda: 0.0),
        door=BodyDoor(room),
        body_bytes_max=2000,
    )


def scope(kind: bytes) -> dict[str, Any]:
    return {"headers": [(b"content-type", kind)]}


def sent(body: bytes) -> Any:
    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


RECEIPT = wire(signed(statement()))


@pytest.mark.parametrize("fault", [StoreError("x"), StoreBusyError("x")])
def test_a_failure_is_not_an_answer(fault: Exception) -> None:
    """Nothing is acknowledged; and the room of the body is free again, however often it fails."""
    takes = receiving(Sequencer(fault), room=len(RECEIPT))
    for _ in range(3):
        with pytest.raises(StoreError):
            asyncio.run(takes.take_one(scope(b"application/json"), sent(RECEIPT)))


def test_one_tenant_leaves_room_to_others() -> None:
    """Posts, single ones and batches, count for whoever sends them, until they are answered."""
    takes = receiving(Sequencer(), room=20 * len(RECEIPT))
    for _ in range(15):
        takes.begin("greedy", RECEIPT)
    with pytest.raises(Refusal, match="one caller"):
        takes.begin("greedy", RECEIPT)
    for kind, take in (
        (b"application/json", takes.take_one),
        (b"application/jsonl", takes.take_batch),
    ):
        asyncio.run(take(scope(kind), sent(RECEIPT)))
    for _ in range(10):
        takes.end(takes.begin("modest", RECEIPT))
    assert takes._door._held == {"greedy": 15 * len(RECEIPT)}


def test_a_batch_is_one_call() -> None:
    """All good lines go to the sequencer at once; none of them where none is good."""
    sequencer = Sequencer()
    takes = receiving(sequencer)
    body = b"\n".join([RECEIPT, b"x", RECEIPT])
    status, _, answer = asyncio.run(takes.take_batch(scope(b"application/jsonl"), sent(body)))
    assert status == 200
    assert sequencer.calls == [2]
    lines = [json.loads(line) for line in answer.splitlines()]
    assert [one.get("promise") for one in lines] == ["promise 0", None, "promise 1"]
    asyncio.run(takes.take_batch(scope(b"application/jsonl"), sent(b"x\ny")))
    assert sequencer.calls == [2]


def test_a_line_has_the_cap_of_a_body() -> None:
    """413 for that line alone."""
    body = RECEIPT + b"\n" + b'"' + b"x" * 2000 + b'"'
    takes = receiving(Sequencer())
    _, _, answer = asyncio.run(takes.take_batch(scope(b"application/x-ndjson"), sent(body)))
    assert [json.loads(line)["status"] for line in answer.splitlines()] == [201, 413]


@pytest.mark.parametrize("line", [b"1\n", b"\n"])
def test_lines_are_counted_before_they_are_read(line: bytes) -> None:
    """Too many are 413, blank ones among them, and nothing of them is stored."""
    sequencer = Sequencer()
    body = line * (BATCH_RECEIPTS_MAX + 1)
    with pytest.raises(Refusal) as caught:
        asyncio.run(receiving(sequencer).take_batch(scope(b"application/jsonl"), sent(body)))
    assert (caught.value.name, sequencer.calls) == ("too-large", [])


@settings(max_examples=200)
@given(st.lists(st.binary(max_size=3) | st.sampled_from([b" ", b"\r", b"{}", b" {} \r"])))
def test_lines_are_found_as_each_by_itself(pieces: list[bytes]) -> None:
    """Whether all are bare or some have blanks around them: the same lines, the same numbers."""
    body = b"\n".join(pieces)
    numbers, lines = _lines_of(body)
    stripped = [line.strip(b" \t\r") for line in body.split(b"\n")]
    assert [*zip(numbers, lines, strict=True)] == [
        (number, line) for number, line in enumerate(stripped, start=1) if line
    ]
