# SPDX-License-Identifier: Apache-2.0
"""The receipt: who did what for whom, its place in a chain, and the proof over all of it.

What is signed and hashed is the RFC 8785 form of the receipt without `proof`. The members of every
class stand in the order in which RFC 8785 sorts them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Annotated, Any, Final, Literal, get_args, get_type_hints

import msgspec
from msgspec import Meta

from tallystick.crypto.canonical import canonicalize, is_plain
from tallystick.crypto.nesting import is_shallow
from tallystick.errors import ReceiptError
from tallystick.limits import IDENTIFIER_CHARS_MAX, JSON_DEPTH_MAX
from tallystick.model.action import Action, Authorization, Intent, Outcome
from tallystick.model.chain import Delegation, Link
from tallystick.model.disclosure import disclosure_fault
from tallystick.model.fact import Fact
from tallystick.model.rotation import KeyRotation
from tallystick.model.shapes import (
    ACTION_ID_PATTERN,
    HASH_PATTERN,
    ID_PATTERN,
    INSTANT_PATTERN,
    PROOF_VALUE_PATTERN,
    Identifier,
    Instant,
    NonEmpty,
    ProofValue,
    ReceiptId,
    is_moment,
    matcher,
)

VERSION: Final = "0.6.0"
CREDENTIAL_TYPE: Final = ("VerifiableCredential", "AgentReceipt")
PROOF_TYPE: Final = "Ed25519Signature2020"
PROOF_PURPOSE: Final = "assertionMethod"
W3C_CONTEXT: Final = "https://www.w3.org/ns/credentials/v2"
_OURS = "https://agentreceipts.ai/context/v"

# Each version has its context; further URIs may follow the two.
CONTEXT_BY_VERSION: Final = {
    "0.1.0": f"{_OURS}1",
    "0.2.0": f"{_OURS}1",
    "0.2.1": f"{_OURS}1",
    "0.3.0": f"{_OURS}1",
    "0.4.0": f"{_OURS}1",
    "0.5.0": f"{_OURS}2",
    "0.6.0": f"{_OURS}3",
}
# Members that may be left out when a value is made, and never on the wire.
WIRE_REQUIRED: Final = frozenset({(Action, "id"), (Action, "risk_level"), (Action, "timestamp")})
# Vectors published for these versions hold ids that the schema does not allow.
LOOSE_ID_VERSIONS: Final = frozenset({"0.1.0", "0.2.0", "0.2.1"})

# The members of the open `issuer.runtime` that the protocol declares: text or absent.
RUNTIME_TEXTS: Final = ("agent_id", "agent_type")

CONTEXT: Final = (W3C_CONTEXT, CONTEXT_BY_VERSION[VERSION])


class Operator(Fact, frozen=True, kw_only=True):
    """Who runs the agent."""

    id: Identifier
    name: str


class Issuer(Fact, frozen=True, kw_only=True):
    """The agent instance that issues the receipts of a chain."""

    id: Identifier
    model: str | None = None
    name: str | None = None
    operator: Operator | None = None
    # Open by the protocol: keys that nobody declared are signed like all others.
    runtime: dict[str, Any] | None = None
    session_id: Identifier | None = None
    type: str | None = None


class Principal(Fact, frozen=True, kw_only=True):
    """On whose behalf the agent acted."""

    id: Identifier
    type: Literal["HumanPrincipal", "OrganizationPrincipal"] | None = None


class CredentialSubject(Fact, frozen=True, kw_only=True):
    """All that the receipt states."""

    action: Action
    authorization: Authorization | None = None
    chain: Link
    correlation_id: NonEmpty | None = None
    delegation: Delegation | None = None
    intent: Intent | None = None
    keyRotation: KeyRotation | None = None  # noqa: N815  # the wire's own spelling
    outcome: Outcome
    principal: Principal


class Proof(Fact, frozen=True, kw_only=True):
    """The signature. Only `proofValue` proves; the other members are outside what is signed."""

    created: Instant
    proofPurpose: Literal["assertionMethod"]  # noqa: N815  # the wire's own spelling
    proofValue: ProofValue  # noqa: N815  # the wire's own spelling
    type: Literal["Ed25519Signature2020"]
    verificationMethod: Annotated[str, Meta(max_length=IDENTIFIER_CHARS_MAX)]  # noqa: N815


_Type = tuple[Literal["VerifiableCredential"], Literal["AgentReceipt"]]
_Version = Literal["0.1.0", "0.2.0", "0.2.1", "0.3.0", "0.4.0", "0.5.0", "0.6.0"]


class UnsignedReceipt(
    Fact, frozen=True, kw_only=True, dict=True, gc=True, rename={"context": "@context"}
):
    """A receipt before its proof: what is signed and hashed."""

    context: tuple[str, ...]
    credentialSubject: CredentialSubject  # noqa: N815  # the wire's own spelling
    id: ReceiptId
    issuanceDate: Instant  # noqa: N815  # the wire's own spelling
    issuer: Issuer
    type: _Type
    version: _Version

    @property
    def action(self) -> Action:
        """What was done."""
        return self.credentialSubject.action

    @property
    def outcome(self) -> Outcome:
        """How it ended."""
        return self.credentialSubject.outcome

    @property
    def principal(self) -> Principal:
        """On whose behalf."""
        return self.credentialSubject.principal

    @property
    def link(self) -> Link:
        """The place in the chain."""
        return self.credentialSubject.chain

    def to_json(self) -> bytes:
        """Return the RFC 8785 bytes."""
        return encode(self)


class Receipt(UnsignedReceipt, frozen=True, kw_only=True, gc=True, rename={"context": "@context"}):
    """A signed receipt."""

    proof: Proof

    def unsigned(self) -> UnsignedReceipt:
        """Return the receipt without its proof."""
        return UnsignedReceipt(
            context=self.context,
            credentialSubject=self.credentialSubject,
            id=self.id,
            issuanceDate=self.issuanceDate,
            issuer=self.issuer,
            type=self.type,
            version=self.version,
        )


# Where a receipt keeps the bytes that were signed, if nothing in it can still change.
STATEMENT: Final = "statement"

_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_ENCODE: Final = _ENCODER.encode
# What a statement of ours begins with, up to what is stated, and what stands behind the issuer.
HEAD: Final = b'{"@context":%b,"credentialSubject":' % _ENCODE(CONTEXT)
TAIL: Final = b',"type":%b,"version":"%b"}' % (_ENCODE(CREDENTIAL_TYPE), VERSION.encode())
# What follows the proof in a canonical receipt: always these bytes but for the version's digits.
AFTER_PROOF_BYTES: Final = len(TAIL)


def encode(receipt: UnsignedReceipt) -> bytes:
    """Return the RFC 8785 bytes of a receipt, signed or not."""
    if not holds_only_plain(receipt):
        return canonicalize(msgspec.to_builtins(receipt))
    try:
        return _ENCODE(receipt)
    except UnicodeEncodeError:
        raise ReceiptError("text holds half of a surrogate pair, which UTF-8 can't") from None


def statement_of(receipt: UnsignedReceipt) -> bytes:
    """Return what is signed and hashed: the RFC 8785 bytes without the proof.

    They are made once and kept beside the receipt, unless it has open members: those are dicts,
    which someone may still change.
    """
    statement: bytes | None = receipt.__dict__.get(STATEMENT)
    if statement is None:
        bare = receipt.unsigned() if isinstance(receipt, Receipt) else receipt
        statement = encode(bare)
        subject = receipt.credentialSubject
        if (
            receipt.issuer.runtime is None
            and subject.action.parameters_disclosure is None
            # Who makes values by hand may have put a list where a tuple is declared.
            and type(receipt.context) is tuple
            and (subject.authorization is None or type(subject.authorization.scopes) is tuple)
        ):
            receipt.__dict__[STATEMENT] = statement
    return statement


def has_sound_open_members(receipt: UnsignedReceipt) -> bool:
    """Whether the members that msgspec knows only as dicts hold what the protocol wants there."""
    runtime = receipt.issuer.runtime
    if runtime is not None and not all(
        type(runtime.get(name, "")) is str for name in RUNTIME_TEXTS
    ):
        return False
    disclosure = receipt.credentialSubject.action.parameters_disclosure
    return disclosure is None or disclosure_fault(disclosure) is None


def holds_only_plain(receipt: UnsignedReceipt) -> bool:
    """Whether the open members hold nothing that the fast encoder would spell otherwise."""
    runtime = receipt.issuer.runtime
    disclosure = receipt.credentialSubject.action.parameters_disclosure
    return (runtime is None or is_plain(runtime, JSON_DEPTH_MAX - 2)) and (
        disclosure is None or is_plain(disclosure, JSON_DEPTH_MAX - 3)
    )


# Made on import, which only one thread does: two that make it at once crash inside msgspec.
_DECODER: Final = msgspec.json.Decoder(Receipt)
_DECODE: Final = _DECODER.decode


def split_canonical(data: bytes, *, is_shaped: bool = True) -> tuple[Receipt, bytes] | None:
    """Return receipt and signed body of bytes that are canonical already, or None.

    With `is_shaped=False` texts need not have the shapes that the protocol wants of them.

    None is no verdict: it sends the bytes to the strict parser, which finds out what is the
    matter. Bytes that come back unchanged from parsing and encoding hold no duplicate key, no
    coerced type, no unknown member, and no second spelling of anything.
    """
    if _may_hold_open_members(data) and not is_shallow(data):
        return None
    try:
        receipt = _DECODE(data)
        action = receipt.credentialSubject.action
        if is_shaped and (action.risk_level is None or not shapes_hold(receipt)):
            return None
        if (
            receipt.issuer.runtime is not None or action.parameters_disclosure is not None
        ) and not holds_only_plain(receipt):
            return None
        if _ENCODE(receipt) != data:
            return None
        return receipt, _without_proof(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None


def split_judged(data: bytes) -> tuple[Receipt, bytes] | None:
    """Return what `split_canonical` does, shapes aside, where somebody else judges the bytes, too.

    It takes for granted that they are canonical: only for who compares beside a verifier.
    """
    if not is_shallow(data):
        return None
    try:
        receipt = _DECODE(data)
        return receipt, _without_proof(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None


def split_canonical_lines(lines: Sequence[bytes]) -> list[tuple[Receipt, bytes]] | None:
    """Return what `split_canonical` gives for each line, shapes aside, or None where one has none.

    All lines take one step together, then the next: that costs half as much as line by line. No
    canonical text holds a line feed, so where the whole comes back unchanged, each line has.
    """
    data = b"\n".join(lines)
    if _may_hold_open_members(data) and not all(map(is_shallow, lines)):
        return None
    try:
        receipts = _DECODER.decode_lines(data)
        if len(receipts) != len(lines) or not all(map(holds_only_plain, receipts)):
            return None
        if _ENCODER.encode_lines(receipts) != data + b"\n":
            return None
        return list(zip(receipts, map(_without_proof, lines), strict=True))
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None


def _may_hold_open_members(data: bytes) -> bool:
    """Whether a name of an open member may stand in JSON bytes: at half of what counting costs.

    The parser goes down only into those, and stops at whatever else it does not expect.
    """
    return b"\\" in data or b'"runtime"' in data or b"parameters_disclosure" in data


def _without_proof(data: bytes) -> bytes:
    """Return canonical bytes of a receipt as they were signed."""
    # No text holds these bytes, since quotes in it are escaped, and the proof is the last object.
    return data[: data.rfind(b',"proof":{')] + data[-AFTER_PROOF_BYTES:]


# The ids of a receipt in one match: no shape lets a line feed pass, so a text that holds one can't
# stand in for two.
_IDS: Final = f"{ID_PATTERN}\n{ACTION_ID_PATTERN}"
_IDS_AND_PROOF: Final = f"{_IDS}\n{PROOF_VALUE_PATTERN}"


def shapes_hold(receipt: UnsignedReceipt) -> bool:
    """Whether all texts of a shape have it and all days exist; a quick yes or no."""
    subject = receipt.credentialSubject
    action, issued = subject.action, receipt.issuanceDate
    if isinstance(receipt, Receipt):
        proof = receipt.proof
        if matcher(_IDS_AND_PROOF)(f"{receipt.id}\n{action.id}\n{proof.proofValue}") is None:
            return False
        if proof.created != issued and not is_moment(proof.created):
            return False
    elif matcher(_IDS)(f"{receipt.id}\n{action.id}") is None:
        return False
    return (
        is_moment(issued)
        and action.timestamp is not None
        and (action.timestamp == issued or is_moment(action.timestamp))
        and optional_shapes_hold(subject)
    )


def optional_shapes_hold(subject: CredentialSubject) -> bool:
    """Whether the texts with a pattern that a receipt may do without match it, where present."""
    action, outcome = subject.action, subject.outcome
    previous, parameters = subject.chain.previous_receipt_hash, action.parameters_hash
    is_hash = matcher(HASH_PATTERN)
    if (
        (previous is not None and not is_hash(previous))
        or (parameters is not None and not is_hash(parameters))
        or (outcome.response_hash is not None and not is_hash(outcome.response_hash))
        or (action.trusted_timestamp is not None and not _parts_hold(action))
        or (outcome.reversal_of is not None and not _parts_hold(outcome))
    ):
        return False
    return (
        (subject.intent is None or _parts_hold(subject.intent))
        and (subject.authorization is None or _parts_hold(subject.authorization))
        and (subject.delegation is None or _parts_hold(subject.delegation))
        and (subject.keyRotation is None or _parts_hold(subject.keyRotation))
        and (outcome.state_change is None or _parts_hold(outcome.state_change))
    )


def _parts_hold(fact: Fact) -> bool:
    for name, holds in _shaped_members(type(fact)):
        text = getattr(fact, name)
        if text is not None and not holds(text):
            return False
    return True


@cache
def _shaped_members(kind: type[Fact]) -> tuple[tuple[str, Callable[[str], object]], ...]:
    """Return (member, match) for each text with a pattern, read from the annotations."""
    shaped = []
    for name, hint in get_type_hints(kind, include_extras=True).items():
        for choice in get_args(hint) if type(None) in get_args(hint) else (hint,):
            shaped += [
                (name, _holder(note.extra["pattern"]))
                for note in getattr(choice, "__metadata__", ())
                if note.extra and "pattern" in note.extra
            ]
    return tuple(shaped)


def _holder(pattern: str) -> Callable[[str], object]:
    return is_moment if pattern == INSTANT_PATTERN else matcher(pattern)
