# SPDX-License-Identifier: Apache-2.0
"""One receipt by itself: what it says, what it hashes to, what is wrong with it."""

from __future__ import annotations

import tracemalloc
from collections import OrderedDict
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import msgspec
import pytest
from tests.material import (
    CONTEXTS,
    PUBLIC,
    Members,
    body_of,
    envelope,
    full_statement,
    hash_of,
    signed,
    statement,
    wire,
    with_member,
    without_member,
)

from tallystick.errors import MalformedInput
from tallystick.limits import JSON_DEPTH_MAX, JSON_VALUES_MAX, RECEIPT_BYTES_MAX
from tallystick.model.reader import parse_receipt
from tallystick.model.receipt import Receipt
from tallystick.verify.receipt import Examined, examine, examine_all, plain_copy
from tallystick.verify.workers import tried as each_tried

S = "/credentialSubject"
SMALL = signed(statement())
FULL = signed(full_statement())
DATE = datetime(2026, 1, 1, tzinfo=UTC)


def tried(raw: Any, key: bytes | None, *, accept_nulls: bool = False) -> Examined:
    """Examine a receipt and try its signature under a key."""

    def examined(raws: list[Any]) -> list[Examined]:
        return [examine(raw, accept_nulls=accept_nulls) for raw in raws]

    (one,) = each_tried([raw], examined, lambda _: key, 1)
    return one


def codes_of(raw: Any, *, accept_nulls: bool = False) -> list[str]:
    examined = examine(raw, accept_nulls=accept_nulls)
    company = [wire(SMALL), raw, wire(FULL)]
    assert examine_all(company, accept_nulls=accept_nulls)[1] == examined
    return [fault.code for fault in examined.faults]


def forms(receipt: Members) -> list[Any]:
    """Return the receipt as canonical bytes, as other bytes, as a dict and as a value."""
    plain = msgspec.json.format(wire(receipt), indent=1)
    return [wire(receipt), plain, receipt, MappingProxyType(receipt), parse_receipt(plain)]


@pytest.mark.parametrize(
    "raws",
    [
        [],
        [wire(SMALL)],
        [wire(SMALL), wire(FULL)],
        [wire(SMALL) + b"\n" + wire(FULL)],
        [wire(SMALL) + b"\n" + wire(FULL), b""],
        [b"", wire(SMALL) + b"\n" + wire(FULL)],
        [wire(SMALL) + b"\n", wire(FULL)],
        [wire(SMALL)[:40], wire(SMALL)[40:]],
        [wire(SMALL), FULL, wire(FULL)],
        [wire(SMALL), MalformedInput("MALFORMED_JSON", "x")],
    ],
)
def test_many_are_examined_as_one_by_one(raws: list[Any]) -> None:
    """Whatever stands beside a receipt, and wherever lines break, it is found the same."""
    assert examine_all(raws) == [examine(one) for one in raws]


@pytest.mark.parametrize("receipt", [SMALL, FULL], ids=["small", "full"])
def test_every_form_is_examined_alike(receipt: Members) -> None:
    """Canonical bytes, other bytes, dicts and typed values give the same body and the same hash."""
    for form in forms(receipt):
        examined = tried(form, PUBLIC)
        assert examined.body == body_of(receipt)
        assert examined.digest == hash_of(receipt)
        assert examined.signature is not None
        assert examined.fits_tried_key
        assert examined.is_sound
        assert examined.receipt is not None
        assert examined.receipt.to_dict() == receipt


