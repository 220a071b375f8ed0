# SPDX-License-Identifier: Apache-2.0
"""`POST /receipts` and `POST /receipts/batch`: from bytes to a durable place, and the answer.

The path that every receipt takes, so it is plain ASGI and does nothing twice. The answer is made
only from what `place` returned, and `place` returns after stable storage.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final, Protocol

import msgspec

from tallystick.collector.ingest import parse_submission
from tallystick.collector.parsing import Parsing
from tallystick.limits import BATCH_BODY_BYTES_MAX, BATCH_RECEIPTS_MAX
from tallystick.model.submission import Placed, Submission
from tallystick.serve.access import Gate
from tallystick.serve.body import BodyDoor, check_media_type
from tallystick.serve.logs import event
from tallystick.serve.metrics import Meters
from tallystick.serve.problem import PROBLEMS, TYPE_PREFIX, Headers, Refusal
from tallystick.serve.rate import RateLimit
from tallystick.serve.tokens import ANONYMOUS

RECEIPT_TYPES: Final = frozenset({b"application/ld+json", b"application/json"})
BATCH_TYPES: Final = frozenset({b"application/x-ndjson", b"application/jsonl"})

_BLANK: Final = b" \t\r\n"
# A line's first and last byte, and what they are where it is to be stripped.
_FIRST: Final = itemgetter(0)
_LAST: Final = itemgetter(-1)
_ENDS: Final = frozenset(_BLANK)

Answer = tuple[int, Headers, bytes]
# Is told the places once they are durable, or why there are none; on the loop, and only once.
Settle = Callable[[Sequence[Placed] | None, Exception | None], None]


class Sequencing(Protocol):
    """What gives receipts their place: returns after stable storage, or raises `StoreError`."""

    async def place(self, submission: Submission, /) -> Placed:
        """Place one receipt; others that come at the same time share its commit."""
        ...

    async def place_all(self, submissions: Sequence[Submission], /) -> list[Placed]:
        """Place several in one commit."""
        ...

    def ask(self, submissions: Sequence[Submission], settle: Settle, /) -> None:
        """Do the same, and tell `settle` the places, or why there are none."""
        ...

    def promise_file(self, placed: Placed, /) -> bytes:
        """Return the signed promise of a place, the same bytes each time."""
        ...

    def promise_json(self, placed: Placed, /) -> bytes:
        """Return the same as a JSON text."""
        ...


class _Stored(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The body of a 201, and of one line of a batch."""

    id: str
    receipt_hash: str
    entry: bytes  # base64 on the wire
    promise: msgspec.Raw  # a text
    shares_id: bool = False
    shares_position: bool = False
    line: int | None = None
    status: int | None = None


