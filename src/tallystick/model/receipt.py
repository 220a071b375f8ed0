# SPDX-License-Identifier: Apache-2.0
"""The receipt: who did what for whom, its place in a chain, and the proof over all of it.

What is signed and hashed is the RFC 8785 form of the receipt without `proof`. The members of every
class stand in the order in which RFC 8785 sorts them.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

import msgspec
from msgspec import Meta

from tallystick.crypto.canonical import canonicalize, is_plain
from tallystick.crypto.strict import parse_json
from tallystick.errors import ReceiptError
from tallystick.limits import IDENTIFIER_CHARS_MAX, JSON_DEPTH_MAX, RECEIPT_BYTES_MAX
from tallystick.model.action import Action, Authorization, Intent, Outcome
from tallystick.model.chain import Delegation, Link
from tallystick.model.fact import Fact, told
from tallystick.model.rotation import KeyRotation
from tallystick.model.shapes import Identifier, Instant, NonEmpty, ProofValue, ReceiptId

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

CONTEXT: Final = (W3C_CONTEXT, CONTEXT_BY_VERSION[VERSION])


class Operator(Fact, kw_only=True):
    """Who runs the agent."""

    id: Identifier
    name: str


class Issuer(Fact, kw_only=True):
    """The agent instance that issues the receipts of a chain."""

    id: Identifier
    model: str | None = None
    name: str | None = None
    operator: Operator | None = None
    # Open by the protocol: keys that nobody declared are signed like all others.
    runtime: dict[str, Any] | None = None
    session_id: Identifier | None = None
    type: str | None = None


class Principal(Fact, kw_only=True):
    """On whose behalf the agent acted."""

    id: Identifier
    type: Literal["HumanPrincipal", "OrganizationPrincipal"] | None = None


class CredentialSubject(Fact, kw_only=True):
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


class Proof(Fact, kw_only=True):
    """The signature. Only `proofValue` proves; the other members are outside what is signed."""

    created: Instant
    proofPurpose: Literal["assertionMethod"]  # noqa: N815  # the wire's own spelling
    proofValue: ProofValue  # noqa: N815  # the wire's own spelling
    type: Literal["Ed25519Signature2020"]
    verificationMethod: Annotated[str, Meta(max_length=IDENTIFIER_CHARS_MAX)]  # noqa: N815


class UnsignedReceipt(Fact, kw_only=True, rename={"context": "@context"}):
    """A receipt before its proof: what is signed and hashed."""

    context: tuple[str, ...]
    credentialSubject: CredentialSubject  # noqa: N815  # the wire's own spelling
    id: ReceiptId
    issuanceDate: Instant  # noqa: N815  # the wire's own spelling
    issuer: Issuer
    type: tuple[Literal["VerifiableCredential"], Literal["AgentReceipt"]]
    version: Literal["0.1.0", "0.2.0", "0.2.1", "0.3.0", "0.4.0", "0.5.0", "0.6.0"]

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


class Receipt(UnsignedReceipt, kw_only=True):
    """A signed receipt: bytes in canonical form, with the proof."""

    proof: Proof

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Return the receipt in `data`: strict JSON of the protocol's shape, or a refusal.

        Parsing proves nothing about the signature: that is `verify_receipt`.
        """
        return cls.from_dict(parse_json(data, RECEIPT_BYTES_MAX))

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


_ENCODE = msgspec.json.Encoder(order="sorted").encode
_DECODE_UNSIGNED = msgspec.json.Decoder(UnsignedReceipt).decode


def encode(receipt: UnsignedReceipt) -> bytes:
    """Return the RFC 8785 bytes of a receipt, signed or not."""
    if not holds_only_plain(receipt):
        return canonicalize(msgspec.to_builtins(receipt))
    try:
        return _ENCODE(receipt)
    except UnicodeEncodeError:
        raise ReceiptError("text holds half of a surrogate pair, which UTF-8 can't") from None


def holds_only_plain(receipt: UnsignedReceipt) -> bool:
    """Whether the open members hold nothing that the fast encoder would spell otherwise."""
    runtime = receipt.issuer.runtime
    disclosure = receipt.credentialSubject.action.parameters_disclosure
    return (runtime is None or is_plain(runtime, JSON_DEPTH_MAX - 2)) and (
        disclosure is None or is_plain(disclosure, JSON_DEPTH_MAX - 3)
    )


def checked(receipt: UnsignedReceipt) -> tuple[UnsignedReceipt, bytes]:
    """Return the receipt as the strict parser reads it back, and its canonical bytes.

    Typed values are not checked when they are made (that is what makes them cheap), so whatever
    is about to be signed goes through the parser once.
    """
    try:
        body = encode(receipt)
    except ReceiptError:
        raise
    except (TypeError, RecursionError, ValueError) as fault:
        raise ReceiptError(f"no canonical JSON: {fault}") from None
    if len(body) > RECEIPT_BYTES_MAX:
        raise ReceiptError(f"{len(body)} bytes, over the limit of {RECEIPT_BYTES_MAX}")
    try:
        return _DECODE_UNSIGNED(body), body
    except msgspec.ValidationError as fault:
        raise ReceiptError(*told(fault)) from None


_DECODE = msgspec.json.Decoder(Receipt).decode
# What follows the proof in a canonical receipt: always these bytes but for the version's digits.
_TAIL_BYTES: Final = len(b',"type":["VerifiableCredential","AgentReceipt"],"version":"0.0.0"}')


def split_canonical(data: bytes) -> tuple[Receipt, bytes] | None:
    """Return receipt and signed body of bytes that are canonical already, or None.

    None is no verdict: it sends the bytes to the strict parser, which finds out what is the
    matter. Bytes that come back unchanged from parsing and encoding hold no duplicate key, no
    coerced type, no unknown member, and no second spelling of anything.
    """
    try:
        receipt = _DECODE(data)
        subject = receipt.credentialSubject
        action = subject.action
        if action.id is None or action.risk_level is None or action.timestamp is None:
            return None
        if (
            receipt.issuer.runtime is not None or action.parameters_disclosure is not None
        ) and not holds_only_plain(receipt):
            return None
        if _ENCODE(receipt) != data:
            return None
        proof = _ENCODE(receipt.proof)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None
    end = len(data) - _TAIL_BYTES
    start = end - len(proof) - len(b',"proof":')
    return receipt, data[:start] + data[end:]