def test_a_key_is_tried_only_where_there_is_one() -> None:
    """Without a guess nothing is checked; a wrong guess does not fit."""
    assert examine(wire(SMALL)).tried_key is None
    assert tried(wire(SMALL), None).tried_key is None
    wrong = tried(wire(SMALL), b"\1" * 32)
    assert wrong.tried_key == b"\1" * 32
    assert not wrong.fits_tried_key
    unsigned = tried(wire(without_member(SMALL, "/proof")), PUBLIC)
    assert (unsigned.tried_key, unsigned.signature) == (None, None)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        (with_member(SMALL, "/@context/1", "https://agentreceipts.ai/context/v2"), "CONTEXT_WRONG"),
        (with_member(SMALL, "/@context/0", "https://example.com"), "CONTEXT_WRONG"),
        ({**SMALL, "@context": SMALL["@context"][:1]}, "CONTEXT_WRONG"),
        ({**SMALL, "@context": SMALL["@context"][::-1]}, "CONTEXT_WRONG"),
        (with_member(SMALL, "/issuanceDate", "2026-02-30T00:00:00Z"), "TIMESTAMP_SHAPE"),
        (with_member(SMALL, "/proof/created", "0000-01-01T00:00:00Z"), "TIMESTAMP_SHAPE"),
        (with_member(SMALL, f"{S}/action/timestamp", "2025-02-29T00:00:00Z"), "TIMESTAMP_SHAPE"),
        (
            with_member(FULL, f"{S}/authorization/granted_at", "2025-02-29T00:00:00Z"),
            "TIMESTAMP_SHAPE",
        ),
        (
            with_member(FULL, f"{S}/authorization/expires_at", "2025-02-29T00:00:00Z"),
            "TIMESTAMP_SHAPE",
        ),
        (with_member(SMALL, f"{S}/chain/sequence", 2), "CHAIN_LINK_MISSING"),
        (
            with_member(SMALL, f"{S}/chain/previous_receipt_hash", "sha256:" + "0" * 64),
            "CHAIN_GENESIS_HASH",
        ),
        (with_member(SMALL, f"{S}/chain/terminal", False), "FIELD_VALUE"),
        (with_member(SMALL, f"{S}/chain/status", "complete"), "CHAIN_STATUS_WITHOUT_TERMINAL"),
        (with_member(SMALL, f"{S}/action/type", "unknown"), "FIELD_MISSING"),
        (with_member(SMALL, f"{S}/action/type", "filesystem.file.delete"), "risk_below_taxonomy"),
        (
            with_member(FULL, f"{S}/authorization/expires_at", "2026-05-04T03:02:00.999Z"),
            "authorization_window",
        ),
        (
            with_member(FULL, f"{S}/authorization/granted_at", "2026-05-04T03:02:01.001Z"),
            "authorization_window",
        ),
    ],
)
def test_rules_between_members(changed: Members, code: str) -> None:
    """Each rule that a receipt breaks within itself is told, by both ways to read it."""
    faults = [examine(form).faults for form in (wire(changed), changed)]
    assert code in [fault.code for fault in faults[0]]
    assert faults[0] == faults[1]


@pytest.mark.parametrize(
    "changed",
    [
        {**SMALL, "@context": [*SMALL["@context"], "x"]},
        with_member(SMALL, f"{S}/action/risk_level", "critical"),
        with_member(SMALL, f"{S}/action/type", "com.example.own.type"),
        with_member(FULL, f"{S}/action/type", "unknown"),
        without_member(FULL, f"{S}/authorization/expires_at"),
        with_member(FULL, f"{S}/authorization/expires_at", "2026-05-04T03:02:01.000Z"),
        with_member(FULL, f"{S}/authorization/granted_at", "2026-05-04T05:02:01+02:00"),
    ],
)  # fmt: skip
def test_what_the_rules_allow(changed: Members) -> None:
    """More contexts, a higher risk, own types, and grants that just cover the action are sound."""
    codes = codes_of(changed)
    assert codes in ([], ["risk_below_taxonomy"])
    assert codes == codes_of(wire(changed))


def test_a_proof_is_not_older_than_what_it_signs() -> None:
    """A proof from before its receipt is told; seconds are compared, refused dates are not."""
    older = with_member(SMALL, "/proof/created", "2026-05-04T03:02:00.999Z")
    assert codes_of(older) == codes_of(wire(older)) == ["proof_metadata_unsigned"]
    # A later hour on the clock, and an earlier moment: text does not sort as time does.
    east = with_member(SMALL, "/proof/created", "2026-05-04T04:02:01+02:00")
    assert codes_of(east) == codes_of(wire(east)) == ["proof_metadata_unsigned"]
    west = with_member(SMALL, "/proof/created", "2026-05-04T02:02:01-02:00")
    assert codes_of(west) == codes_of(wire(west)) == []
    for created in ("2026-05-04T03:02:01Z", "2030-01-01T00:00:00Z"):
        assert codes_of(with_member(SMALL, "/proof/created", created)) == []
    for place in ("/proof/created", "/issuanceDate"):
        for wrong in ("x", "2020-02-30T00:00:00Z"):
            assert codes_of(with_member(SMALL, place, wrong)) == ["TIMESTAMP_SHAPE"]


def test_what_was_refused_is_not_told_twice() -> None:
    """A member of the wrong type does not break rules besides."""
    changed = with_member(SMALL, f"{S}/chain/sequence", 2)
    changed = with_member(changed, f"{S}/chain/previous_receipt_hash", 7)
    assert codes_of(changed) == ["FIELD_TYPE"]
    changed = with_member(SMALL, f"{S}/chain/terminal", 7)
    changed = with_member(changed, f"{S}/chain/status", "complete")
    assert codes_of(changed) == ["FIELD_TYPE"]
    assert codes_of(with_member(SMALL, f"{S}/chain/sequence", "2")) == ["FIELD_TYPE"]
    assert codes_of(with_member(SMALL, f"{S}/action/timestamp", 7)) == ["FIELD_TYPE"]
    for place in (f"{S}/action", f"{S}/chain", S, f"{S}/action/type", "/version", "/@context"):
        assert len(codes_of(without_member(FULL, place))) == 1


