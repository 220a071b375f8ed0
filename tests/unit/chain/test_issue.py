# SPDX-License-Identifier: Apache-2.0
"""Receipts are created, signed, linked and hashed; nothing is signed that would not verify."""

from __future__ import annotations

import copy
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from types import MappingProxyType
from typing import Any, Literal

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from tests.material import (
    CHAIN,
    ISSUER,
    KEY,
    METHOD,
    OTHER_PUBLIC,
    PUBLIC,
    Members,
    body_of,
    envelope,
    full_statement,
    hash_of,
    rotation,
    signed,
    statement,
    uuid,
    wire,
    with_member,
)

from tallystick.chain.issue import (
    create_receipt,
    hash_receipt,
    issue,
    random_uuid,
    seal,
    sign_receipt,
    timestamp,
)
from tallystick.crypto.canonical import canonicalize
from tallystick.crypto.digest import sha256_tagged
from tallystick.errors import (
    CanonicalError,
    KeyFormatError,
    MalformedInput,
    ReceiptError,
    RefusedInput,
    SigningError,
)
from tallystick.limits import (
    IDENTIFIER_CHARS_MAX,
    JSON_DEPTH_MAX,
    JSON_VALUES_MAX,
    RECEIPT_BYTES_MAX,
    RESPONSE_BYTES_MAX,
)
from tallystick.model.action import Action, Authorization, Intent, Outcome
from tallystick.model.chain import Delegation, Head, Link
from tallystick.model.reader import parse_receipt
from tallystick.model.receipt import Issuer, Principal, Receipt, UnsignedReceipt
from tallystick.model.rotation import KeyRotation, rotation_between
from tallystick.verify.verification import verify_chain, verify_receipt

S = "/credentialSubject"
MOMENT = 1_777_863_721_234_567_890
SPELLED = "2026-05-04T03:02:01.234Z"
SUBJECT = full_statement()["credentialSubject"]
LINK = {"chain_id": CHAIN, "previous_receipt_hash": None, "sequence": 1}
LEAST: dict[str, Any] = {
    "issuer": {"id": ISSUER},
    "principal": {"id": "did:user:u"},
    "action": {"type": "filesystem.file.read"},
    "outcome": {"status": "success"},
    "chain": LINK,
}


def numbered() -> Callable[[], str]:
    numbers = count(1)
    return lambda: uuid(next(numbers))


def create(**changes: Any) -> UnsignedReceipt:
    arguments = {"clock": lambda: MOMENT, "ids": numbered(), **LEAST, **changes}
    return create_receipt(**arguments)


def sign(unsigned: UnsignedReceipt) -> Receipt:
    return sign_receipt(unsigned, KEY, METHOD, clock=lambda: MOMENT)


def test_what_is_absent_is_filled_in() -> None:
    """Ids, timestamps and the usual risk are there, and everything else is as it was given."""
    assert create().to_dict() == {
        "@context": [
            "https://www.w3.org/ns/credentials/v2", "https://agentreceipts.ai/context/v3",
        ],
        "credentialSubject": {
            "action": {
                "id": f"act_{uuid(1)}", "risk_level": "low", "timestamp": SPELLED,
                "type": "filesystem.file.read",
            },
            "chain": LINK,
            "outcome": {"status": "success"},
            "principal": {"id": "did:user:u"},
        },
        "id": f"urn:receipt:{uuid(2)}",
        "issuanceDate": SPELLED,
        "issuer": {"id": ISSUER},
        "type": ["VerifiableCredential", "AgentReceipt"],
        "version": "0.6.0",
    }  # fmt: skip


def test_what_is_given_stays() -> None:
    """An action's own id, time and risk are kept, where they are of the right shape."""
    action = {
        "type": "filesystem.file.read", "id": f"act_{uuid(9)}", "risk_level": "critical",
        "timestamp": "2026-01-01T00:00:00+02:00",
    }  # fmt: skip
    for given_action in (action, Action.from_dict(action), MappingProxyType(action)):
        assert create(action=given_action).action.to_dict() == action


TYPED: list[tuple[str, str, Any]] = [
    ("action", "action", Action),
    ("outcome", "outcome", Outcome),
    ("principal", "principal", Principal),
    ("intent", "intent", Intent),
    ("authorization", "authorization", Authorization),
    ("delegation", "delegation", Delegation),
    ("chain", "chain", Link),
]


