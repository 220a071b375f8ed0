# SPDX-License-Identifier: Apache-2.0
"""Creates, signs and hashes receipts. Holds no state: the head goes in and comes out.

`issue` is the whole step (head, draft, signer → receipt, head); `create_receipt` and
`sign_receipt` are its halves for callers that link by hand.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from tallystick.crypto.canonical import canonicalize
from tallystick.crypto.digest import sha256_tagged
from tallystick.crypto.ed25519 import KeyPair, signing_key_from_pem
from tallystick.crypto.multibase import b64u_encode
from tallystick.crypto.strict import parse_json
from tallystick.errors import ReceiptError, SigningError
from tallystick.limits import RECEIPT_BYTES_MAX, RESPONSE_BYTES_MAX
from tallystick.model.action import Action, Authorization, Intent, Outcome
from tallystick.model.chain import Delegation, Head, Link, link_faults
from tallystick.model.fact import Fact
from tallystick.model.reader import without_nulls
from tallystick.model.receipt import (
    CONTEXT,
    CREDENTIAL_TYPE,
    PROOF_PURPOSE,
    PROOF_TYPE,
    VERSION,
    CredentialSubject,
    Issuer,
    Principal,
    Proof,
    Receipt,
    UnsignedReceipt,
    checked,
    encode,
)
from tallystick.model.rotation import KeyRotation
from tallystick.model.shapes import is_calendar_day
from tallystick.model.taxonomy import check_action_type, settle_risk
from tallystick.ports import Signer

Clock = Callable[[], datetime]
Ids = Callable[[], str]

F = TypeVar("F", bound=Fact)
ABSENT: Any = msgspec.UNSET


def utc_now() -> datetime:
    """Return the time of the machine; every function here takes another clock instead."""
    return datetime.now(UTC)


def random_uuid() -> str:
    """Return a random UUID (version 4) as text."""
    digits = os.urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return (
        f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
    )


def timestamp(moment: datetime) -> str:
    """Return a moment in the protocol's spelling: UTC, milliseconds, `Z`."""
    if moment.tzinfo is not UTC:
        if moment.tzinfo is None:
            raise ReceiptError("the clock gives a time without a time zone")
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


def create_receipt(
    *,
    issuer: Issuer | Mapping[str, Any],
    principal: Principal | Mapping[str, Any],
    action: Action | Mapping[str, Any],
    outcome: Outcome | Mapping[str, Any],
    chain: Link | Mapping[str, Any],
    intent: Intent | Mapping[str, Any] | None = None,
    authorization: Authorization | Mapping[str, Any] | None = None,
    delegation: Delegation | Mapping[str, Any] | None = None,
    key_rotation: KeyRotation | Mapping[str, Any] | None = None,
    correlation_id: str | None = None,
    response_body: object = ABSENT,
    clock: Clock = utc_now,
    ids: Ids = random_uuid,
) -> UnsignedReceipt:
    """Return an unsigned receipt; ids, timestamps and the default risk are filled where absent.

    Each argument is a typed value or a dict in the protocol's own names. A `response_body`
    (redacted already, any JSON value) is hashed into `outcome.response_hash` and not carried.
    """
    now = timestamp(clock())
    link = _fact(Link, chain, "chain")
    _check_link(link)
    deed = _settled(_fact(Action, action, "action"), now, ids)
    subject = CredentialSubject(
        action=deed,
        authorization=_maybe(Authorization, authorization, "authorization"),
        chain=link,
        correlation_id=correlation_id,
        delegation=_maybe(Delegation, delegation, "delegation"),
        intent=_maybe(Intent, intent, "intent"),
        keyRotation=_maybe(KeyRotation, key_rotation, "keyRotation"),
        outcome=_with_response(_fact(Outcome, outcome, "outcome"), response_body),
        principal=_fact(Principal, principal, "principal"),
    )
    receipt, _ = checked(
        UnsignedReceipt(
            context=CONTEXT,
            credentialSubject=subject,
            id="urn:receipt:" + ids(),
            issuanceDate=now,
            issuer=_fact(Issuer, issuer, "issuer"),
            type=CREDENTIAL_TYPE,
            version=VERSION,
        )
    )
    _check_days(receipt)
    return receipt


