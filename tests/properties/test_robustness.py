# SPDX-License-Identifier: Apache-2.0
"""Whatever comes in, a report comes out; and only one verdict is true."""

from __future__ import annotations

import json
from collections import OrderedDict
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from tests.material import METHOD, PUBLIC, Members, body_of, wire
from tests.properties.receipts import JSON, TEXTS, at_path, mutations, paths_of, receipts

from tallystick.errors import MalformedInput, ReceiptError
from tallystick.model.reader import parse_receipt
from tallystick.model.receipt import Receipt
from tallystick.verify.findings import CODES
from tallystick.verify.report import Report
from tallystick.verify.trust import TrustFileError, parse_trust
from tallystick.verify.verification import verify_chain, verify_receipt

FOREIGN = st.sampled_from(
    [
        object(), b"bytes", bytearray(b"x"), Decimal("1.5"), datetime(2026, 1, 1, tzinfo=UTC),
        UUID(int=1), {1, 2}, frozenset({3}), 1j, float("nan"), float("inf"), 2**53 + 1, 10**400,
        "\ud800", range(3), MappingProxyType({"a": 1}), OrderedDict(a=1), (1, 2), Ellipsis, len,
        Receipt, msgspec.UNSET, msgspec.Raw(b"{"), {1: 2}, {None: 1}, {"\udc00": 1}, {(1, 2): 3},
    ]
)  # fmt: skip
PYTHON = st.recursive(
    JSON | FOREIGN,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(TEXTS | st.integers(), inner, max_size=3)
        | st.tuples(inner, inner)
    ),
    max_leaves=6,
)
KEYS = st.sampled_from([PUBLIC, None, "garbage", [PUBLIC, b"x"], bytes(32)])
STARTS = st.sampled_from(
    [b"", b"[", b"{", b'{"a":1}\n', b'{"@context":', b"\xef\xbb\xbf", b"[[", b'"']
)


def assert_sound(report: Report) -> None:
    """What holds of every report."""
    decisive = {CODES[code].severity for code in report.codes()} - {"advisory"}
    verdict = "refused" if "refused" in decisive else "unchecked" if decisive else "verified"
    assert str(report.verdict) == verdict
    assert bool(report) is report.verified is (verdict == "verified")
    for finding in report.findings:
        assert finding.severity == CODES[finding.code].severity
    told = report.to_dict()
    # It may name half a surrogate pair only where the input could: never in what we print.
    assert json.loads(json.dumps(told)) == told
    if report.verified:
        assert report.receipts > 0


def ask_all(data: Any, key: Any) -> None:
    assert_sound(verify_receipt(data, key))
    assert_sound(verify_receipt(data, key, accept_nulls=True, verification_method=METHOD))
    for items in ([data], [data, data]):
        assert_sound(verify_chain(items, key, expected_length=1, responses={"": data}))
        assert_sound(verify_chain(items, key, expected_head="x", chain_id="c", workers=2))


@given(STARTS, st.binary(max_size=60), KEYS)
def test_any_bytes_are_answered(start: bytes, data: bytes, key: object) -> None:
    """Arbitrary bytes are refused or unchecked, never raised for, never verified."""
    ask_all(start + data, key)
    assert not verify_receipt(start + data, key)
    report = verify_chain(start + data, key)
    assert_sound(report)
    assert not report


@given(JSON, KEYS)
def test_any_json_is_answered(value: Any, key: object) -> None:
    """Arbitrary JSON likewise, as bytes and as Python values."""
    data = json.dumps(value).encode()
    ask_all(data, key)
    ask_all(value, key)
    for given_data in (data, [value], [data]):
        report = verify_chain(given_data, key)
        assert_sound(report)
        assert not report


@given(PYTHON, KEYS)
def test_any_python_value_is_answered(value: Any, key: object) -> None:
    """Values that no JSON has are faults of the receipt, not of the program."""
    ask_all(value, key)
    ask_all({"issuer": value, "proof": {"proofValue": value}, "version": value}, key)


@given(st.data())
def test_any_changed_receipt_is_answered(data: st.DataObject) -> None:
    """So are receipts with one member changed, or with a foreign value put anywhere."""
    receipt = data.draw(receipts())
    changed = data.draw(mutations(receipt))
    for form in (changed, wire(changed), wire(changed)[:-5]):
        ask_all(form, PUBLIC)
    path = data.draw(st.sampled_from(paths_of(receipt)))
    changed = json.loads(json.dumps(receipt))
    at_path(changed, path[:-1])[path[-1]] = data.draw(PYTHON)
    ask_all(changed, PUBLIC)


@given(st.data())
def test_any_typed_receipt_is_answered(data: st.DataObject) -> None:
    """A typed value may have been made from anything: it is looked at like bytes."""
    receipt: Receipt = parse_receipt(wire(data.draw(receipts())))
    part = data.draw(st.sampled_from(["receipt", "subject", "issuer", "action", "link", "proof"]))
    old: Any = {
        "receipt": receipt,
        "subject": receipt.credentialSubject,
        "issuer": receipt.issuer,
        "action": receipt.action,
        "link": receipt.link,
        "proof": receipt.proof,
    }[part]
    name = data.draw(st.sampled_from(old.__struct_fields__))
    new = msgspec.structs.replace(old, **{name: data.draw(PYTHON)})
    if part in ("action", "link"):
        member = "chain" if part == "link" else part
        new = msgspec.structs.replace(receipt.credentialSubject, **{member: new})
        part = "subject"
    if part != "receipt":
        member = "credentialSubject" if part == "subject" else part
        new = msgspec.structs.replace(receipt, **{member: new})
    ask_all(new, PUBLIC)
    report = verify_receipt(new, PUBLIC)
    if report.verified:  # then it says what was signed
        assert body_of(json.loads(new.to_json())) == body_of(json.loads(receipt.to_json()))


@given(st.data())
def test_a_report_on_anything_is_the_same_twice(data: st.DataObject) -> None:
    """Asked again, the verifier says the same."""
    changed: Members = data.draw(mutations(data.draw(receipts())))
    assert verify_receipt(changed, PUBLIC) == verify_receipt(changed, PUBLIC)
    assert verify_chain([changed], PUBLIC) == verify_chain([changed], PUBLIC)


@given(st.binary(max_size=200) | TEXTS.map(str.encode))
def test_any_trust_file_is_read_or_refused(data: bytes) -> None:
    """A trust file is of its form, or one error says why not."""
    try:
        parse_trust(data)
    except TrustFileError as fault:
        assert str(fault)  # noqa: PT017  # either is right


@given(STARTS, st.binary(max_size=60))
def test_parsing_any_bytes_raises_one_of_two_errors(start: bytes, data: bytes) -> None:
    """`parse_receipt` says whether bytes are no JSON, or no receipt."""
    try:
        parse_receipt(start + data)
    except (MalformedInput, ReceiptError) as fault:
        assert fault.message  # noqa: PT017  # either is right
