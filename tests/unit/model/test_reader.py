# SPDX-License-Identifier: Apache-2.0
"""The explaining reader: every fault of a receipt's shape, each with code and place."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import msgspec
import pytest
from tests.material import (
    full_statement,
    signed,
    statement,
    wire,
    with_member,
    without_member,
)

from tallystick.errors import MalformedInput, ReceiptError
from tallystick.limits import FINDINGS_MAX, IDENTIFIER_CHARS_MAX, JSON_INTEGER_MAX
from tallystick.model.reader import (
    Fault,
    _Reading,
    escape,
    parse_receipt,
    proof_value_fault,
    read_receipt,
    spell,
    without_nulls,
)

SMALL = signed(statement())
FULL = signed(full_statement())
VALUE = FULL["proof"]["proofValue"]
S = "/credentialSubject"


def faults_of(receipt: object) -> list[tuple[str, str]]:
    return [(fault.code, fault.where) for fault in read_receipt(receipt)[1]]


def test_sound_receipts_have_no_faults() -> None:
    """A receipt with everything that the protocol has, or with the least, is read without fault."""
    for receipt in (SMALL, FULL):
        read, faults = read_receipt(receipt)
        assert faults == []
        assert read is not None
        assert read.to_dict() == receipt


@pytest.mark.parametrize(
    ("place", "value", "code"),
    [
        ("/version", "0.7.0", "VERSION_UNKNOWN"),
        ("/version", 6, "VERSION_UNKNOWN"),
        ("/type", ["VerifiableCredential"], "TYPE_WRONG"),
        ("/type", ["AgentReceipt", "VerifiableCredential"], "TYPE_WRONG"),
        ("/type", "AgentReceipt", "TYPE_WRONG"),
        ("/@context", "https://www.w3.org/ns/credentials/v2", "CONTEXT_WRONG"),
        ("/@context/0", 1, "FIELD_TYPE"),
        ("/id", "urn:receipt:1", "ID_SHAPE"),
        ("/id", 1, "FIELD_TYPE"),
        ("/issuanceDate", "2026-01-01", "TIMESTAMP_SHAPE"),
        ("/issuer", "did:agent:a", "FIELD_TYPE"),
        ("/issuer/id", "a" * (IDENTIFIER_CHARS_MAX + 1), "FIELD_TOO_LONG"),
        ("/issuer/colour", "red", "FIELD_UNKNOWN"),
        ("/issuer/runtime", [], "FIELD_TYPE"),
        ("/issuer/runtime/agent_id", 1, "FIELD_TYPE"),
        ("/issuer/runtime/agent_type", None, "FIELD_NULL"),
        ("/issuer/operator/name", None, "FIELD_TYPE"),
        ("/issuer/name", None, "FIELD_NULL"),
        ("/colour", "red", "FIELD_UNKNOWN"),
        (f"{S}/colour", "red", "unrecognised_fields"),
        (f"{S}/principal/type", "Robot", "FIELD_VALUE"),
        (f"{S}/principal/type", 1, "FIELD_TYPE"),
        (f"{S}/action/id", "act_1", "ID_SHAPE"),
        (f"{S}/action/risk_level", "none", "FIELD_VALUE"),
        (f"{S}/action/risk_level", None, "FIELD_TYPE"),
        (f"{S}/action/idempotency_key", "", "FIELD_VALUE"),
        (f"{S}/action/idempotency_key", "k" * (IDENTIFIER_CHARS_MAX + 1), "FIELD_TOO_LONG"),
        (f"{S}/action/parameters_hash", "sha256:ABC", "HASH_SHAPE"),
        (f"{S}/action/trusted_timestamp", "A", "FIELD_VALUE"),
        (f"{S}/action/parameters_disclosure", "text", "FIELD_TYPE"),
        (f"{S}/action/parameters_disclosure/n", 1, "FIELD_VALUE"),
        (f"{S}/action/peer_credential/pid", "1", "FIELD_TYPE"),
        (f"{S}/action/peer_credential/pid", True, "FIELD_TYPE"),
        (f"{S}/action/peer_credential/pid", 1.0, "FIELD_TYPE"),
        (f"{S}/action/peer_credential/uid", -1, "FIELD_VALUE"),
        (f"{S}/action/peer_credential/uid", JSON_INTEGER_MAX + 1, "FIELD_VALUE"),
        (f"{S}/outcome/status", "done", "FIELD_VALUE"),
        (f"{S}/outcome/reversible", "true", "FIELD_TYPE"),
        (f"{S}/outcome/reversible", 1, "FIELD_TYPE"),
        (f"{S}/outcome/response_disclosure", {"a": "b"}, "FIELD_VALUE"),
        (f"{S}/outcome/response_disclosure", None, "FIELD_NULL"),
        (f"{S}/outcome/response_disclosure/v", "2", "FIELD_VALUE"),
        (f"{S}/outcome/state_change/after_hash", "x", "HASH_SHAPE"),
        (f"{S}/authorization/scopes", [], "FIELD_VALUE"),
        (f"{S}/authorization/scopes", {}, "FIELD_TYPE"),
        (f"{S}/authorization/scopes/0", 7, "FIELD_TYPE"),
        (f"{S}/chain/sequence", 0, "FIELD_VALUE"),
        (f"{S}/chain/sequence", "1", "FIELD_TYPE"),
        (f"{S}/chain/sequence", 1.0, "FIELD_TYPE"),
        (f"{S}/chain/sequence", True, "FIELD_TYPE"),
        (f"{S}/chain/sequence", None, "FIELD_TYPE"),
        (f"{S}/chain/previous_receipt_hash", "abc", "HASH_SHAPE"),
        (f"{S}/chain/previous_receipt_hash", 5, "FIELD_TYPE"),
        (f"{S}/chain/terminal", "yes", "FIELD_TYPE"),
        (f"{S}/chain/status", "open", "FIELD_VALUE"),
        (f"{S}/keyRotation", {}, "FIELD_MISSING"),
        ("/proof", None, "FIELD_TYPE"),
        ("/proof/type", "Other", "PROOF_TYPE"),
        ("/proof/proofPurpose", "authentication", "PROOF_PURPOSE"),
        ("/proof/created", "now", "TIMESTAMP_SHAPE"),
        ("/proof/verificationMethod", "v" * (IDENTIFIER_CHARS_MAX + 1), "FIELD_TOO_LONG"),
        ("/proof/proofValue", "z" + VALUE[1:], "SIGNATURE_PREFIX"),
        ("/proof/proofValue", "", "SIGNATURE_PREFIX"),
        ("/proof/proofValue", VALUE + "=", "SIGNATURE_PADDED"),
        ("/proof/proofValue", VALUE[:40] + " " + VALUE[41:], "SIGNATURE_WHITESPACE"),
        ("/proof/proofValue", VALUE[:40] + "+" + VALUE[41:], "SIGNATURE_ALPHABET"),
        ("/proof/proofValue", VALUE[:-1], "SIGNATURE_LENGTH"),
        ("/proof/proofValue", VALUE[:-1] + "B", "SIGNATURE_TRAILING_BITS"),
        ("/proof/proofValue", 1, "FIELD_TYPE"),
    ],
)
def test_each_fault_has_code_and_place(place: str, value: object, code: str) -> None:
    """A member that is not what it must be is told by its own code, where it stands."""
    found = faults_of(with_member(FULL, place, value))
    assert code in [one for one, _ in found]
    assert all(where.startswith(place.rsplit("/", 1)[0]) for _, where in found)


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("/@context", "CONTEXT_WRONG"),
        ("/version", "VERSION_UNKNOWN"),
        ("/type", "TYPE_WRONG"),
        ("/proof", "PROOF_MISSING"),
        ("/proof/type", "PROOF_TYPE"),
        ("/proof/proofPurpose", "PROOF_PURPOSE"),
        ("/proof/proofValue", "FIELD_MISSING"),
        (S, "FIELD_MISSING"),
        (f"{S}/action", "FIELD_MISSING"),
        (f"{S}/action/id", "FIELD_MISSING"),
        (f"{S}/action/risk_level", "FIELD_MISSING"),
        (f"{S}/action/timestamp", "FIELD_MISSING"),
        (f"{S}/action/type", "FIELD_MISSING"),
        (f"{S}/chain", "FIELD_MISSING"),
        (f"{S}/chain/previous_receipt_hash", "FIELD_MISSING"),
        (f"{S}/outcome/status", "FIELD_MISSING"),
        (f"{S}/principal/id", "FIELD_MISSING"),
        ("/id", "FIELD_MISSING"),
        ("/issuanceDate", "FIELD_MISSING"),
        ("/issuer/id", "FIELD_MISSING"),
        (f"{S}/delegation/delegator/id", "FIELD_MISSING"),
    ],
)
def test_each_missing_member_is_told(place: str, code: str) -> None:
    """A member that every receipt has is missed by its own place."""
    assert faults_of(without_member(FULL, place)) == [(code, place)]


@pytest.mark.parametrize("value", [None, 1, "receipt", [], [SMALL], True])
def test_what_is_no_object_is_no_receipt(value: object) -> None:
    """Any JSON value may come: there is a fault, and no receipt."""
    receipt, faults = read_receipt(value)
    assert receipt is None
    assert [fault.code for fault in faults] == ["FIELD_TYPE"]


def test_all_faults_are_told_at_once() -> None:
    """One fault does not hide another."""
    broken = with_member(FULL, "/issuer/id", 7)
    broken = with_member(broken, f"{S}/chain/sequence", 0)
    broken = without_member(broken, "/proof/created")
    receipt, faults = read_receipt(broken)
    assert {fault.where for fault in faults} == {
        "/issuer/id", f"{S}/chain/sequence", "/proof/created",
    }  # fmt: skip
    assert receipt is not None
    assert receipt.issuer.id is None


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0", "0.2.1"])
def test_old_versions_may_have_other_ids(version: str) -> None:
    """Up to 0.2.1 an id of another shape is an advisory, as long as its length is bounded."""
    old = signed(statement(version=version))
    for place in ("/id", f"{S}/action/id"):
        longest = with_member(old, place, "x" * IDENTIFIER_CHARS_MAX)
        assert faults_of(longest) == [("id_shape_legacy", place)]
        assert read_receipt(longest)[0] is not None
        longer = with_member(old, place, "x" * (IDENTIFIER_CHARS_MAX + 1))
        assert faults_of(longer) == [("ID_SHAPE", place)]


@pytest.mark.parametrize("version", ["0.3.0", "0.4.0", "0.5.0", "0.6.0", "0.9.0", ["0.1.0"]])
def test_newer_versions_may_not(version: object) -> None:
    """From 0.3.0 on, and where the version is not known, such an id is refused."""
    odd = with_member({**signed(statement()), "version": version}, "/id", "urn:receipt:1")
    assert ("ID_SHAPE", "/id") in faults_of(odd)


def test_a_new_kind_of_member_needs_a_rule() -> None:
    """The reader does not pass over what it has no rule for."""
    with pytest.raises(AssertionError, match="no rule"):
        _Reading("0.6.0").read(msgspec.inspect.FloatType(), 1.5, "/x")


def test_parse_receipt_reads_one_strict_value() -> None:
    """Sound bytes are a receipt; others are refused with the first fault and its place."""
    assert parse_receipt(wire(FULL)).to_dict() == FULL
    with pytest.raises(MalformedInput):
        parse_receipt(b"{")
    with pytest.raises(ReceiptError, match="not an object"):
        parse_receipt(b"[]")
    for place in ("/colour", f"{S}/colour"):
        with pytest.raises(ReceiptError) as caught:
            parse_receipt(wire(with_member(FULL, place, 1)))
        assert caught.value.where == place


def test_parse_receipt_takes_ids_of_old_receipts() -> None:
    """An id of an old shape goes through, and comes out unchanged."""
    old = signed(statement(version="0.1.0") | {"id": "urn:receipt:001"})
    assert parse_receipt(wire(old)).to_dict() == old


def test_optional_nulls_are_taken_away_and_told() -> None:
    """Nulls of optional members go, at any depth; those that mean something stay."""
    nulled = with_member(SMALL, "/issuer/name", None)
    nulled = with_member(nulled, f"{S}/intent", None)
    nulled = with_member(nulled, f"{S}/outcome/error", None)
    nulled = with_member(nulled, f"{S}/action/target", {"system": None})
    bare, places = without_nulls(nulled)
    assert bare == with_member(SMALL, f"{S}/action/target", {})
    assert sorted(places) == [
        f"{S}/action/target/system", f"{S}/intent", f"{S}/outcome/error", "/issuer/name",
    ]  # fmt: skip


def test_declared_members_of_runtime_may_be_null() -> None:
    """Of an open member, only what the protocol declares there is read as absent."""
    nulled = with_member(SMALL, "/issuer/runtime", {"agent_id": None, "free": None})
    bare, places = without_nulls(nulled)
    assert bare == with_member(SMALL, "/issuer/runtime", {"free": None})
    assert places == ["/issuer/runtime/agent_id"]


@pytest.mark.parametrize(
    "place",
    [
        f"{S}/chain/previous_receipt_hash",
        f"{S}/action/risk_level",
        f"{S}/action/type",
        "/issuer/runtime/free",
        "/proof",
        "/unknown",
        f"{S}/action/parameters_disclosure/free",
    ],
)
def test_other_nulls_stay(place: str) -> None:
    """A null of a required, an unknown or an open member is not read as absent."""
    nulled = with_member(SMALL, place, None)
    bare, places = without_nulls(nulled)
    assert places == []
    assert bare == nulled


@pytest.mark.parametrize("value", [None, 3, [None], "x"])
def test_other_values_have_no_nulls_to_take(value: object) -> None:
    """What is no object comes back as it is."""
    assert without_nulls(value) == (value, [])


def test_taking_nulls_away_leaves_the_original_alone() -> None:
    """The caller's value is not changed."""
    nulled = with_member(SMALL, "/issuer/name", None)
    before = json.dumps(nulled)
    without_nulls(nulled)
    assert json.dumps(nulled) == before


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "SIGNATURE_PREFIX"),
        ("m" + VALUE[1:], "SIGNATURE_PREFIX"),
        ("u\n", "SIGNATURE_WHITESPACE"),
        ("u\u00a0" + VALUE[2:], "SIGNATURE_WHITESPACE"),
        (VALUE + "==", "SIGNATURE_PADDED"),
        ("u/" + VALUE[2:], "SIGNATURE_ALPHABET"),
        ("uü" + VALUE[2:], "SIGNATURE_ALPHABET"),
        ("u", "SIGNATURE_LENGTH"),
        (VALUE + "A", "SIGNATURE_LENGTH"),
        (VALUE[:-1] + "_", "SIGNATURE_TRAILING_BITS"),
    ],
)
def test_each_misspelt_proof_value_has_its_code(text: str, code: str) -> None:
    """Each second spelling of a signature is refused by its own code."""
    found, message = proof_value_fault(text)
    assert found == code
    assert message


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (1, "1"),
        (1.5, "1.5"),
        ({"a": 1}, "an object with 1 members"),
        ([1, 2], "an array of 2"),
        ("a\x1b[0m\n", "'a\\x1b[0m\\n'"),
    ],
)
def test_found_values_are_spelled_short(value: object, text: str) -> None:
    """Untrusted values are shown in one short line without control characters."""
    assert spell(value) == text


