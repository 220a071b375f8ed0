# SPDX-License-Identifier: Apache-2.0
"""Posts that a connection hands over whole, against a sequencer that fails or is busy.

`test_app` sends each of its posts through a real connection, once this way and once the other.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from tests.material import signed, statement, wire

from tallystick.collector.meters import METERS
from tallystick.collector.parsing import Parsing
from tallystick.collector.posting import Posting
from tallystick.collector.receiving import Receiving, Settle
from tallystick.errors import StoreBusyError, StoreError, StoreStoppedError
from tallystick.model.submission import Batch, Placed, Submission
from tallystick.serve.access import Gate
from tallystick.serve.body import BodyDoor
from tallystick.serve.metrics import Meters
from tallystick.serve.rate import RateLimit
from tallystick.serve.tokens import ANONYMOUS

RECEIPT = wire(signed(statement()))
HEAD = {b"content-type": b"application/json", b"content-length": b"9"}
PLACED = Placed(
    index=0, batch=Batch(0, 1, 1, bytes(32)), leaf_hash=bytes(32), entry=b"e", path_text=b"",
    is_new=True,
)  # fmt: skip


class Sequencer:
    """Another one than ours: remembers who asks, and fails where it is told to."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault
        self.asked: list[Settle] = []
        self.promise = b"promise"

    def ask(self, _submissions: Sequence[Submission], settle: Settle, /) -> None:
        if self.fault is not None:
            raise self.fault
        self.asked.append(settle)

    async def place(self, submission: Submission, /) -> Placed:
        raise AssertionError("not for posts that are whole")

    async def place_all(self, submissions: Sequence[Submission], /) -> list[Placed]:
        raise AssertionError("not for posts that are whole")

    def promise_file(self, _placed: Placed, /) -> bytes:
        return self.promise

    def promise_json(self, _placed: Placed, /) -> bytes:
        return b'"%b"' % self.promise


