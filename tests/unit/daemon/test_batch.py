# SPDX-License-Identifier: Apache-2.0
"""Receipts of one transaction: linked, signed, never earlier, and forgotten as a whole."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Sequence

import pytest
from tests.ledgers import ISSUER, METHOD, NOON_MS

from tallystick import verify_chain
from tallystick.chain.straight import Checked
from tallystick.daemon.batch import Batch, Issuing, Place, going_on_from, ordered_ids
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
