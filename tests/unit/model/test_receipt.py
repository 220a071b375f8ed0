# SPDX-License-Identifier: Apache-2.0
"""The receipt as a typed value, and the fast way from canonical bytes to it."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any, cast

import msgspec
import pytest
import rfc8785
from tests.material import (
    DAY,
    OTHER_PUBLIC,
    PUBLIC,
    Members,
    body_of,
    envelope,
    full_statement,
    rotation,
    signed,
    statement,
    wire,
    with_member,
    without_member,
)

from tallystick.crypto.canonical import canonicalize
from tallystick.errors import CanonicalError, ReceiptError
from tallystick.limits import JSON_DEPTH_MAX
from tallystick.model.action import Authorization
from tallystick.model.fact import Fact
from tallystick.model.reader import parse_receipt, read_receipt
from tallystick.model.receipt import (
    CONTEXT_BY_VERSION,
    CredentialSubject,
    Issuer,
    Principal,
    Receipt,
    UnsignedReceipt,
    encode,
    has_sound_open_members,
    holds_only_plain,
    shapes_hold,
    split_canonical,
    split_canonical_lines,
    split_judged,
    statement_of,
)

SMALL = signed(statement())
FULL = signed(full_statement())
ROTATING = signed(
    with_member(statement(), "/credentialSubject/keyRotation", rotation(PUBLIC, OTHER_PUBLIC))
)
SHAPED = [
    "/id",
    "/issuanceDate",
    "/credentialSubject/action/id",
    "/credentialSubject/action/parameters_hash",
    "/credentialSubject/action/timestamp",
    "/credentialSubject/action/trusted_timestamp",
    "/credentialSubject/authorization/expires_at",
    "/credentialSubject/authorization/granted_at",
    "/credentialSubject/chain/previous_receipt_hash",
    "/credentialSubject/delegation/parent_receipt_id",
    "/credentialSubject/intent/conversation_hash",
    "/credentialSubject/intent/reasoning_hash",
    "/credentialSubject/outcome/response_hash",
    "/credentialSubject/outcome/reversal_of",
    "/credentialSubject/outcome/state_change/after_hash",
    "/credentialSubject/outcome/state_change/before_hash",
]
SHAPED_ROTATION = [
    f"/credentialSubject/keyRotation/{name}"
    for name in ("new_key_fingerprint", "new_public_key", "old_key_fingerprint")
]


def plain_runtime(receipt: dict[str, Any]) -> dict[str, Any]:
    """Return the receipt with a runtime that the fast path takes, signed anew."""
    return signed(with_member(receipt, "/issuer/runtime", {"agent_id": "a", "n": [1, None, "ü"]}))


def fact_classes(kind: type[Fact] = Fact) -> list[type[Fact]]:
    """Return all kinds of facts, by name: workers have to agree on the order."""
    below = kind.__subclasses__()
    found = {*below, *(one for sub in below for one in fact_classes(sub))}
    return sorted(found, key=lambda one: one.__name__)


@pytest.mark.parametrize("kind", fact_classes(), ids=lambda kind: kind.__name__)
def test_members_are_declared_in_canonical_order(kind: type[Fact]) -> None:
    """Members stand in the order of RFC 8785, so that encoding needs no sorting."""
    names = [field.encode_name for field in msgspec.structs.fields(kind)]
    if kind is Receipt:
        names.remove("proof")  # declared behind what it inherits; encoded by sorting
    assert names == sorted(names, key=lambda name: name.encode("utf-16-be"))


@pytest.mark.parametrize("receipt", [SMALL, FULL, ROTATING], ids=["small", "full", "rotation"])
def test_bytes_and_dicts_come_back(receipt: dict[str, Any]) -> None:
    """Parsed and written again, a receipt is what it was: as bytes, as a dict, as a value."""
    parsed = parse_receipt(wire(receipt))
    assert parsed.to_json() == wire(receipt)
    assert parsed.to_dict() == receipt
    assert parse_receipt(json.dumps(receipt, indent=2).encode()) == parsed


def test_every_member_of_the_protocol_is_carried() -> None:
    """The full receipt and a rotation together use each member of each class."""
    subject = set(FULL["credentialSubject"]) | set(ROTATING["credentialSubject"])
    assert subject == set(CredentialSubject.__struct_fields__)
    assert set(FULL["issuer"]) == set(Issuer.__struct_fields__)
    assert set(FULL["credentialSubject"]["principal"]) == set(Principal.__struct_fields__)
    assert set(FULL) == {field.encode_name for field in msgspec.structs.fields(Receipt)}


def test_short_names_lead_to_the_members() -> None:
    """`.action`, `.outcome`, `.principal` and `.link` are the members of the subject."""
    receipt = parse_receipt(wire(FULL))
    subject = receipt.credentialSubject
    assert (receipt.action, receipt.outcome) == (subject.action, subject.outcome)
    assert (receipt.principal, receipt.link) == (subject.principal, subject.chain)


def test_unsigned_is_all_but_the_proof() -> None:
    """`.unsigned()` has every member but one, and its bytes are what is signed."""
    receipt = parse_receipt(wire(FULL))
    assert type(receipt.unsigned()) is UnsignedReceipt
    assert receipt.unsigned().to_json() == body_of(FULL)


@pytest.mark.parametrize(
    "receipt",
    [
        SMALL,
        ROTATING,
        plain_runtime(statement()),
        plain_runtime(full_statement()),
        signed(with_member(statement(), "/issuer/name", '\x00\x1f"\\/\u2028é€\U0001f600\x7f')),
        signed(with_member(statement(), "/issuer/name", 'a,"proof":{"b":"c')),
        signed(with_member(statement(), "/issuer/runtime", {"a": 1, "proof": {"type": "b"}})),
        signed({**statement(), "@context": []}),
        *(signed(statement(version=version)) for version in CONTEXT_BY_VERSION),
    ],
)
def test_canonical_bytes_are_split(receipt: dict[str, Any]) -> None:
    """Canonical bytes give the receipt and, cut out of them, exactly what is signed."""
    split = split_canonical(wire(receipt))
    assert split is not None
    assert split == (parse_receipt(wire(receipt)), body_of(receipt))
    assert split_judged(wire(receipt)) == split


ACTION = "/credentialSubject/action"
# What is no receipt, or has another spelling, or a member or a text that is out of shape.
UNUSUAL = [
    b"",
    b"{}",
    b"[]",
    b"null",
    b"\xff",
    b"{" * 100_000,
    wire(SMALL) + b"\n",
    b" " + wire(SMALL),
    wire(SMALL)[:-1],
    json.dumps(SMALL).encode(),
    wire(SMALL).replace(b'"sequence":1', b'"sequence":1.0'),
    wire(SMALL).replace(b'"sequence":1', b'"sequence":"1"'),
    wire(SMALL).replace(b'"sequence":1', b'"sequence":1e0'),
    wire(SMALL).replace(b'"sequence":1', b'"sequence":1,"sequence":1'),
    wire(SMALL).replace(b'"sequence":1', b'"sequence":1,"terminal":null'),
    wire(SMALL).replace(b'"low"', b'"l\\u006fw"'),
    wire(SMALL).replace(b"filesystem.file", b"filesystem\\/file"),
    wire(SMALL).replace(b"did:agent:a", b"did:agent:\\ud800"),
    wire(with_member(SMALL, "/colour", "red")),
    wire(with_member(SMALL, "/credentialSubject/colour", "red")),
    wire(with_member(SMALL, "/proof/colour", "red")),
    wire(without_member(SMALL, "/proof")),
    wire(without_member(SMALL, "/credentialSubject/action/risk_level")),
    wire(without_member(SMALL, "/credentialSubject/action/id")),
    wire(without_member(SMALL, "/credentialSubject/action/timestamp")),
    wire(with_member(SMALL, "/proof/created", "yesterday")),
    wire(with_member(SMALL, "/proof/proofValue", SMALL["proof"]["proofValue"] + "=")),
    wire(with_member(SMALL, "/version", "0.7.0")),
    wire(FULL),
    wire(signed(with_member(statement(), "/issuer/runtime", {"\U0001f600": 1}))),
    wire(with_member(SMALL, "/issuer/runtime", {"n": 7})).replace(b"7}", b"9007199254740992}"),
    wire(with_member(SMALL, "/issuanceDate", "2026-02-30T00:00:00Z")),
    wire(signed(statement(version="0.2.0") | {"id": "urn:receipt:001"})),
    wire(SMALL) + b"\n" + wire(SMALL),
    wire(with_member(SMALL, f"{ACTION}/timestamp", "yesterday")),
    wire(with_member(SMALL, "/issuer/runtime", {"n": 7})).replace(b"7}", b"7.0}"),
    wire(with_member(SMALL, f"{ACTION}/parameters_disclosure", {"n": 7})).replace(b"7}", b"7.0}"),
]  # fmt: skip


@pytest.mark.parametrize("data", UNUSUAL)
def test_other_bytes_are_left_to_the_strict_parser(data: bytes) -> None:
    """Bytes with anything unusual about them are not split, and nothing is raised."""
    assert split_canonical(data) is None
    split_judged(data)


@pytest.mark.parametrize("data", [*UNUSUAL, wire(SMALL), wire(ROTATING)])
def test_lines_are_split_together_as_each_alone(data: bytes) -> None:
    """What is unusual in one line is so among others, and then none of them is split."""
    alone, sound = split_canonical(data, is_shaped=False), split_canonical(wire(SMALL))
    together = split_canonical_lines([wire(SMALL), data, wire(SMALL)])
    assert together == (None if alone is None else [sound, alone, sound])


def test_shapes_are_left_to_who_asks_for_none() -> None:
    """A text that is out of shape has its one spelling all the same."""
    data = wire(with_member(SMALL, "/proof/created", "yesterday"))
    split = split_canonical(data, is_shaped=False)
    assert split is not None
    assert split == (split[0], body_of(SMALL))
    assert split_canonical_lines([data]) == [split]


@pytest.mark.parametrize(
    ("runtime", "sound"),
    [
        ({}, True),
        ({"agent_id": "a", "agent_type": "t", "other": 1}, True),
        ({"agent_id": 1}, False),
        ({"agent_type": None}, False),
        ({"agent_id": ["a"]}, False),
    ],
)
def test_declared_members_of_runtime_are_text(runtime: dict[str, Any], sound: bool) -> None:
    """Both ways to read a receipt want text in the two members that the protocol names."""
    receipt = with_member(SMALL, "/issuer/runtime", runtime)
    assert has_sound_open_members(msgspec.convert(receipt, Receipt)) is sound
    assert (read_receipt(receipt)[1] == []) is sound


@pytest.mark.parametrize(
    ("disclosure", "sound"),
    [
        ({}, True),
        ({"path": "/x", "v": "1"}, True),
        (envelope(), True),
        ({**envelope(), "extra": "x"}, False),
        ({"path": 1}, False),
        ({"a": {"b": "c"}}, False),
        ({"a": None}, False),
    ],
)
def test_disclosures_are_envelopes_or_flat_text(disclosure: dict[str, Any], sound: bool) -> None:
    """What was disclosed is an envelope, or the flat map of text of 0.2; nothing else."""
    place = "/credentialSubject/action/parameters_disclosure"
    receipt = with_member(SMALL, place, disclosure)
    assert has_sound_open_members(msgspec.convert(receipt, Receipt)) is sound
    assert (read_receipt(receipt)[1] == []) is sound


@pytest.mark.parametrize("place", SHAPED + SHAPED_ROTATION)
def test_every_shaped_text_is_looked_at(place: str) -> None:
    """A text out of shape keeps the bytes from the fast path, wherever it stands."""
    base = ROTATING if place in SHAPED_ROTATION else plain_runtime(full_statement())
    assert split_canonical(wire(with_member(base, place, "x"))) is None
    changed = with_member(base, place, "x")
    del changed["proof"]
    assert not shapes_hold(msgspec.convert(changed, UnsignedReceipt))


def test_shaped_texts_are_those_of_the_annotations() -> None:
    """The list above names each member whose type has a pattern, proof aside."""

    def shaped(spec: Any, where: str) -> list[str]:
        if isinstance(spec, msgspec.inspect.UnionType):
            return [place for one in spec.types for place in shaped(one, where)]
        if isinstance(spec, msgspec.inspect.Metadata):
            return [where]
        if isinstance(spec, msgspec.inspect.StructType):
            return [
                place
                for field in spec.fields
                for place in shaped(field.type, f"{where}/{field.encode_name}")
            ]
        return []

    places = shaped(msgspec.inspect.type_info(UnsignedReceipt), "")
    assert sorted(places) == sorted(SHAPED + SHAPED_ROTATION)


def test_a_line_feed_hides_nothing() -> None:
    """Several texts are matched at once; one that holds a line feed does not stand for two."""
    text = f"{SMALL['id']}\n{SMALL['credentialSubject']['action']['id']}"
    assert split_canonical(wire(with_member(SMALL, "/id", text))) is None


@pytest.mark.parametrize(
    ("runtime", "plain"),
    [
        ({"a": 1}, True),
        ({"a": 1.5}, False),
        ({"a": 2.0**53}, False),
        ({"\ue000": 1}, False),
        ({}, True),
    ],
)
def test_open_members_decide_the_path(runtime: dict[str, Any], plain: bool) -> None:
    """Whatever the path, a receipt's bytes are those of RFC 8785."""
    receipt = with_member(statement(), "/issuer/runtime", runtime)
    typed = msgspec.convert(receipt, UnsignedReceipt)
    assert holds_only_plain(typed) is plain
    assert encode(typed) == rfc8785.dumps(receipt) == canonicalize(receipt)


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("place", "above"),
    [("/issuer/runtime", 2), ("/credentialSubject/action/parameters_disclosure", 3)],
)
def test_depth_counts_from_the_receipt(place: str, above: int) -> None:
    """An open member may be as deep as the limit leaves room below its place."""
    deepest = msgspec.convert(
        with_member(statement(), place, nested(JSON_DEPTH_MAX - above)), UnsignedReceipt
    )
    assert holds_only_plain(deepest)
    assert encode(deepest)
    deeper = msgspec.convert(
        with_member(statement(), place, nested(JSON_DEPTH_MAX - above + 1)), UnsignedReceipt
    )
    assert not holds_only_plain(deeper)
    with pytest.raises(CanonicalError):
        encode(deeper)