def sign_receipt(
    unsigned: UnsignedReceipt,
    key: str | KeyPair | Signer,
    verification_method: str,
    *,
    clock: Clock = utc_now,
) -> Receipt:
    """Return the receipt with its proof; `key` is a PKCS#8 PEM text, a key pair or a signer."""
    signature = _signer(key).sign(encode(unsigned))
    if type(signature) is not bytes or len(signature) != 64:
        raise SigningError("the signer gave something that is not the 64 bytes of a signature")
    if not verification_method:
        raise ReceiptError("verification_method is empty; use for example '<issuer>#key-1'")
    return Receipt(
        context=unsigned.context,
        credentialSubject=unsigned.credentialSubject,
        id=unsigned.id,
        issuanceDate=unsigned.issuanceDate,
        issuer=unsigned.issuer,
        proof=Proof(
            created=timestamp(clock()),
            proofPurpose=PROOF_PURPOSE,
            proofValue="u" + b64u_encode(signature),
            type=PROOF_TYPE,
            verificationMethod=verification_method,
        ),
        type=unsigned.type,
        version=unsigned.version,
    )


def hash_receipt(receipt: UnsignedReceipt | Mapping[str, Any] | bytes) -> str:
    """Return `sha256:…` over the canonical receipt without its proof: what the next one links to.

    Optional members that are null count as absent, as the protocol says.
    """
    if isinstance(receipt, Receipt):
        return sha256_tagged(encode(receipt.unsigned()))
    if isinstance(receipt, UnsignedReceipt):
        return sha256_tagged(encode(receipt))
    value = parse_json(receipt, RECEIPT_BYTES_MAX) if isinstance(receipt, bytes) else receipt
    if not isinstance(value, Mapping):
        raise ReceiptError("is not an object")
    members, _ = without_nulls({name: value[name] for name in value if name != "proof"})
    return sha256_tagged(canonicalize(members))


def issue(
    head: Head,
    draft: Callable[[Link], UnsignedReceipt],
    key: str | KeyPair | Signer,
    verification_method: str,
    *,
    terminal: bool = False,
    clock: Clock = utc_now,
) -> tuple[Receipt, Head]:
    """Return the chain's next receipt and the head behind it; `draft` fills in the statement."""
    unsigned = draft(head.link(terminal=terminal))
    receipt = sign_receipt(unsigned, key, verification_method, clock=clock)
    link = receipt.link
    return receipt, Head(
        chain_id=link.chain_id, sequence=link.sequence, hash=hash_receipt(unsigned)
    )


def _signer(key: str | KeyPair | Signer) -> Signer:
    if isinstance(key, str):
        return signing_key_from_pem(key)
    if isinstance(key, KeyPair):
        return signing_key_from_pem(key.private_key)
    return key


def _fact(kind: type[F], value: F | Mapping[str, Any], name: str) -> F:
    if isinstance(value, kind):
        return value
    try:
        return kind.from_dict(value)
    except ReceiptError as fault:
        raise ReceiptError(fault.message, f"/{name}{fault.where}") from None


def _maybe(kind: type[F], value: F | Mapping[str, Any] | None, name: str) -> F | None:
    return None if value is None else _fact(kind, value, name)


def _check_link(link: Link) -> None:
    if type(link.sequence) is not int:
        raise ReceiptError("is not an integer", "/chain/sequence")
    for _, member, message in link_faults(link):
        raise ReceiptError(message, f"/chain/{member}")


def _settled(action: Action, now: str, ids: Ids) -> Action:
    system = action.target.system if isinstance(action.target, Fact) else None
    check_action_type(action.type, system)
    return msgspec.structs.replace(
        action,
        id=action.id or "act_" + ids(),
        risk_level=settle_risk(action.type, action.risk_level),
        timestamp=action.timestamp or now,
    )


def _with_response(outcome: Outcome, body: object) -> Outcome:
    if body is ABSENT:
        return outcome
    canonical = canonicalize(body)
    if len(canonical) > RESPONSE_BYTES_MAX:
        raise ReceiptError(f"a response over {RESPONSE_BYTES_MAX} bytes", "/outcome")
    digest = sha256_tagged(canonical)
    if outcome.response_hash not in (None, digest):
        raise ReceiptError("is not the hash of the response body", "/outcome/response_hash")
    return msgspec.structs.replace(outcome, response_hash=digest)


def _check_days(receipt: UnsignedReceipt) -> None:
    for instant in (receipt.issuanceDate, receipt.action.timestamp):
        if instant is not None and not is_calendar_day(instant[:10]):
            raise ReceiptError(f"{instant[:10]} is no day of the calendar", "/action/timestamp")