NULLS = ("/issuer/name", f"{S}/intent", f"{S}/outcome/error")


def test_nulls_are_refused_and_still_checked() -> None:
    """Optional nulls have a code of their own; the signature is checked without them."""
    nulled = SMALL
    for place in NULLS:
        nulled = with_member(nulled, place, None)
    for form in (wire(nulled), nulled):
        strict = tried(form, PUBLIC)
        assert codes_of(form) == ["FIELD_NULL"] * 3
        assert not strict.is_sound
        lenient = tried(form, PUBLIC, accept_nulls=True)
        assert codes_of(form, accept_nulls=True) == ["nulls_normalised"] * 3
        assert lenient.is_sound
        assert strict.body == lenient.body == body_of(SMALL)
        assert strict.fits_tried_key
        assert lenient.fits_tried_key


@pytest.mark.parametrize("version", CONTEXTS)
def test_every_version_is_examined(version: str) -> None:
    """Each version is sound with its own context, and with no other."""
    assert codes_of(wire(signed(statement(version=version)))) == []
    other = {**statement(version=version), "@context": statement()["@context"]}
    wrong = [] if CONTEXTS[version] == CONTEXTS["0.6.0"] else ["CONTEXT_WRONG"]
    assert codes_of(wire(signed(other))) == wrong


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "MALFORMED_JSON"),
        (b"[]", "MALFORMED_NOT_OBJECT"),
        (b"5", "MALFORMED_NOT_OBJECT"),
        (b"\xff", "MALFORMED_ENCODING"),
        (wire(SMALL)[:-1] + b',"a":1,"a":1}', "MALFORMED_DUPLICATE_KEY"),
        (wire(SMALL) + b"{}", "MALFORMED_TRAILING_DATA"),
        (wire(SMALL) + b" " * RECEIPT_BYTES_MAX, "MALFORMED_SIZE"),
        (None, "MALFORMED_NOT_OBJECT"),
        ("{}", "MALFORMED_NOT_OBJECT"),
        (5, "MALFORMED_NOT_OBJECT"),
        ([SMALL], "MALFORMED_NOT_OBJECT"),
        (object(), "MALFORMED_VALUE"),
        ({1: 2}, "MALFORMED_VALUE"),
        ({"a": {1, 2}}, "MALFORMED_VALUE"),
        ({"a": b"bytes"}, "MALFORMED_VALUE"),
        ({"a": DATE}, "MALFORMED_VALUE"),
        ({"a": float("nan")}, "MALFORMED_NUMBER"),
        ({"a": [float("-inf")]}, "MALFORMED_NUMBER"),
        ({"a": 2**53 + 1}, "MALFORMED_NUMBER"),
        ({"a": 10**400}, "MALFORMED_NUMBER"),
        ({"a": "\ud800"}, "MALFORMED_SURROGATE"),
        ({"\udc00": 1}, "MALFORMED_SURROGATE"),
        ({"a": 0, "b": [["x"] * 10] * JSON_VALUES_MAX}, "MALFORMED_SIZE"),
        ({"a": "x" * (RECEIPT_BYTES_MAX + 1)}, "MALFORMED_SIZE"),
        ({"a": "\0" * (RECEIPT_BYTES_MAX // 6 + 1)}, "MALFORMED_SIZE"),
        (MalformedInput("SOURCE_UNREADABLE", "gone"), "SOURCE_UNREADABLE"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isupper() else type(value).__name__,
)
def test_whatever_comes_is_a_fault(raw: Any, code: str) -> None:
    """Bytes and Python values that are no receipt give one fault, and no error."""
    examined = examine(raw)
    assert [fault.code for fault in examined.faults] == [code]
    assert (examined.receipt, examined.body, examined.digest) == (None, None, "")


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": 5},
        {"issuer": None},
        {"credentialSubject": {}},
        {"context": DATE},
        {"id": "\ud800"},
        {"version": object()},
        {"proof": [object()]},
        {"type": {1, 2}},
    ],
    ids=lambda changes: next(iter(changes)),  # an address in a name differs between processes
)
def test_a_typed_value_proves_nothing_by_its_type(changes: dict[str, Any]) -> None:
    """Typed values are not checked when made: whatever is in one, it is examined like bytes."""
    broken: Receipt = msgspec.structs.replace(parse_receipt(wire(SMALL)), **changes)
    examined = tried(broken, PUBLIC)
    assert examined.faults or not examined.fits_tried_key


def test_soundness_is_about_decisive_faults() -> None:
    """Advisories leave a receipt sound."""
    legacy = signed({**statement(version="0.1.0"), "id": "urn:receipt:1"})
    assert codes_of(legacy) == ["id_shape_legacy"]
    assert examine(legacy).is_sound
    assert not examine(b"{}").is_sound
    assert Examined(receipt=None, faults=[]).is_sound


def deep(levels: int) -> Any:
    value: Any = []
    for _ in range(levels - 1):
        value = [value]
    return value


def test_depth_of_python_values_at_the_limit() -> None:
    """Python values are as deep as bytes may be, and not one level deeper."""
    assert plain_copy(deep(JSON_DEPTH_MAX), JSON_DEPTH_MAX) == deep(JSON_DEPTH_MAX)
    for value in (deep(JSON_DEPTH_MAX + 1), {"a": deep(JSON_DEPTH_MAX)}):
        with pytest.raises(MalformedInput) as caught:
            plain_copy(value, JSON_DEPTH_MAX)
        assert caught.value.code == "MALFORMED_DEPTH"


def test_values_at_the_limit_of_either_path() -> None:
    """As many values as are allowed are read from canonical and from other bytes, and no more."""
    commas = wire(SMALL).count(b",") + wire(SMALL).count(b"[") + wire(SMALL).count(b"{")
    spare = JSON_VALUES_MAX - commas - 3  # runtime, its object, its array
    for more, code in ((1, []), (2, ["MALFORMED_SIZE"])):
        receipt = signed(with_member(statement(), "/issuer/runtime", {"n": [1] * (spare + more)}))
        assert codes_of(wire(receipt)) == code
        assert codes_of(msgspec.json.format(wire(receipt), indent=1)) == code


def test_python_values_are_counted_while_they_are_copied() -> None:
    """Lists that hold one list twice, forty levels deep, are 2^40 values: refused at once."""
    value: Any = []
    for _ in range(40):
        value = [value, value]
    assert codes_of(with_member(SMALL, "/issuer/runtime", {"a": value})) == ["MALFORMED_SIZE"]
    assert codes_of(with_member(SMALL, "/issuer/runtime/a", {"b": value})) == ["MALFORMED_SIZE"]


def test_text_in_many_places_is_counted_in_each() -> None:
    """A megabyte that stands in a list a hundred times is not written out a hundred times."""
    once = {"a" * 1_000_000: 0}
    for value in (["a" * 1_000_000] * 100, [once] * 100):
        receipt = with_member(SMALL, "/issuer", {"id": "a", "runtime": {"a": value}})
        tracemalloc.start()
        assert codes_of(receipt) == ["MALFORMED_SIZE"]
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
        tracemalloc.stop()


def test_python_values_at_their_limit() -> None:
    """As many values as in bytes: each comma and each opening bracket."""
    for value in ([0] * 9, {str(at): 0 for at in range(9)}, [[], *[0] * 7], ({}, [], *[0] * 5)):
        assert plain_copy(value, JSON_DEPTH_MAX, 9)
        with pytest.raises(MalformedInput) as caught:
            plain_copy(value, JSON_DEPTH_MAX, 8)
        assert caught.value.code == "MALFORMED_SIZE"


def test_a_receipt_at_the_limit_of_bytes() -> None:
    """A receipt of exactly the limit is sound in every form, and refused one byte above it."""
    room = RECEIPT_BYTES_MAX - len(wire(signed(with_member(statement(), "/issuer/name", ""))))
    largest = signed(with_member(statement(), "/issuer/name", "x" * room))
    assert len(wire(largest)) == RECEIPT_BYTES_MAX
    assert codes_of(wire(largest)) == codes_of(largest) == []
    larger = signed(with_member(statement(), "/issuer/name", "x" * (room + 1)))
    assert codes_of(wire(larger)) == ["MALFORMED_SIZE"]


@pytest.mark.parametrize(
    ("value", "copied"),
    [
        ((1, (2,)), [1, [2]]),
        (OrderedDict(b=1, a=[True, None]), {"b": 1, "a": [True, None]}),
        (MappingProxyType({"a": 1.5}), {"a": 1.5}),
        (2**53, 2**53),
        (2**1022, 2**1022),
    ],
)
def test_python_values_become_plain(value: object, copied: object) -> None:
    """Mappings become dicts and tuples lists; numbers keep their kind."""
    result = plain_copy(value, JSON_DEPTH_MAX)
    assert result == copied
    assert type(result) is type(copied)


def test_a_disclosure_is_judged_on_either_path() -> None:
    """The open member of an action is an envelope or flat text, however the receipt is read."""
    place = f"{S}/action/parameters_disclosure"
    for value, codes in (
        (envelope(), []),
        ({"a": "b"}, []),
        ({"a": 1}, ["FIELD_VALUE"]),
        ({**envelope(), "v": "2"}, ["FIELD_VALUE"]),
    ):
        receipt = signed(with_member(statement(), place, value))
        assert codes_of(wire(receipt)) == codes_of(receipt) == codes