def test_long_values_are_cut() -> None:
    """However much was received, little of it is shown."""
    values: list[Any] = ["x" * 10_000, 10**300, ["y"] * 10_000, dict.fromkeys(map(str, range(999)))]
    assert all(len(spell(value)) < 200 for value in values)


def test_names_are_escaped_in_places() -> None:
    """`~` and `/` in a member's name do not break the JSON Pointer."""
    assert escape("a/b~c") == "a~1b~0c"
    fault = Fault(code="FIELD_UNKNOWN", where="/a~1b", message="is not a member here", found="1")
    assert fault in read_receipt(with_member(SMALL, "/x", 1) | {"a/b": 1})[1]


def test_faults_are_bounded_by_code() -> None:
    """However many faults of one code there are, few are kept, and none of another is lost."""
    crowd = {f"m{number}": 1 for number in range(FINDINGS_MAX + 1)}
    receipt = with_member(SMALL, f"{S}/outcome/status", "done")
    receipt["credentialSubject"] = {**crowd, **receipt["credentialSubject"]}
    receipt["issuer"] = {**crowd, **receipt["issuer"]}
    codes = Counter(fault.code for fault in read_receipt(receipt)[1])
    assert codes == {
        "unrecognised_fields": FINDINGS_MAX, "FIELD_UNKNOWN": FINDINGS_MAX, "FIELD_VALUE": 1,
    }  # fmt: skip