@pytest.mark.parametrize(("argument", "member", "kind"), TYPED)
def test_typed_values_and_dicts_make_the_same_receipt(
    argument: str, member: str, kind: Any
) -> None:
    """Each argument may be typed or a dict; it is carried whole, and not changed."""
    members = SUBJECT[member]
    before = copy.deepcopy(members)
    from_dict = create(**{argument: members})
    from_typed = create(**{argument: kind.from_dict(members)})
    assert from_dict == from_typed
    assert from_dict.to_dict()["credentialSubject"][member] == members == before
    assert sign(from_dict).to_json() == sign(from_typed).to_json()


def test_issuer_correlation_and_rotation_are_carried() -> None:
    """So are the members that stand elsewhere."""
    issuer = full_statement()["issuer"]
    assert create(issuer=issuer) == create(issuer=Issuer.from_dict(issuer))
    assert create(issuer=issuer).to_dict()["issuer"] == issuer
    assert create(correlation_id="c").credentialSubject.correlation_id == "c"
    hand_over = rotation(PUBLIC, OTHER_PUBLIC)
    for given_rotation in (hand_over, KeyRotation.from_dict(hand_over)):
        made = create(key_rotation=given_rotation)
        assert made.to_dict()["credentialSubject"]["keyRotation"] == hand_over


def test_nulls_are_left_out() -> None:
    """An optional member that is None is no member, typed or not."""
    nulled = create(action={**LEAST["action"], "tool_name": None}, intent=None)
    assert nulled == create()
    assert sign(nulled).to_json() == sign(create()).to_json()


def test_every_receipt_is_new() -> None:
    """Without `clock` and `ids` the time is now, and ids are random."""
    before = time.time_ns()
    one, two = create_receipt(**LEAST), create_receipt(**LEAST)
    assert one.id != two.id
    assert one.action.id != two.action.id
    assert timestamp(before) <= one.issuanceDate <= timestamp(time.time_ns())
    assert verify_receipt(sign_receipt(one, KEY, METHOD), PUBLIC).verified


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"issuer": {}}, "/issuer"),
        ({"issuer": {"id": 5}}, "/issuer/id"),
        ({"issuer": Issuer(id=5)}, "/issuer/id"),  # type: ignore[arg-type]  # that it is refused
        ({"issuer": {"id": "a", "colour": "red"}}, "/issuer"),
        ({"issuer": {"id": "a" * (IDENTIFIER_CHARS_MAX + 1)}}, "/issuer/id"),
        ({"issuer": {"id": "a", "runtime": {"agent_id": 5}}}, "/issuer/runtime/agent_id"),
        ({"issuer": {"id": "\ud800"}}, ""),
        ({"issuer": {"id": object()}}, ""),
        ({"principal": None}, f"{S}/principal"),
        ({"principal": {"id": "a", "type": "Robot"}}, f"{S}/principal/type"),
        ({"action": {}}, f"{S}/action/type"),
        ({"action": {"type": 5}}, f"{S}/action/type"),
        ({"action": {"type": "unknown"}}, f"{S}/action/target/system"),
        ({"action": {"type": "nonsense"}}, f"{S}/action/type"),
        (
            {"action": {"type": "filesystem.file.delete", "risk_level": "low"}},
            f"{S}/action/risk_level",
        ),
        ({"action": {**LEAST["action"], "id": "act_1"}}, f"{S}/action/id"),
        ({"action": {**LEAST["action"], "timestamp": "now"}}, f"{S}/action/timestamp"),
        (
            {"action": {**LEAST["action"], "timestamp": "2026-02-30T00:00:00Z"}},
            f"{S}/action/timestamp",
        ),
        ({"action": {**LEAST["action"], "parameters_hash": "x"}}, f"{S}/action/parameters_hash"),
        (
            {"action": {**LEAST["action"], "parameters_disclosure": {"a": 1}}},
            f"{S}/action/parameters_disclosure",
        ),
        ({"outcome": {"status": "done"}}, f"{S}/outcome/status"),
        ({"outcome": {"status": "success", "response_hash": "x"}}, f"{S}/outcome/response_hash"),
        (
            {"outcome": {"status": "success", "response_disclosure": {**envelope(), "v": "2"}}},
            f"{S}/outcome/response_disclosure",
        ),
        ({"chain": {**LINK, "sequence": 0}}, f"{S}/chain/sequence"),
        ({"chain": {**LINK, "sequence": 2}}, f"{S}/chain/previous_receipt_hash"),
        ({"chain": {**LINK, "sequence": "1"}}, f"{S}/chain/sequence"),
        ({"chain": {**LINK, "sequence": 1.0}}, f"{S}/chain/sequence"),
        ({"chain": {**LINK, "sequence": True}}, f"{S}/chain/sequence"),
        ({"chain": {**LINK, "sequence": 2**70}}, f"{S}/chain/sequence"),
        ({"chain": {**LINK, "terminal": False}}, f"{S}/chain/terminal"),
        ({"chain": {**LINK, "status": "complete"}}, f"{S}/chain/status"),
        (
            {"chain": {**LINK, "previous_receipt_hash": "sha256:" + "0" * 64}},
            f"{S}/chain/previous_receipt_hash",
        ),
        (
            {"chain": {**LINK, "sequence": 2, "previous_receipt_hash": "x"}},
            f"{S}/chain/previous_receipt_hash",
        ),
        ({"authorization": {"granted_at": "x", "scopes": ["a"]}}, f"{S}/authorization/granted_at"),
        (
            {"authorization": {"granted_at": "2026-02-30T00:00:00Z", "scopes": ["a"]}},
            f"{S}/authorization/granted_at",
        ),
        (
            {
                "authorization": {
                    "granted_at": "2026-02-03T00:00:00Z",
                    "expires_at": "2026-02-30T00:00:00Z",
                    "scopes": ["a"],
                }
            },
            f"{S}/authorization/expires_at",
        ),
        ({"delegation": {"parent_chain_id": "p"}}, f"{S}/delegation"),
        ({"correlation_id": ""}, f"{S}/correlation_id"),
        ({"correlation_id": 5}, f"{S}/correlation_id"),
        ({"ids": lambda: "X"}, f"{S}/action/id"),
    ],
)
def test_what_would_not_verify_is_not_created(changes: dict[str, Any], where: str) -> None:
    """Each fault is refused before anything is signed, with its place."""
    with pytest.raises(ReceiptError) as caught:
        create(**changes)
    assert caught.value.where == where
    assert caught.value.message


