# SPDX-License-Identifier: Apache-2.0
"""Creates, signs and hashes receipts. Holds no state: the head goes in and comes out.

`issue` is the whole step (head, draft, signer → receipt, head); `create_receipt` and
`sign_receipt` are its halves for callers that link by hand.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from tallystick.crypto.canonical import canonicalize, is_plain
from tallystick.crypto.digest import sha256_tagged
from tallystick.crypto.ed25519 import KeyPair, signing_key_from_pem
from tallystick.crypto.multibase import b64u_encode
from tallystick.errors import ReceiptError, SigningError
from tallystick.limits import (
    IDENTIFIER_CHARS_MAX,
    JSON_DEPTH_MAX,
    JSON_VALUES_MAX,
    RECEIPT_BYTES_MAX,
    RESPONSE_BYTES_MAX,
)
from tallystick.model.action import Action, Authorization, Intent, Outcome
from tallystick.model.chain import Delegation, Head, Link, is_ordinary, link_faults
from tallystick.model.fact import told
from tallystick.model.receipt import (
    AFTER_PROOF_BYTES,
    CONTEXT,
    CREDENTIAL_TYPE,
    HEAD,
    PROOF_PURPOSE,
    PROOF_TYPE,
    STATEMENT,
    TAIL,
    VERSION,
    CredentialSubject,
    Issuer,
    Principal,
    Proof,
    Receipt,
    UnsignedReceipt,
    encode,
    has_sound_open_members,
    optional_shapes_hold,
    shapes_hold,
    statement_of,
)
from tallystick.model.rotation import KeyRotation
from tallystick.model.shapes import is_calendar_day
from tallystick.model.taxonomy import check_action_type, settle_risk
from tallystick.ports import Signer

# Nanoseconds since 1970, as `time.time_ns` gives them.
Clock = Callable[[], int]
Ids = Callable[[], str]
# Raises `ReceiptError` for an action type, given the target system, that no receipt may have.
CheckType = Callable[[str, str | None], None]
Part = TypeVar("Part", CredentialSubject, Issuer)

# The digit in which a UUID states its variant, by what chance gave for it.
UUID_VARIANT = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))

# Where no other clock is given.
default_clock: Clock = time.time_ns

ABSENT: Any = msgspec.UNSET
_DECODE_SUBJECT = msgspec.json.Decoder(CredentialSubject).decode
_DECODE_ISSUER = msgspec.json.Decoder(Issuer).decode
_ENCODE = msgspec.json.Encoder(order="sorted").encode
_KNOWN_BYTES_MAX: Final = 1024  # of an issuer that is remembered
# Where a receipt's canonical bytes are kept that its open members could still belie.
_DRAFTED: Final = "drafted"


def random_uuid() -> str:
    """Return a random UUID (version 4) as text."""
    return _as_uuid(os.urandom(16).hex())


def _two_uuids() -> Ids:
    """Return what gives two random UUIDs: the system is asked for both at once."""
    digits = os.urandom(32).hex()
    return iter((_as_uuid(digits[:32]), _as_uuid(digits[32:]))).__next__


def _as_uuid(digits: str) -> str:
    return (
        f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-"
        f"{UUID_VARIANT[digits[16]]}{digits[17:20]}-{digits[20:]}"
    )


def timestamp(moment_ns: int) -> str:
    """Return a moment in the protocol's spelling: UTC, milliseconds, `Z`."""
    second, rest = divmod(moment_ns // 1_000_000, 1000)
    return f"{_spelled(second)}.{rest:03d}Z"


@lru_cache(maxsize=16)
def _spelled(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


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
    check_type: CheckType = check_action_type,
    clock: Clock = time.time_ns,
    ids: Ids = random_uuid,
) -> UnsignedReceipt:
    """Return an unsigned receipt; ids, timestamps and the default risk are filled where absent.

    Each argument is a typed value or a dict in the protocol's own names. A `response_body`
    (redacted already, any JSON value) is hashed into `outcome.response_hash` and not carried.
    `check_type` raises for action types that may not be issued: who issues on others' word is less
    strict with their names.
    """
    now = timestamp(clock())
    is_chance = ids is random_uuid
    if is_chance:
        ids = _two_uuids()  # the action's and the receipt's
    settled, is_filled_in = _settled(action, now, ids)
    told_outcome = outcome if response_body is ABSENT else _answered(outcome, response_body)
    subject: dict[str, Any] = {
        "action": settled, "chain": chain, "outcome": told_outcome, "principal": principal,
    }  # fmt: skip
    if intent is not None:
        subject["intent"] = intent
    if authorization is not None:
        subject["authorization"] = authorization
    if delegation is not None:
        subject["delegation"] = delegation
    if key_rotation is not None:
        subject["keyRotation"] = key_rotation
    if correlation_id is not None:
        subject["correlation_id"] = correlation_id
    receipt = _read_back(subject, issuer, "urn:receipt:" + ids(), now)
    # Ids and times that were made here need no look; those that a caller gave do.
    made_here = is_filled_in and is_chance and clock is time.time_ns
    _check_rules(receipt, check_type, made_here=made_here)
    return receipt


def sign_receipt(
    unsigned: UnsignedReceipt,
    key: str | KeyPair | Signer,
    verification_method: str,
    *,
    clock: Clock = time.time_ns,
) -> Receipt:
    """Return the receipt with its proof; `key` is a PKCS#8 PEM text, a key pair or a signer."""
    return _signed(unsigned, key, verification_method, clock)[0]


def _signed(
    unsigned: UnsignedReceipt,
    key: str | KeyPair | Signer,
    verification_method: str,
    clock: Clock,
    statement: bytes | None = None,
) -> tuple[Receipt, bytes]:
    if not 0 < len(verification_method) <= IDENTIFIER_CHARS_MAX:
        raise ReceiptError("verification_method is no text like '<issuer>#key-1'", "/proof")
    if statement is None:
        statement = statement_of(unsigned)
    receipt = Receipt(
        context=unsigned.context,
        credentialSubject=unsigned.credentialSubject,
        id=unsigned.id,
        issuanceDate=unsigned.issuanceDate,
        issuer=unsigned.issuer,
        proof=Proof(
            created=timestamp(clock()),
            proofPurpose=PROOF_PURPOSE,
            proofValue="u" + b64u_encode(_signature(key, statement)),
            type=PROOF_TYPE,
            verificationMethod=verification_method,
        ),
        type=unsigned.type,
        version=unsigned.version,
    )
    if STATEMENT in unsigned.__dict__:
        receipt.__dict__[STATEMENT] = statement
    # Only close to the limit does it take a look: the proof stays far below 16 KiB.
    if len(statement) > RECEIPT_BYTES_MAX - 16 * 1024 and len(encode(receipt)) > RECEIPT_BYTES_MAX:
        raise ReceiptError(f"over the limit of {RECEIPT_BYTES_MAX} bytes with its proof")
    return receipt, statement


class Sealed(NamedTuple):
    """A signed receipt with its canonical bytes and with what the next one links to."""

    receipt: Receipt
    body: bytes
    hash: str


def seal(
    unsigned: UnsignedReceipt,
    key: str | KeyPair | Signer,
    verification_method: str,
    *,
    clock: Clock = time.time_ns,
) -> Sealed:
    """Sign as `sign_receipt` does; for who needs bytes and hash, too, they are made only once.

    What is signed is what `create_receipt` saw, also where an open member was changed since.
    """
    drafted = unsigned.__dict__.pop(_DRAFTED, None)
    receipt, statement = _signed(unsigned, key, verification_method, clock, drafted)
    end = len(statement) - AFTER_PROOF_BYTES
    body = b'%b,"proof":%b%b' % (statement[:end], _ENCODE(receipt.proof), statement[end:])
    return Sealed(receipt, body, sha256_tagged(statement))


def hash_receipt(receipt: UnsignedReceipt | Mapping[str, Any] | bytes) -> str:
    """Return `sha256:…` over the canonical receipt without its proof: what the next one links to.

    Optional members that are null count as absent, as the protocol says.
    """
    if isinstance(receipt, UnsignedReceipt):
        return sha256_tagged(statement_of(receipt))
    from tallystick.crypto.strict import parse_json  # costs a cold start 10 ms
    from tallystick.model.reader import without_nulls

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
    clock: Clock = time.time_ns,
) -> tuple[Receipt, Head]:
    """Return the chain's next receipt and the head behind it; `draft` fills in the statement."""
    unsigned = draft(head.link(terminal=terminal))
    receipt = sign_receipt(unsigned, key, verification_method, clock=clock)
    return receipt, head_behind(receipt)