def test_half_a_surrogate_pair_has_no_bytes() -> None:
    """Text that UTF-8 can't hold is refused by name, in closed and in open members."""
    typed = msgspec.convert(statement(), UnsignedReceipt)
    broken = msgspec.structs.replace(typed, issuer=Issuer(id="\ud800"))
    with pytest.raises(ReceiptError, match="surrogate"):
        encode(broken)
    broken = msgspec.structs.replace(typed, issuer=Issuer(id="a", runtime={"x": ["\udc00"]}))
    with pytest.raises((ReceiptError, CanonicalError), match="surrogate"):
        encode(broken)


def test_signed_bytes_are_kept_beside_closed_receipts_only() -> None:
    """What is signed is made once; open members may change, so then it is made each time."""
    receipt = parse_receipt(wire(SMALL))
    assert statement_of(receipt) == body_of(SMALL)
    assert statement_of(receipt) is statement_of(receipt)
    runtime: dict[str, Any] = {"a": 1}
    opened = msgspec.structs.replace(receipt, issuer=Issuer(id="a", runtime=runtime))
    before = statement_of(opened)
    runtime["a"] = 2
    assert statement_of(opened) != before
    assert statement_of(opened) == encode(opened.unsigned())
    disclosure: dict[str, Any] = {"a": "1"}
    action = msgspec.structs.replace(
        receipt.credentialSubject.action, parameters_disclosure=disclosure
    )
    subject = msgspec.structs.replace(receipt.credentialSubject, action=action)
    opened = msgspec.structs.replace(receipt, credentialSubject=subject)
    before = statement_of(opened)
    disclosure["a"] = "2"
    assert statement_of(opened) != before