@pytest.mark.parametrize(
    "runtime",
    [
        {"a": float("nan")},
        {"a": [float("inf")]},
        {"a": datetime(2026, 1, 1, tzinfo=UTC)},
        {"a": {1: 2}},
        {"a": b"bytes"},
        {"a": {1, 2}},
        {"a": 2**53 + 1},
    ],
    ids=repr,
)
def test_open_members_hold_json_only(runtime: dict[str, Any]) -> None:
    """What an encoder would silently turn into something else is refused."""
    for issuer in ({"id": "a", "runtime": runtime}, Issuer(id="a", runtime=runtime)):
        with pytest.raises(RefusedInput):
            create(issuer=issuer)


@pytest.mark.parametrize(
    "runtime",
    [
        {},
        {"a": 1.5, "b": -0.0, "c": 1e300},
        {"a": 2**53, "b": 2**60, "c": 2.0**60},
        {"\U0001f600": 1, "\ufb33": 2, "": 3},
        {"agent_id": "x", "deep": [[{"a": None}]]},
        {"a": (1, 2)},
        {"a": '\x00\u2028\U0001f600"\\/'},
    ],
    ids=ascii,
)
def test_open_members_are_signed_as_they_are(runtime: dict[str, Any]) -> None:
    """Whatever JSON an open member holds, the signed bytes verify, read back and hash alike."""
    receipt = sign(create(issuer={"id": ISSUER, "runtime": runtime}))
    report = verify_receipt(receipt.to_json(), PUBLIC)
    assert report.verified
    assert verify_receipt(receipt, PUBLIC) == report
    assert parse_receipt(receipt.to_json()) == receipt
    assert hash_receipt(receipt) == hash_receipt(receipt.to_json()) == report.chains[0].head


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