def head_behind(receipt: UnsignedReceipt) -> Head:
    """Return the head that the receipt after this one builds on."""
    link = receipt.link
    return Head(chain_id=link.chain_id, sequence=link.sequence, hash=hash_receipt(receipt))


def _signature(key: str | KeyPair | Signer, message: bytes) -> bytes:
    if isinstance(key, str):
        return signing_key_from_pem(key).sign(message)
    if isinstance(key, KeyPair):
        return key.signing_key().sign(message)
    signature = key.sign(message)
    if type(signature) is not bytes or len(signature) != 64:
        raise SigningError("the signer gave something that is not the 64 bytes of a signature")
    return signature


def _read_back(
    members: dict[str, Any], issuer: Issuer | Mapping[str, Any], receipt_id: str, now: str
) -> UnsignedReceipt:
    """Return what is stated as the parser reads it, so that nothing unchecked is ever signed.

    Typed values are not checked when they are made: that is what makes them cheap.
    """
    try:
        stated, named, quoted = _ENCODE(members), _ENCODE(issuer), _ENCODE(receipt_id)
    except (TypeError, ValueError, RecursionError) as fault:
        raise ReceiptError(f"no JSON value: {fault}") from None
    parts = (HEAD, stated, b',"id":', quoted, b',"issuanceDate":"', now.encode(), b'","issuer":')
    body = b"".join((*parts, named, TAIL))
    if len(body) > RECEIPT_BYTES_MAX:
        raise ReceiptError(f"{len(body)} bytes, over the limit of {RECEIPT_BYTES_MAX}")
    if len(body) > JSON_VALUES_MAX:
        from tallystick.crypto.strict import bound_structure  # costs a cold start 10 ms

        bound_structure(body, JSON_VALUES_MAX)
    may_be_known = len(named) <= _KNOWN_BYTES_MAX and b'"runtime"' not in named
    receipt = UnsignedReceipt(
        context=CONTEXT,
        credentialSubject=_read(_DECODE_SUBJECT, stated, "/credentialSubject"),
        id=receipt_id,
        issuanceDate=now,
        issuer=(_known_issuer(named) if may_be_known else None)
        or _read(_DECODE_ISSUER, named, "/issuer"),
        type=CREDENTIAL_TYPE,
        version=VERSION,
    )
    disclosure = receipt.credentialSubject.action.parameters_disclosure
    if receipt.issuer.runtime is None:
        if disclosure is None and stated.find(b":null") < 0 and named.find(b":null") < 0:
            # Sorted, closed, and without a null to leave out: these are the canonical bytes.
            receipt.__dict__[STATEMENT] = body
        return receipt
    # JSON encoders turn NaN into null, and dates and number keys into text: not here.
    runtime = issuer.runtime if isinstance(issuer, Issuer) else issuer["runtime"]
    if not is_plain(runtime, JSON_DEPTH_MAX - 2):
        canonicalize(runtime)
    elif disclosure is None and b"null" not in body:
        receipt.__dict__[_DRAFTED] = body
    return receipt


