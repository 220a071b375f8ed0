# SPDX-License-Identifier: Apache-2.0
"""Receipts of one transaction: linked, signed, never earlier, and forgotten as a whole."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Sequence

import msgspec
import pytest
from tests.frames import body
from tests.ledgers import ISSUER, METHOD, NOON_MS, PEER
from tests.portions import PRINCIPAL, SETTINGS, ids_of, plain_frame, stated_frame

from tallystick import verify_chain
from tallystick.chain.straight import Checked
from tallystick.daemon.batch import Batch, Issuing, Place, going_on_from, ordered_ids
from tallystick.daemon.drafting import draft_receipt
from tallystick.errors import ReceiptError, SigningError
from tallystick.keys.local import LocalSigner, generate_key_pair
from tallystick.model.action import Action, EmitterMetadata
from tallystick.model.chain import Head
from tallystick.model.extension import Dropped, Extension, extension_of
from tallystick.model.taxonomy import EVENTS_DROPPED, check_emitted_type
from tallystick.ports import Signer

PAIR = generate_key_pair()
NOON = "2026-03-10T12:00:00.000Z"
DROPPED = Action(type=EVENTS_DROPPED, emitter_metadata=EmitterMetadata(drop_count=1))

READ = Action(type="filesystem.file.read", risk_level="low")


def new_batch(last_ms: int = 0, signer: Signer | None = None) -> Batch:
    """Return a batch that knows no chain yet."""
    signer = signer or LocalSigner(PAIR)
    issuing = Issuing(issuer_id=ISSUER, verification_method=METHOD, signer=signer)
    return Batch(issuing, lambda name: Place(head=Head(chain_id=name)), last_ms)


def test_receipts_link_and_verify() -> None:
    """Each builds on the one before it in its chain; rows hold the very bytes that were signed."""
    batch = new_batch()
    for _ in range(3):
        batch.add(batch.place("a"), batch.own(DROPPED), NOON_MS)
        batch.add(batch.place("b"), batch.own(DROPPED), NOON_MS)
    batch.end(batch.place("a"), "complete", NOON_MS)
    bodies = [str(row[10]).encode() for row in batch.rows]
    assert [row[1:3] for row in batch.rows] == [
        ("a", 1), ("b", 1), ("a", 2), ("b", 2), ("a", 3), ("b", 3), ("a", 4),
    ]  # fmt: skip
    chain = [json.loads(one) for one in bodies if b'"chain_id":"a"' in one]
    assert verify_chain(chain, PAIR.public_key).verdict == "verified"
    assert batch.place("a").is_terminal
    assert batch.place("a").head.hash == batch.rows[-1][11]


def test_time_does_not_go_back() -> None:
    """A moment before the last one counts as that one."""
    batch = new_batch(NOON_MS)
    batch.add(batch.place("a"), batch.own(DROPPED), NOON_MS - 5000)
    assert batch.last_ms == NOON_MS
    assert json.loads(batch.rows[0][10])["issuanceDate"] == "2026-03-10T12:00:00.000Z"


def test_a_mark_takes_everything_back() -> None:
    """What was added since is in no chain, and what raised has added nothing."""
    batch = new_batch()
    batch.add(batch.place("a"), batch.own(DROPPED), NOON_MS)
    mark, places = batch.mark(), dict(batch.places)
    batch.add(batch.place("a"), batch.own(DROPPED), NOON_MS + 9)
    batch.add(batch.place("b"), batch.own(DROPPED), NOON_MS + 9)
    with pytest.raises(ReceiptError):
        batch.add(batch.place("a"), batch.own(Action(type="no such type")), NOON_MS + 9)
    assert len(batch.rows) == 3
    batch.back_to(mark)
    assert (len(batch.rows), batch.places, batch.last_ms) == (1, places, NOON_MS)


class Together(LocalSigner):
    """A key that signs many at once, and notes how many."""

    def __init__(self) -> None:
        super().__init__(PAIR)
        self.counts: list[int] = []
        self.is_gone = False

    def sign_all(self, messages: Sequence[bytes]) -> list[bytes]:
        if self.is_gone:
            raise SigningError("gone")
        self.counts.append(len(messages))
        return [self.sign(one) for one in messages]


def checked() -> Checked:
    """Return a draft that a parser has seen."""
    draft = new_batch().own(READ, check_type=check_emitted_type)
    return Checked(draft)


def test_what_is_checked_is_signed_together() -> None:
    """In portions, before a row that is signed by itself, and before anybody sees the rows."""
    signer = Together()
    batch = new_batch(signer=signer)
    for number in range(134):
        draft = batch.own(DROPPED) if number in (0, 100) else checked()
        batch.add(batch.place("a"), draft, NOON_MS)
    mark = batch.mark()
    batch.add(batch.place("a"), checked(), NOON_MS)
    assert signer.counts == [64, 35]
    batch.back_to(mark)
    assert [row[2] for row in batch.rows] == [*range(1, 135)]
    assert signer.counts == [64, 35, 33]
    chain = [json.loads(str(row[10])) for row in batch.rows]
    assert verify_chain(chain, PAIR.public_key).verdict == "verified"


def test_no_row_is_ever_unsigned() -> None:
    """Where the key is gone, nobody gets rows; what was not taken is in no chain."""
    signer = Together()
    batch = new_batch(signer=signer)
    for _ in range(1 + 64):  # the first one begins the chain, and is signed by itself
        batch.add(batch.place("a"), checked(), NOON_MS)
    mark = batch.mark()
    for _ in range(63):
        batch.add(batch.place("a"), checked(), NOON_MS)
    signer.is_gone = True
    head = batch.place("a")
    with pytest.raises(SigningError, match="gone"):
        batch.add(head, checked(), NOON_MS)
    assert batch.place("a") == head
    with pytest.raises(SigningError, match="gone"):
        _ = batch.rows
    batch.back_to(mark)
    assert len(batch.rows) == 65


def test_the_first_receipt_names_the_chain_before() -> None:
    """The facts that a draft has already stay beside it; without a chain before nothing changes."""
    dropped = Dropped(
        reasons={"A": 1}, since="2026-03-10T12:00:00.000Z", until="2026-03-10T12:00:00.000Z"
    )
    draft = new_batch().own(DROPPED, facts=Extension(dropped=dropped))
    assert going_on_from(draft, None) is draft
    head = Head(chain_id="before", sequence=7, hash=f"sha256:{7:064x}")
    facts = extension_of(going_on_from(draft, head)["issuer"])
    assert facts is not None
    assert facts.dropped == dropped
    assert facts.previous_chain is not None
    assert (facts.previous_chain.chain_id, facts.previous_chain.sequence) == ("before", 7)


def test_ids_are_in_order_and_all_different() -> None:
    """UUIDs of version 7: those of later milliseconds sort behind, so an index grows at its end."""
    ids = [ordered_ids(moment)() for moment in (NOON_MS, NOON_MS + 1, NOON_MS + 2)]
    assert ids == sorted(ids)
    make = ordered_ids(NOON_MS)
    many = {make() for _ in range(1000)}
    assert len(many) == 1000
    assert all(one[14] == "7" and one[19] in "89ab" and len(one) == 36 for one in many)


def test_a_batch_that_is_over_leaves_no_garbage() -> None:
    """It holds receipts by the hundred: nothing in it may wait for the collector of cycles."""
    batch = new_batch()
    for _ in range(2):
        batch.add(batch.place("a"), batch.own(DROPPED), NOON_MS)
        batch.add(
            batch.place("a"), Checked(batch.own(READ), check_type=check_emitted_type), NOON_MS
        )
    left = weakref.ref(batch)
    gc.disable()
    try:
        del batch
        assert left() is None
    finally:
        gc.enable()


BODIES = [
    body(tool={"name": f"t{at}"}, error="no such file" if at % 3 else None, ack=True)
    for at in range(150)
]
OTHER = Head(chain_id="a", sequence=6, hash="sha256:" + "a" * 64)


@pytest.mark.parametrize("signer", [LocalSigner(PAIR), Together()])
def test_both_ways_give_the_same_rows(signer: Signer) -> None:
    """Stated ahead or here: all columns, and so all bytes and signatures, but for the ids."""
    plain, ahead = new_batch(signer=signer), new_batch(signer=signer)
    for one in BODIES:
        draft = draft_receipt(plain_frame(one).frame, PEER, PRINCIPAL, SETTINGS, is_parsed=True)
        plain.add(plain.place("a"), draft, NOON_MS)
    draft = draft_receipt(plain_frame(BODIES[0]).frame, PEER, PRINCIPAL, SETTINGS, is_parsed=True)
    first = plain.rows[0]
    ahead.add(ahead.place("a"), draft, NOON_MS)
    head = Head(chain_id="a", sequence=1, hash=str(first[11]))
    for one, row in zip(BODIES[1:], plain.rows[1:], strict=True):
        stated = stated_frame(one, make=ids_of(row[10]))
        answer = ahead.add_stated(head, stated)
        assert answer is not None
        assert (answer.id, answer.chain_id, answer.sequence, answer.hash) == (
            row[0], row[1], row[2], row[11],
        )  # fmt: skip
        head = ahead.place("a").head
    assert ahead.rows[1:] == plain.rows[1:]
    chain = [json.loads(str(row[10])) for row in [first, *ahead.rows[1:]]]
    assert verify_chain(chain, PAIR.public_key).verdict == "verified"
    assert ahead.place("a") == plain.place("a")


@pytest.mark.parametrize(("head", "last_ms", "stated_ms"), [
    (Head(chain_id="a"), 0, NOON_MS),
    (OTHER, NOON_MS + 1, NOON_MS),
    (OTHER, 0, NOON_MS - 1),
    (OTHER, 0, NOON_MS + 1),
])  # fmt: skip
def test_what_was_stated_for_another_place_is_not_taken(
    head: Head, last_ms: int, stated_ms: int
) -> None:
    """The first of a chain names what came before; a moment before the last one is that one."""
    batch = new_batch(last_ms)
    assert batch.add_stated(head, stated_frame(body(), stated_ms=stated_ms)) is None
    assert (batch.rows, batch.places, batch.last_ms) == ([], {}, last_ms)


def test_a_clock_that_went_back_is_met_by_who_stated() -> None:
    """For the moment of the receipt before it: there it fits, whenever its frame came in."""
    batch = new_batch(NOON_MS)
    stated = stated_frame(body(), NOON_MS - 5000, stated_ms=NOON_MS)
    assert batch.add_stated(OTHER, stated) is not None
    assert json.loads(str(batch.rows[0][10]))["issuanceDate"] == NOON
    assert batch.last_ms == NOON_MS


def test_a_mark_takes_back_what_was_stated_ahead() -> None:
    """As all else."""
    batch = new_batch(signer=Together())
    batch.add_stated(OTHER, stated_frame(body()))
    mark = batch.mark()
    batch.add_stated(batch.place("a").head, stated_frame(body()))
    batch.back_to(mark)
    assert [row[2] for row in batch.rows] == [7]
    assert batch.place("a").head.sequence == 7


def test_a_mark_takes_back_what_waits_behind_what_was_signed_since() -> None:
    """Rows that were signed behind the mark go, and all that waits for signatures behind them."""
    batch = new_batch(signer=Together())
    batch.add_stated(OTHER, stated_frame(body()))
    mark = batch.mark()
    for _ in range(2):
        batch.add(batch.place("a"), batch.own(DROPPED), NOON_MS)
    for _ in range(5):
        batch.add_stated(batch.place("a").head, stated_frame(body()))
    batch.back_to(mark)
    assert [row[2] for row in batch.rows] == [7]
    assert batch.place("a").head.sequence == 7


def test_a_signer_that_refuses_one_takes_no_other_along() -> None:
    """It is in no chain, and the next one builds on the one before it."""

    class Moody(LocalSigner):
        def sign(self, message: bytes, /) -> bytes:
            if b'"odd"' in message:
                raise SigningError("not this one")
            return super().sign(message)

    batch = new_batch(signer=Moody(PAIR))
    batch.add_stated(OTHER, stated_frame(body()))
    place = batch.place("a")
    with pytest.raises(SigningError, match="not this one"):
        batch.add_stated(place.head, stated_frame(body(session_id="odd")))
    assert batch.place("a") == place
    batch.add_stated(place.head, stated_frame(body()))
    assert [(row[2], row[12]) for row in batch.rows] == [(7, OTHER.hash), (8, place.head.hash)]


def test_what_is_too_long_with_its_place_is_refused() -> None:
    """As it is where it is stated at once."""
    batch = new_batch()
    stated = stated_frame(body())
    large = msgspec.structs.replace(
        stated, statement=msgspec.structs.replace(stated.statement, after=b"x" * (1 << 20))
    )
    with pytest.raises(ReceiptError, match="over the limit"):
        batch.add_stated(OTHER, large)
    assert batch.rows == []