def test_depth_at_the_limit() -> None:
    """The deepest runtime that verifies is signed; one level more is not."""
    deepest = create(issuer={"id": ISSUER, "runtime": nested(JSON_DEPTH_MAX - 2)})
    assert verify_receipt(sign(deepest).to_json(), PUBLIC).verified
    with pytest.raises((CanonicalError, ReceiptError)):
        sign(create(issuer={"id": ISSUER, "runtime": nested(JSON_DEPTH_MAX - 1)}))


def test_values_at_the_limit() -> None:
    """A receipt with as many values as may be verified is created, and one with more is not."""

    def with_values(number: int) -> UnsignedReceipt:
        return create(issuer={"id": ISSUER, "runtime": {"n": [0] * number}})

    assert verify_receipt(sign(with_values(JSON_VALUES_MAX - 100)).to_json(), PUBLIC).verified
    with pytest.raises(MalformedInput, match="values"):
        with_values(JSON_VALUES_MAX)


def test_bytes_at_the_limit() -> None:
    """The largest receipt is signed and verifies; one byte more is refused when it is signed."""
    room = RECEIPT_BYTES_MAX - len(sign(create(issuer={"id": ISSUER, "name": ""})).to_json())
    largest = sign(create(issuer={"id": ISSUER, "name": "x" * room}))
    assert len(largest.to_json()) == RECEIPT_BYTES_MAX
    assert verify_receipt(largest.to_json(), PUBLIC).verified
    with pytest.raises(ReceiptError, match="with its proof"):
        sign(create(issuer={"id": ISSUER, "name": "x" * (room + 1)}))
    with pytest.raises(ReceiptError, match="over the limit"):
        create(issuer={"id": ISSUER, "name": "x" * RECEIPT_BYTES_MAX})


@pytest.mark.parametrize("body", [{"b": 1.5, "a": None}, [], "text", None, 5])
def test_a_response_is_hashed_and_not_carried(body: object) -> None:
    """The hash is over the canonical form; the receipt verifies against the same body."""
    made = create(response_body=body)
    assert made.outcome.response_hash == sha256_tagged(canonicalize(body))
    assert create(response_body=body, outcome=Outcome(status="success")) == made
    assert create(response_body=body, outcome=made.outcome) == made
    assert verify_receipt(sign(made), PUBLIC, response_body=body).verified


@pytest.mark.parametrize("text", [b'{"id":"a"', b'{"id":"a"},"x":{}', b"{"])
def test_bytes_that_are_put_in_as_they_are(text: bytes) -> None:
    """What an encoder takes for JSON without a look can't reach beyond its member."""
    for name in ("issuer", "principal"):
        with pytest.raises(ReceiptError):
            create(**{name: msgspec.Raw(text)})


def test_a_response_that_can_not_be_hashed() -> None:
    """Another hash beside it, a value that is no JSON, and too large a body are refused."""
    with pytest.raises(ReceiptError, match="not the hash") as caught:
        create(response_body={}, outcome={"status": "success", "response_hash": "sha256:x"})
    assert caught.value.where == f"{S}/outcome/response_hash"
    with pytest.raises(CanonicalError):
        create(response_body=object())
    with pytest.raises(ReceiptError):
        create(response_body={}, outcome={"status": "nonsense"})
    largest = create(response_body="x" * (RESPONSE_BYTES_MAX - 2))
    assert largest.outcome.response_hash is not None
    with pytest.raises(ReceiptError, match="response over"):
        create(response_body="x" * (RESPONSE_BYTES_MAX - 1))


class Hsm:
    """A signer whose key is elsewhere."""

    def __init__(self, answer: object = None) -> None:
        self.answer = answer

    def sign(self, message: bytes, /) -> Any:
        return KEY.signing_key().sign(message) if self.answer is None else self.answer

    def get_public_key(self) -> bytes:
        return PUBLIC


@pytest.mark.parametrize("key", [KEY, KEY.private_key, Hsm()], ids=["pair", "pem", "signer"])
def test_every_kind_of_key_signs_alike(key: Any) -> None:
    """A PEM, a key pair and a signer make the same proof, over the bytes of RFC 8785."""
    unsigned = create()
    receipt = sign_receipt(unsigned, key, METHOD, clock=lambda: MOMENT)
    expected = signed(unsigned.to_dict())
    assert receipt.to_dict()["proof"] == {**expected["proof"], "created": SPELLED}
    assert receipt.unsigned() == unsigned
    assert verify_receipt(receipt, PUBLIC).verified