@lru_cache(maxsize=16)
def _known_issuer(named: bytes) -> Issuer | None:
    """Return an issuer that many receipts share; with an open member each has its own."""
    issuer = _read(_DECODE_ISSUER, named, "/issuer")
    return issuer if issuer.runtime is None else None


def _read(decode: Callable[[bytes], Part], data: bytes, where: str) -> Part:
    try:
        return decode(data)
    except (msgspec.DecodeError, RecursionError) as fault:
        message, place = told(fault)
        raise ReceiptError(message, where + place) from None


def _check_rules(receipt: UnsignedReceipt, check_type: CheckType, *, made_here: bool) -> None:
    subject = receipt.credentialSubject
    if not is_ordinary(subject.chain):
        for _, member, message in link_faults(subject.chain):
            raise ReceiptError(message, f"/credentialSubject/chain/{member}")
    action = subject.action
    check_type(action.type, action.target.system if action.target is not None else None)
    sound = optional_shapes_hold(subject) if made_here else shapes_hold(receipt)
    if not (sound and (STATEMENT in receipt.__dict__ or has_sound_open_members(receipt))):
        from tallystick.model.reader import read_receipt  # costs a cold start 10 ms

        _, faults = read_receipt(receipt.to_dict())
        for fault in faults:
            if not fault.where.startswith("/proof"):
                raise ReceiptError(f"{fault.message}; {fault.expected}", fault.where)
    if not made_here:
        _check_day(action.timestamp, "/credentialSubject/action/timestamp")
    if subject.authorization is not None:
        _check_day(subject.authorization.granted_at, "/credentialSubject/authorization/granted_at")
        _check_day(subject.authorization.expires_at, "/credentialSubject/authorization/expires_at")


def _check_day(instant: str | None, where: str) -> None:
    if instant is not None and not is_calendar_day(instant[:10]):
        raise ReceiptError("names a day that does not exist", where)


def _settled(action: Action | Mapping[str, Any], now: str, ids: Ids) -> tuple[object, bool]:
    """Return the action with id, risk and time, and whether id and time were both filled in."""
    if isinstance(action, Action):
        is_filled_in = action.id is None and action.timestamp is None
        return msgspec.structs.replace(
            action,
            id=action.id or "act_" + ids(),
            risk_level=settle_risk(action.type, action.risk_level),
            timestamp=action.timestamp or now,
        ), is_filled_in
    kind, identity, moment = action.get("type"), action.get("id"), action.get("timestamp")
    if not isinstance(kind, str):
        raise ReceiptError("is missing or not text", "/credentialSubject/action/type")
    return {
        **action,
        "id": identity or "act_" + ids(),
        "risk_level": settle_risk(kind, action.get("risk_level")),
        "timestamp": moment or now,
    }, identity is None and moment is None


def _answered(outcome: Outcome | Mapping[str, Any], body: object) -> Outcome:
    """Return the outcome with the hash of the response body."""
    told_outcome = outcome if isinstance(outcome, Outcome) else Outcome.from_dict(outcome)
    canonical = canonicalize(body)
    place = "/credentialSubject/outcome/response_hash"
    if len(canonical) > RESPONSE_BYTES_MAX:
        raise ReceiptError(f"a response over {RESPONSE_BYTES_MAX} bytes", place)
    digest = sha256_tagged(canonical)
    if told_outcome.response_hash not in (None, digest):
        raise ReceiptError("is not the hash of the response body", place)
    return msgspec.structs.replace(told_outcome, response_hash=digest)
