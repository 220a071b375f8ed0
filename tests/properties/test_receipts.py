# SPDX-License-Identifier: Apache-2.0
"""Receipts of every shape: read, written, hashed and judged alike on every way."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.material import KEY, METHOD, PUBLIC, Members, body_of, hash_of, signed, statement, wire
from tests.properties.receipts import mutations, receipts, spellings, statements

from tallystick.chain.issue import create_receipt, hash_receipt, sign_receipt
from tallystick.crypto.strict import parse_json
from tallystick.errors import MalformedInput, ReceiptError
from tallystick.limits import RECEIPT_BYTES_MAX
from tallystick.model.reader import parse_receipt
from tallystick.model.receipt import has_sound_open_members, split_canonical
from tallystick.model.taxonomy import check_action_type, settle_risk
from tallystick.verify.receipt import Examined, _examine_value, examine, examine_all
from tallystick.verify.verification import verify_receipt

SOUND = wire(signed(statement()))


@given(receipts())
def test_parsing_and_writing_are_inverse(receipt: Members) -> None:
    """What was parsed is written as it came, as bytes and as a dict."""
    parsed = parse_receipt(wire(receipt))
    assert parsed.to_json() == wire(receipt)
    assert parsed.to_dict() == receipt
    assert parse_receipt(parsed.to_json()) == parsed


@given(st.data())
def test_spelling_does_not_matter(data: st.DataObject) -> None:
    """Other blanks, escapes and orders of the same value verify alike, and hash alike."""
    receipt = data.draw(receipts())
    spelled = data.draw(spellings(receipt))
    report = verify_receipt(wire(receipt), PUBLIC)
    assert verify_receipt(spelled, PUBLIC) == report
    assert verify_receipt(receipt, PUBLIC) == report
    assert verify_receipt(parse_receipt(spelled), PUBLIC) == report
    assert report.verified
    hashes = {
        hash_receipt(form)
        for form in (wire(receipt), spelled, receipt, parse_receipt(spelled), body_of(receipt))
    }
    assert hashes == {hash_of(receipt)}
    assert [chain.head for chain in report.chains] == [hash_of(receipt)]


@given(statements())
def test_what_we_make_we_verify(statement: Members) -> None:
    """Whatever is created from the members of a receipt is signed, verifies and reads back."""
    subject = statement["credentialSubject"]
    named = {"keyRotation": "key_rotation"}
    members = {named.get(name, name): subject[name] for name in subject}
    action = subject["action"]
    try:
        # Our own rules on types and their risk are stricter than the protocol's.
        check_action_type(action["type"], action["target"]["system"])
        settle_risk(action["type"], action["risk_level"])
    except ReceiptError:
        with pytest.raises(ReceiptError, match="/credentialSubject/action/"):
            create_receipt(issuer=statement["issuer"], **members)
        return
    unsigned = create_receipt(issuer=statement["issuer"], **members)
    receipt = sign_receipt(unsigned, KEY, METHOD)
    assert verify_receipt(receipt.to_json(), PUBLIC).verified
    assert unsigned.to_dict()["credentialSubject"] == subject
    assert parse_receipt(receipt.to_json()) == receipt
    assert body_of(receipt.to_dict()) == receipt.unsigned().to_json()


def on_the_strict_path(data: bytes) -> Examined | str:
    """Return what the strict parser and the explaining reader make of bytes."""
    try:
        return _examine_value(parse_json(data, RECEIPT_BYTES_MAX), accept_nulls=False)
    except MalformedInput as fault:
        return fault.code


def assert_paths_agree(data: bytes) -> None:
    """Hold the two ways to read a receipt against each other."""
    fast, strict = examine(data), on_the_strict_path(data)
    for others in ([], [SOUND], [b""], [data]):
        together = examine_all([*others, data, *others])
        assert together == [examine(one) for one in (*others, data, *others)]
    if isinstance(strict, str):
        assert [fault.code for fault in fast.faults] == [strict]
        assert split_canonical(data) is None
        return
    assert fast == strict
    split = split_canonical(data)
    if split is not None and has_sound_open_members(split[0]):
        receipt, body = split
        assert strict.receipt == receipt
        assert strict.body == body
        # The fast path never takes what has a fault of shape; rules between members it looks at.
        shapes = {"FIELD_TYPE", "FIELD_UNKNOWN", "FIELD_NULL", "FIELD_TOO_LONG", "HASH_SHAPE"}
        assert not shapes & {fault.code for fault in strict.faults}


@given(receipts())
def test_the_fast_and_the_strict_reader_agree_on_sound_receipts(receipt: Members) -> None:
    """Both give the same receipt, body, hash and signature, and no decisive fault."""
    assert_paths_agree(wire(receipt))
    assert examine(wire(receipt)).is_sound


@given(st.data())
def test_the_fast_and_the_strict_reader_agree_on_changed_receipts(data: st.DataObject) -> None:
    """One member deleted, retyped, added, out of shape: neither takes what the other refuses."""
    changed = data.draw(mutations(data.draw(receipts())))
    assert_paths_agree(wire(changed))
    resigned = signed(changed)
    assert_paths_agree(wire(resigned))
    assert_paths_agree(data.draw(spellings(resigned)))


def signed_part(receipt: Members) -> Any:
    """Return all but the members of the proof that are outside of the signature."""
    proof = receipt.get("proof")
    if isinstance(proof, dict):
        unsigned = ("created", "verificationMethod")
        proof = {name: proof[name] for name in proof if name not in unsigned}
    return wire({**receipt, "proof": proof})


@given(st.data())
def test_a_changed_member_is_refused(data: st.DataObject) -> None:
    """Any change to any member of a signed receipt, at any depth, is refused.

    The only members outside of the law are `proof.created` and `proof.verificationMethod`, which
    no signature covers.
    """
    receipt = data.draw(receipts())
    changed = data.draw(mutations(receipt))
    for form in (wire(changed), changed):  # a dict keeps apart what bytes spell alike: 1.0 and 1
        if verify_receipt(form, PUBLIC).verified:
            assert signed_part(changed) == signed_part(receipt)


@given(st.data())
def test_canonical_bytes_have_no_second_spelling(data: st.DataObject) -> None:
    """What the fast path accepts is written again as the very same bytes."""
    receipt = data.draw(receipts())
    raw = bytearray(wire(receipt))
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    split = split_canonical(bytes(raw))
    if split is not None:
        assert split[0].to_json() == bytes(raw)
        assert split[0].unsigned().to_json() == split[1]