@pytest.mark.parametrize("answer", [b"", b"x" * 63, b"x" * 65, "x" * 64, bytearray(64), 5])
def test_what_is_no_signature_is_not_a_proof(answer: object) -> None:
    """A signer that answers with anything but 64 bytes has not signed."""
    with pytest.raises(SigningError):
        sign_receipt(create(), Hsm(answer), METHOD)


def test_a_bad_pem_is_refused_without_being_shown() -> None:
    """Text that is no private key does not sign, and is not in the message."""
    with pytest.raises(KeyFormatError) as caught:
        sign_receipt(create(), "swordfish", METHOD)
    assert "swordfish" not in str(caught.value)


def test_methods_at_their_limits() -> None:
    """A method is some text of bounded length."""
    longest = "m" * IDENTIFIER_CHARS_MAX
    receipt = sign_receipt(create(), KEY, longest)
    assert verify_receipt(receipt, PUBLIC, verification_method=longest).verified
    for wrong in ("", longest + "m"):
        with pytest.raises(ReceiptError, match="verification_method"):
            sign_receipt(create(), KEY, wrong)


@pytest.mark.parametrize("receipt", [signed(statement()), signed(full_statement())])
def test_hashes_agree_over_all_forms(receipt: Members) -> None:
    """Bytes, dict, typed, with and without proof: one hash, the one that links name."""
    typed = parse_receipt(wire(receipt))
    bare = {name: receipt[name] for name in receipt if name != "proof"}
    nulled = (
        with_member(receipt, "/issuer/operator", None)
        if "operator" not in receipt["issuer"]
        else receipt
    )
    forms: list[Any] = [
        receipt, bare, wire(receipt), wire(bare), typed, typed.unsigned(), MappingProxyType(bare),
        msgspec.json.format(wire(receipt), indent=2), nulled,
    ]  # fmt: skip
    assert {hash_receipt(form) for form in forms} == {hash_of(receipt)}


@pytest.mark.parametrize("value", [b"[]", b"5", "text", 5, None, []])
def test_what_is_no_object_has_no_hash(value: Any) -> None:
    """Only an object is a receipt."""
    with pytest.raises(ReceiptError, match="not an object"):
        hash_receipt(value)
    with pytest.raises(MalformedInput):
        hash_receipt(b'{"a":1,"a":1}')


def test_a_chain_is_issued_step_by_step() -> None:
    """`issue` takes a head, gives the next receipt and the head behind it; the chain verifies."""
    head = Head(chain_id=CHAIN)
    receipts: list[Receipt] = []
    for last in (False, False, True):
        receipt, head = issue(
            head, lambda link: create(chain=link), KEY, METHOD, terminal=last, clock=lambda: MOMENT
        )
        receipts.append(receipt)
    report = verify_chain(
        receipts, PUBLIC, expected_length=3, expected_head=head.hash, require_terminal=True
    )
    assert report.codes() == ["ID_DUPLICATE"] * 2  # our ids began anew for each
    assert (head.sequence, head.hash) == (3, hash_receipt(receipts[-1]))
    assert [receipt.link.terminal for receipt in receipts] == [None, None, True]


def test_a_chain_goes_on_from_a_stored_head() -> None:
    """All that is needed to go on is chain id, sequence and hash."""
    ids = numbered()
    first, head = issue(Head(chain_id=CHAIN), lambda link: create(chain=link, ids=ids), KEY, METHOD)
    stored = msgspec.convert(msgspec.to_builtins(head), Head)
    second, _ = issue(stored, lambda link: create(chain=link, ids=ids), KEY, METHOD)
    assert verify_chain([first, second], PUBLIC, expected_length=2).verified


def test_a_rotation_is_issued() -> None:
    """The outgoing key signs the hand-over; what follows is signed by the new one."""
    ids = numbered()
    hand_over = rotation_between(PUBLIC, OTHER_PUBLIC)
    status: Literal["success"] = "success"
    receipt, _ = issue(
        Head(chain_id=CHAIN),
        lambda link: create(
            chain=link,
            ids=ids,
            action={"type": "agent.key.rotate"},
            outcome=Outcome(status=status),
            key_rotation=hand_over,
        ),
        KEY,
        METHOD,
    )
    assert receipt.action.risk_level == "high"
    assert verify_chain([receipt], PUBLIC).verified