class World:
    """A posting, what it answered, and what it noted."""

    def __init__(self, sequencer: Sequencer, gate: Gate | None = None) -> None:
        self.fault: str | None = None
        self.noted: list[int] = []
        self.answers: list[tuple[int, dict[bytes, bytes], Any]] = []
        meters = Meters(METERS)
        self.taken = 0
        receiving = Receiving(
            sequencer,
            gate or Gate(is_open=True),
            meters,
            Parsing(2000, meters),
            rate=RateLimit(1, 3, lambda: 0.0),
            door=BodyDoor(len(RECEIPT)),
            body_bytes_max=2000,
        )
        self.posting = Posting(
            receiving,
            sequencer,
            fault=lambda: self.fault,
            note=lambda status, _started: self.noted.append(status),
        )

    def post(self, body: bytes = RECEIPT) -> None:
        self.posting.take(ANONYMOUS, body, self._reply)

    def _reply(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        assert dict(headers)[b"content-length"] == b"%d" % len(body)
        self.answers.append((status, dict(headers), json.loads(body)))

    @property
    def told(self) -> tuple[int, str]:
        """Status and problem of the only answer."""
        (found,) = self.answers
        assert self.noted == [found[0]]
        self.answers, self.noted = [], []
        return found[0], found[2].get("type", "").rpartition(":")[2]


def test_a_post_is_answered_when_it_has_its_place() -> None:
    """Not before; and its room is taken until then."""
    sequencer = Sequencer()
    world = World(sequencer)
    world.post()
    assert world.answers == []
    world.post()
    assert world.told == (503, "busy")  # there is room for one
    sequencer.asked[0]([PLACED], None)
    ((status, headers, answer),) = world.answers
    assert (status, answer["promise"], world.noted) == (201, "promise", [201])
    assert headers[b"location"] == b"/receipts/leaf/" + b"0" * 64
    world.post()
    assert len(sequencer.asked) == 2


@pytest.mark.parametrize(
    ("fault", "status", "problem"),
    [
        (StoreBusyError("secret of ours"), 503, "busy"),
        (StoreError("secret of ours"), 503, "store-unavailable"),
        (StoreStoppedError("secret of ours"), 503, "store-unavailable"),
        (RuntimeError("secret of ours"), 500, "internal"),
    ],
)
@pytest.mark.parametrize("is_late", [False, True])
def test_what_fails_is_an_answer(
    fault: Exception, status: int, problem: str, is_late: bool
) -> None:
    """While it is taken, or when it was committed: told without its words, and nothing is held."""
    sequencer = Sequencer(None if is_late else fault)
    world = World(sequencer)
    for _ in range(3):
        world.post()
        if is_late:
            sequencer.asked.pop()(None, fault)
        assert "secret" not in str(world.answers)
        assert world.told == (status, problem)


def test_a_commit_without_a_reason_is_none() -> None:
    """Neither places nor a fault: nobody is told that it was stored."""
    sequencer = Sequencer()
    world = World(sequencer)
    world.post()
    sequencer.asked[0](None, None)
    assert world.told == (503, "store-unavailable")


def test_one_error_for_many_does_not_grow() -> None:
    """All of a commit may be told the same: it would have a longer trace with each."""
    sequencer, fault = Sequencer(), RuntimeError("secret of ours")
    world = World(sequencer)
    world.post()
    sequencer.asked[0](None, fault)
    assert world.told == (500, "internal")
    assert fault.__traceback__ is None


def test_an_answer_that_can_t_be_made_is_500() -> None:
    """What stands behind it goes on: each who waits is told."""
    sequencer = Sequencer()
    world = World(sequencer)
    world.post()
    sequencer.promise = b'"'  # no JSON
    sequencer.promise_json = None  # type: ignore[assignment, method-assign]  # a fault of ours
    sequencer.asked[0]([PLACED], None)
    assert world.told == (500, "internal")


def test_what_is_refused_never_comes_to_the_store() -> None:
    """Malformed, too large, over the rate, or while nothing is taken."""
    sequencer = Sequencer()
    world = World(sequencer)
    world.post(b"{}")
    assert world.told == (400, "malformed-receipt")
    world.post(RECEIPT + b" " * 2000)
    assert world.told == (413, "too-large")
    world.post(b"")
    assert world.told == (400, "empty-body")
    world.post()
    assert world.told == (429, "too-many-requests")
    world.fault = "a test"
    world.post()
    assert world.told == (503, "store-unavailable")
    assert sequencer.asked == []


def test_only_what_is_usual_is_let_in() -> None:
    """All else is for the application, which says what is wrong with it."""
    admit = World(Sequencer()).posting.admit
    assert admit(HEAD, {}) == ANONYMOUS
    assert admit({**HEAD, b"content-type": b"Application/JSON; charset=utf-8"}, {}) == ANONYMOUS
    for head in (
        {},
        {b"content-type": b"text/plain"},
        {**HEAD, b"content-encoding": b"gzip"},
        {**HEAD, b"authorization": b"Bearer tally_x_y"},
        {**HEAD, b"x-api-key": b"tally_x_y"},
    ):
        assert admit(head, {}) is None
    assert World(Sequencer(), Gate()).posting.admit(HEAD, {}) is None
    broken = Gate(certificates={"one": "tenant"}, is_open=True)
    broken.admit = None  # type: ignore[assignment, method-assign]  # a fault of ours
    assert World(Sequencer(), broken).posting.admit({**HEAD, b"x-api-key": b"a"}, {}) is None
    certified = World(Sequencer(), Gate(certificates={"one": "tenant"})).posting
    assert certified.admit(HEAD, {"certificate": ("one",)}) == "tenant"
    assert certified.admit(HEAD, {"certificate": ("two",)}) is None
    opened = World(Sequencer(), Gate(certificates={"one": "tenant"}, is_open=True)).posting
    assert opened.admit(HEAD, {"certificate": ("one",)}) == "tenant"