@pytest.mark.parametrize("member", ["context", "scopes"])
def test_signed_bytes_of_lists_are_not_kept(member: str) -> None:
    """A list where a tuple is declared may change as well: what is signed is what stands there."""
    typed = msgspec.convert(statement(), UnsignedReceipt)
    texts = [*typed.context]
    if member == "context":
        typed = msgspec.structs.replace(typed, context=cast("Any", texts))
    else:
        granted = Authorization(granted_at=DAY, scopes=cast("Any", texts))
        subject = msgspec.structs.replace(typed.credentialSubject, authorization=granted)
        typed = msgspec.structs.replace(typed, credentialSubject=subject)
    statement_of(typed)
    texts.append("more")
    assert statement_of(typed) == typed.to_json()


def test_kept_bytes_stay_behind() -> None:
    """A changed copy of a receipt has bytes of its own, and equality looks at members alone."""
    receipt = parse_receipt(wire(SMALL))
    statement_of(receipt)
    changed = msgspec.structs.replace(receipt, issuer=Issuer(id="did:agent:b"))
    assert b"did:agent:b" in statement_of(changed)
    for copied in (copy.copy(receipt), copy.deepcopy(receipt), pickle.loads(pickle.dumps(receipt))):
        assert copied == receipt
        assert statement_of(copied) == statement_of(receipt)


@pytest.mark.parametrize(
    "runtime",
    [
        {"a": 1, "proof": {"created": "x"}},
        {"proof": {"proof": {}}, "z": ',"proof":{'},
        {"a": '","proof":{"', "type": ',"type":["VerifiableCredential","AgentReceipt"]'},
    ],
)
def test_the_proof_is_cut_out_and_nothing_like_it(runtime: Members) -> None:
    """Open members may hold what looks like a proof: signed is all but the receipt's own."""
    receipt = signed(with_member(full_statement(), "/issuer/runtime", runtime))
    split = split_canonical(wire(receipt))
    assert split is not None
    assert split[1] == body_of(receipt)
    lines = split_canonical_lines([wire(receipt)] * 2)
    assert lines is not None
    assert [body for _, body in lines] == [body_of(receipt)] * 2