def moments() -> Iterator[tuple[int, str]]:
    yield 0, "1970-01-01T00:00:00.000Z"
    yield 999_999, "1970-01-01T00:00:00.000Z"
    yield 1_000_000, "1970-01-01T00:00:00.001Z"
    yield 951_782_399_999_999_999, "2000-02-28T23:59:59.999Z"
    yield MOMENT, SPELLED


@pytest.mark.parametrize(("moment", "text"), list(moments()))
def test_moments_are_cut_to_milliseconds(moment: int, text: str) -> None:
    """A timestamp is UTC with milliseconds, never rounded up into the future."""
    assert timestamp(moment) == text


@given(st.integers(0, 250_000_000_000 * 10**9))
def test_moments_are_those_of_the_calendar(moment: int) -> None:
    """Every moment up to the year 9892 is spelled as Python's calendar says."""
    when = datetime.fromtimestamp(moment // 10**9, tz=UTC)
    milliseconds = moment // 10**6 % 1000
    assert timestamp(moment) == f"{when:%Y-%m-%dT%H:%M:%S}.{milliseconds:03d}Z"


def test_random_ids_are_uuids_of_version_4() -> None:
    """Ids have the shape of RFC 9562, version 4, and do not repeat."""
    made = {random_uuid() for _ in range(1000)}
    assert len(made) == 1000
    shape = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
    assert all(re.fullmatch(shape, one) for one in made)
    assert {one[19] for one in made} == set("89ab")


def test_signed_bytes_are_those_of_the_rfc() -> None:
    """What is kept as the signed bytes is what another implementation makes of the members."""
    for changes in (
        {},
        {
            "chain": {
                "chain_id": CHAIN,
                "sequence": 2,
                "previous_receipt_hash": "sha256:" + "0" * 64,
            }
        },
        {"issuer": {"id": "a", "name": '\x7f\u2028é\U0001f600\x1f\\"/'}},
        {"correlation_id": "null"},
        {
            "action": {
                **LEAST["action"],
                "parameters_disclosure": {"\U0001f600": "a", "\ufb33": "b"},
            }
        },
    ):
        receipt = sign(create(**changes))
        assert body_of(receipt.to_dict()) == rfc8785.dumps(receipt.unsigned().to_dict())
        assert verify_receipt(wire(receipt.to_dict()), PUBLIC).verified
        assert receipt.to_json() == wire(receipt.to_dict())


SECOND = Link(chain_id=CHAIN, sequence=2, previous_receipt_hash="sha256:" + "0" * 64)


@pytest.mark.parametrize("runtime", [None, {}, {"b": 1, "a": ["é", {"z": None}]}, {"x": 0.5}])
def test_sealing_is_signing(runtime: dict[str, Any] | None) -> None:
    """Bytes and hash are those of the receipt that `sign_receipt` gives, whatever its members."""
    unsigned = create(issuer=Issuer(id=ISSUER, runtime=runtime), chain=SECOND)
    again = msgspec.convert(msgspec.to_builtins(unsigned), type(unsigned))
    sealed = seal(unsigned, KEY, METHOD, clock=lambda: 0)
    receipt = sign_receipt(again, KEY, METHOD, clock=lambda: 0)
    assert sealed.body == receipt.to_json() == sealed.receipt.to_json()
    assert sealed.hash == hash_receipt(receipt) == hash_receipt(sealed.body)
    assert seal(unsigned, KEY, METHOD, clock=lambda: 0) == sealed


def test_what_is_sealed_is_what_was_checked() -> None:
    """An open member that is changed between creating and sealing is not signed."""
    unsigned = create(issuer=Issuer(id=ISSUER, runtime={"a": 1}), chain=SECOND)
    assert unsigned.issuer.runtime is not None
    unsigned.issuer.runtime["a"] = float("nan")
    sealed = seal(unsigned, KEY, METHOD)
    assert b'"runtime":{"a":1}' in sealed.body
    assert hash_receipt(sealed.body) == sealed.hash