class _Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a batch that was not stored now."""

    line: int
    status: int
    type: str
    title: str
    detail: str
    code: str = ""
    where: str = ""
    id: str = ""
    receipt_hash: str = ""
    entry: bytes = b""
    promise: str = ""


_Raw: Final = msgspec.Raw
_ENCODE: Final = msgspec.json.Encoder().encode
_ENCODE_LINES: Final = msgspec.json.Encoder().encode_lines

# How much of a batch is answered in one go.
_LINES_AT_ONCE: Final = 64


class Receiving:
    """Takes receipts for a sequencer."""

    def __init__(
        self,
        sequencer: Sequencing,
        gate: Gate,
        meters: Meters,
        parsing: Parsing,
        *,
        rate: RateLimit,
        door: BodyDoor,
        body_bytes_max: int,
    ) -> None:
        self._sequencer = sequencer
        self._gate = gate
        self._meters = meters
        self._parsing = parsing
        self._rate = rate
        self._door = door
        self._body_bytes_max = body_bytes_max

    async def take_one(self, scope: Any, receive: Any) -> Answer:
        """Answer `POST /receipts`, or raise `Refusal` or `StoreError`."""
        headers = scope["headers"]
        tenant = self._gate.admit(scope, "write").tenant
        check_media_type(headers, RECEIPT_TYPES)
        self._slow_down(tenant, 1)
        body = await self._door.read(headers, receive, self._body_bytes_max, tenant)
        try:
            submission = parse_submission(tenant, body)
            placed = await self._sequencer.place(submission)
        finally:
            self._door.leave(len(body), tenant)
        return self.answer_one(submission, placed)

    def admit(self, head: Mapping[bytes, bytes], state: Mapping[str, Any]) -> str:
        """Return whose receipt may be posted with such a head, or raise `Refusal`."""
        if head.get(b"content-type") in RECEIPT_TYPES and b"content-encoding" not in head:
            if self._gate.admits_anyone(head, state):
                return ANONYMOUS
        else:
            check_media_type(list(head.items()), RECEIPT_TYPES)
        return self._gate.admit({"headers": list(head.items()), "state": state}, "write").tenant

    def begin(self, tenant: str, body: bytes) -> Submission:
        """Take in a post that is whole, of whom `admit` let in; then, or raise as `take_one` does.

        Its room is taken until `end`.
        """
        self._slow_down(tenant, 1)
        self._door.enter(len(body), self._body_bytes_max, tenant)
        try:
            return parse_submission(tenant, body)
        except BaseException:
            self._door.leave(len(body), tenant)
            raise

    def end(self, submission: Submission) -> None:
        """Give back the room of a post."""
        self._door.leave(len(submission.body), submission.tenant)

    def answer_one(self, submission: Submission, placed: Placed) -> Answer:
        """Return the answer to a post that has its place, or raise `Refusal` where it had it."""
        self._note(((submission, placed),))
        if not placed.is_new:
            members = {
                "id": submission.receipt_id,
                "receipt_hash": submission.receipt_hash,
                "entry": placed.entry,
                "promise": self._sequencer.promise_file(placed).decode(),
            }
            raise Refusal("already-stored", "nothing has changed", members=members)
        answer = _ENCODE(
            _Stored(
                submission.receipt_id,
                submission.receipt_hash,
                placed.entry,
                _Raw(self._sequencer.promise_json(placed)),
                placed.shares_id,
                placed.shares_position,
            )
        )
        return 201, _headers(b"application/json", len(answer), placed), answer

    async def take_batch(self, scope: Any, receive: Any) -> Answer:
        """Answer `POST /receipts/batch`: one status for each line, one commit for all of them."""
        import asyncio

        headers = scope["headers"]
        tenant = self._gate.admit(scope, "write").tenant
        check_media_type(headers, BATCH_TYPES)
        self._slow_down(tenant, 0)
        body = await self._door.read(headers, receive, BATCH_BODY_BYTES_MAX, tenant)
        try:
            numbers, lines = _lines_of(body)
            if not lines:
                raise Refusal("empty-body", "no line holds a receipt")
            self._slow_down(tenant, len(lines))
            found = await self._parsing.parse(tenant, lines)
            parsed = list(zip(numbers, found, strict=True))
            good = [one for _, one in parsed if isinstance(one, Submission)]
            placed = iter(await self._sequencer.place_all(good) if good else ())
        finally:
            self._door.leave(len(body), tenant)
        parts: list[bytes] = []
        for start in range(0, len(parsed), _LINES_AT_ONCE):
            parts.append(self._answer_part(parsed[start : start + _LINES_AT_ONCE], placed))
            await asyncio.sleep(0)
        answer = b"".join(parts)
        return 200, _headers(b"application/x-ndjson", len(answer)), answer

    def _answer_part(
        self, parsed: Sequence[tuple[int, Submission | Refusal]], places: Iterator[Placed]
    ) -> bytes:
        """Return the lines that answer some lines of a batch, and count what was stored."""
        promise_json = self._sequencer.promise_json
        stored: list[tuple[Submission, Placed]] = []
        lines: list[_Stored | _Problem] = []
        for number, one in parsed:
            if isinstance(one, Refusal):
                lines.append(_line_of_refusal(number, one))
                continue
            placed = next(places)
            stored.append((one, placed))
            if not placed.is_new:
                lines.append(self._line_of_known(number, one, placed))
                continue
            lines.append(
                _Stored(
                    one.receipt_id,
                    one.receipt_hash,
                    placed.entry,
                    _Raw(promise_json(placed)),
                    placed.shares_id,
                    placed.shares_position,
                    number,
                    201,
                )
            )
        self._note(stored)
        return _ENCODE_LINES(lines)

    def _line_of_known(self, number: int, submission: Submission, placed: Placed) -> _Problem:
        problem = PROBLEMS["already-stored"]
        return _Problem(
            line=number,
            status=problem.status,
            type=TYPE_PREFIX + problem.name,
            title=problem.title,
            detail="nothing has changed",
            id=submission.receipt_id,
            receipt_hash=submission.receipt_hash,
            entry=placed.entry,
            promise=self._sequencer.promise_file(placed).decode(),
        )

    def _slow_down(self, tenant: str, count: int) -> None:
        wait_s = self._rate.take(tenant, count)
        if wait_s:
            raise Refusal("too-many-requests", f"try again in {wait_s} s", retry_after_s=wait_s)

    def _note(self, stored: Sequence[tuple[Submission, Placed]]) -> None:
        """Count what got its place, and log what stands where another stands."""
        count = self._meters.count
        new = size = 0
        for submission, placed in stored:
            if not placed.is_new:
                continue
            new += 1
            size += len(submission.body)
            if placed.shares_id or placed.shares_position:
                self._note_flags(submission, placed)
        if new:
            count("tally_receipts_total", "stored", by=new)
            count("tally_received_bytes_total", by=size)
        if new < len(stored):
            count("tally_receipts_total", "already_stored", by=len(stored) - new)

    def _note_flags(self, submission: Submission, placed: Placed) -> None:
        for name in ("shares_id", "shares_position"):
            if getattr(placed, name):
                self._meters.count("tally_receipts_total", name)
        event(
            logging.WARNING,
            "receipt_flagged",
            tenant=submission.tenant,
            receipt_id=submission.receipt_id,
            chain_id=submission.chain_id,
            sequence=submission.sequence,
            index=placed.index,
            shares_id=placed.shares_id,
            shares_position=placed.shares_position,
        )


def _lines_of(body: bytes) -> tuple[Sequence[int], list[bytes]]:
    """Return the lines of a batch that are not blank, and their numbers; or raise `Refusal`."""
    lines = body.split(b"\n", BATCH_RECEIPTS_MAX + 1)
    if len(lines) > BATCH_RECEIPTS_MAX + 1:  # blank lines, too, take their time
        raise _too_many()
    if not lines[-1]:
        lines.pop()
    numbers: Sequence[int] = range(1, len(lines) + 1)
    if b"" in lines or not _ENDS.isdisjoint({*map(_FIRST, lines), *map(_LAST, lines)}):
        stripped = [line.strip(_BLANK) for line in lines]
        numbers = [number for number, line in zip(numbers, stripped, strict=True) if line]
        lines = [line for line in stripped if line]
    if len(lines) > BATCH_RECEIPTS_MAX:
        raise _too_many()
    return numbers, lines


def _too_many() -> Refusal:
    detail = f"over the limit of {BATCH_RECEIPTS_MAX} receipts"
    return Refusal("too-large", detail, members={"limit": BATCH_RECEIPTS_MAX})


def _line_of_refusal(number: int, refusal: Refusal) -> _Problem:
    problem = PROBLEMS[refusal.name]
    members = refusal.members or {}
    return _Problem(
        line=number,
        status=problem.status,
        type=TYPE_PREFIX + problem.name,
        title=problem.title,
        detail=refusal.detail,
        code=members.get("code", ""),
        where=members.get("where", ""),
    )


def _headers(media_type: bytes, length: int, placed: Placed | None = None) -> Headers:
    headers = [
        (b"content-type", media_type),
        (b"content-length", b"%d" % length),
        (b"cache-control", b"no-store"),
    ]
    if placed is not None:
        leaf = placed.leaf_hash.hex().encode("ascii")
        headers.append((b"location", b"/receipts/leaf/" + leaf))
    return headers
