# SPDX-License-Identifier: Apache-2.0
"""Examines one receipt by itself: bytes → what it says, what it hashes to, and what is wrong.

1. Bytes that are canonical already take the fast parser (`split_canonical`).
2. All others take the strict parser, then the reader that tells every fault.
3. What was received is canonicalised without its proof: that is hashed, and what was signed.
4. Rules between the members of one receipt are checked.

Its signature is tried by `workers.py` under the key that is probably the right one; the judge of
the chain (`chain.py`) knows which is, and tries again where the guess was wrong.
"""

from __future__ import annotations

import math
from binascii import a2b_base64
from collections.abc import Container, Mapping, Sequence
from hashlib import sha256
from typing import Any, TypeGuard

import msgspec

from tallystick.crypto.canonical import canonicalize
from tallystick.crypto.strict import (
    may_hold_values_over,
    parse_json,
    refuse_surrogates,
)
from tallystick.errors import MalformedInput
from tallystick.limits import (
    JSON_DEPTH_MAX,
    JSON_INTEGER_MAX,
    JSON_VALUES_MAX,
    RECEIPT_BYTES_MAX,
)
from tallystick.model.chain import is_ordinary, link_faults
from tallystick.model.reader import Fault, read_receipt, without_nulls
from tallystick.model.receipt import (
    CONTEXT_BY_VERSION,
    W3C_CONTEXT,
    Receipt,
    has_sound_open_members,
    shapes_hold,
    split_canonical,
    split_canonical_lines,
)
from tallystick.model.shapes import instant_ns, is_calendar_day
from tallystick.model.taxonomy import RISK_LEVELS, UNKNOWN, default_risk
from tallystick.verify.findings import CODES
from tallystick.verify.source import Noted, Raw

_RANK = {level: rank for rank, level in enumerate(RISK_LEVELS)}
_CONTEXTS = {version: (W3C_CONTEXT, context) for version, context in CONTEXT_BY_VERSION.items()}
_SUBJECT = "/credentialSubject"


class Examined(msgspec.Struct, gc=False):
    """What one receipt says. Members that were refused are None, whatever their type says."""

    receipt: Receipt | None
    faults: list[Fault]
    # What is signed and hashed; None when the input has no canonical form.
    body: bytes | None = None
    digest: str = ""
    signature: bytes | None = None
    tried_key: bytes | None = None
    fits_tried_key: bool = False

    @property
    def is_sound(self) -> bool:
        """Whether nothing decisive is wrong with the receipt by itself, signature aside."""
        return all(CODES[fault.code].severity == "advisory" for fault in self.faults)


def examine(raw: Raw, *, accept_nulls: bool = False) -> Examined:
    """Return what is known of one receipt but for its signature; never raises for what it holds."""
    if isinstance(raw, Noted):
        examined = examine(raw.body, accept_nulls=accept_nulls)
        examined.faults = [*examined.faults, raw.fault]
        return examined
    try:
        return _examine(raw, accept_nulls)
    except MalformedInput as fault:
        return Examined(
            receipt=None, faults=[Fault(code=fault.code, where=fault.where, message=fault.message)]
        )


def examine_all(raws: Sequence[Raw], *, accept_nulls: bool = False) -> list[Examined]:
    """Return what `examine` does for each, in less time where all are canonical already."""
    lines = [raw for raw in raws if _is_usual(raw)]
    split = split_canonical_lines(lines) if len(lines) == len(raws) else None
    if split is None:
        return [examine(raw, accept_nulls=accept_nulls) for raw in raws]
    return [
        _of_canonical(receipt, body)
        if receipt.credentialSubject.action.risk_level is not None
        and shapes_hold(receipt)
        and has_sound_open_members(receipt)
        else examine(raw, accept_nulls=accept_nulls)
        for raw, (receipt, body) in zip(lines, split, strict=True)
    ]


def _is_usual(raw: Raw) -> TypeGuard[bytes]:
    """Whether these are bytes that the fast parser may be given."""
    return (
        type(raw) is bytes
        and len(raw) <= RECEIPT_BYTES_MAX
        and not may_hold_values_over(raw, JSON_VALUES_MAX)
    )


def _of_canonical(receipt: Receipt, body: bytes) -> Examined:
    return Examined(
        receipt=receipt,
        faults=[] if _is_unremarkable(receipt) else rule_faults(receipt),
        body=body,
        digest="sha256:" + sha256(body).hexdigest(),
        signature=_signature(receipt.proof.proofValue),
    )


def _examine(
    raw: bytes | Mapping[str, object] | Receipt | MalformedInput, accept_nulls: bool
) -> Examined:
    if type(raw) is not bytes and isinstance(raw, Receipt):
        try:
            raw = raw.to_json()
        except (ValueError, TypeError, AttributeError, RecursionError) as fault:
            raise MalformedInput("MALFORMED_VALUE", f"no canonical JSON: {fault}") from None
    if isinstance(raw, bytes):
        if _is_usual(raw) and (split := split_canonical(raw)) is not None:
            receipt, body = split
            if has_sound_open_members(receipt):
                return _of_canonical(receipt, body)
        return _examine_value(parse_json(raw, RECEIPT_BYTES_MAX), accept_nulls)
    if isinstance(raw, MalformedInput):
        raise raw
    examined = _examine_value(plain_copy(raw, JSON_DEPTH_MAX), accept_nulls)
    if examined.body is not None and len(examined.body) > RECEIPT_BYTES_MAX:
        raise MalformedInput("MALFORMED_SIZE", f"over {RECEIPT_BYTES_MAX} bytes")
    return examined


def _examine_value(value: Any, accept_nulls: bool) -> Examined:
    if type(value) is not dict:
        raise MalformedInput("MALFORMED_NOT_OBJECT", "is not an object")
    # The protocol reads an optional null as absent. Without leave it is a fault all the same, and
    # then the signature is still checked over the form that an honest signer would have signed.
    stripped, nulls = without_nulls(value)
    receipt, faults = read_receipt(stripped)
    for place in nulls:
        code = "nulls_normalised" if accept_nulls else "FIELD_NULL"
        faults.append(Fault(code=code, where=place, message="is null, not absent", found="null"))
    body = canonicalize({name: stripped[name] for name in stripped if name != "proof"})
    signature = None
    if receipt is not None:
        faults += rule_faults(receipt, frozenset(fault.where for fault in faults))
        if receipt.proof is not None and receipt.proof.proofValue is not None:
            signature = _signature(receipt.proof.proofValue)
    return Examined(
        receipt=receipt,
        faults=faults,
        body=body,
        digest="sha256:" + sha256(body).hexdigest(),
        signature=signature,
    )


def _signature(proof_value: str) -> bytes:
    # The pattern has seen to it that this is the one spelling of 64 bytes.
    return a2b_base64((proof_value[1:] + "==").replace("-", "+").replace("_", "/"))


def _is_unremarkable(receipt: Receipt) -> bool:
    """Whether `rule_faults` has nothing to look at; its days were checked with its shapes."""
    subject = receipt.credentialSubject
    action = subject.action
    usual = default_risk(action.type)
    return (
        receipt.context == _CONTEXTS[receipt.version]
        and is_ordinary(subject.chain)
        and (usual is None or usual == action.risk_level)
        and action.type != UNKNOWN
        and subject.authorization is None
        # In UTC, text sorts as time does, to the second; other zones get the full look.
        and receipt.proof.created[-1] == "Z" == receipt.issuanceDate[-1]
        and receipt.proof.created >= receipt.issuanceDate
    )


def rule_faults(receipt: Receipt, refused: Container[str] = ()) -> list[Fault]:
    """Return what is wrong between the members of one receipt; passes over `refused` places."""
    faults: list[Fault] = []
    context, version = receipt.context, receipt.version
    if (
        context is not None
        and version is not None
        and (
            len(context) < 2
            or context[0] != W3C_CONTEXT
            or context[1] != CONTEXT_BY_VERSION[version]
        )
    ):
        expected = f"{W3C_CONTEXT} {CONTEXT_BY_VERSION[version]}"
        faults.append(
            Fault(
                code="CONTEXT_WRONG",
                where="/@context",
                message=f"is not the context of version {version}",
                expected=expected,
                found=" ".join(context),
            )
        )
    _check_day(receipt.issuanceDate, "/issuanceDate", faults)
    if receipt.proof is not None:
        _check_day(receipt.proof.created, "/proof/created", faults)
        _check_created(receipt, faults)
    subject = receipt.credentialSubject
    if subject is None:
        return faults
    link = subject.chain
    if link is not None and not is_ordinary(link):
        faults += [
            Fault(code=code, where=f"{_SUBJECT}/chain/{member}", message=message)
            for code, member, message in link_faults(link)
            if link.sequence is not None
            and f"{_SUBJECT}/chain/{member}" not in refused
            and not (member == "status" and f"{_SUBJECT}/chain/terminal" in refused)
        ]
    action = subject.action
    if action is not None:
        _action_faults(action, faults)
    if subject.authorization is not None and action is not None:
        _authorization_faults(subject.authorization, action.timestamp, faults)
    return faults


def _check_created(receipt: Receipt, faults: list[Fault]) -> None:
    """Note a proof that says it is older than what it signs; seconds are as fine as some write."""
    created, issued = receipt.proof.created, receipt.issuanceDate
    if created is None or issued is None:
        return
    if not (is_calendar_day(created[:10]) and is_calendar_day(issued[:10])):
        return  # refused already
    if instant_ns(created) // 10**9 < instant_ns(issued) // 10**9:
        faults.append(
            Fault(
                code="proof_metadata_unsigned",
                where="/proof/created",
                message="is not covered by the signature, and earlier than the receipt",
                expected=f"{issued} or later",
                found=created,
            )
        )


def _check_day(instant: str | None, where: str, faults: list[Fault]) -> None:
    if instant is not None and not is_calendar_day(instant[:10]):
        faults.append(
            Fault(
                code="TIMESTAMP_SHAPE",
                where=where,
                message="names a day that does not exist",
                found=instant[:10],
            )
        )


def _action_faults(action: Any, faults: list[Fault]) -> None:
    _check_day(action.timestamp, f"{_SUBJECT}/action/timestamp", faults)
    kind = action.type
    if kind == UNKNOWN and (action.target is None or action.target.system is None):
        faults.append(
            Fault(
                code="FIELD_MISSING",
                where=f"{_SUBJECT}/action/target/system",
                message="is missing: an action of type unknown names its target",
            )
        )
    if kind is None or action.risk_level is None:
        return
    usual = default_risk(kind)
    if usual is not None and _RANK[action.risk_level] < _RANK[usual]:
        faults.append(
            Fault(
                code="risk_below_taxonomy",
                where=f"{_SUBJECT}/action/risk_level",
                message=f"is lower than the taxonomy's for {kind}",
                expected=usual,
                found=action.risk_level,
            )
        )


def _authorization_faults(granted: Any, when: str | None, faults: list[Fault]) -> None:
    place = f"{_SUBJECT}/authorization"
    known = len(faults)
    _check_day(granted.granted_at, f"{place}/granted_at", faults)
    _check_day(granted.expires_at, f"{place}/expires_at", faults)
    if len(faults) > known or when is None or not is_calendar_day(when[:10]):
        return
    moment = instant_ns(when)
    if (granted.granted_at is not None and moment < instant_ns(granted.granted_at)) or (
        granted.expires_at is not None and moment > instant_ns(granted.expires_at)
    ):
        faults.append(
            Fault(
                code="authorization_window",
                where=place,
                message="does not cover the time of the action",
                expected=f"{granted.granted_at} to {granted.expires_at or '…'}",
                found=when,
            )
        )


def plain_copy(
    value: object,
    depth_max: int,
    values_max: int = JSON_VALUES_MAX,
    size_max: int = RECEIPT_BYTES_MAX,
) -> Any:
    """Return a Python value as plain JSON, types kept; raise `MalformedInput` for anything else.

    Values and text are counted as in bytes. What stands in many places counts in each of them:
    there are lists of forty levels that would never be copied to their end.
    """
    return _Copier(values_max, size_max).copied(value, depth_max)


class _Copier:
    """Copies one value; counts what it copies."""

    __slots__ = ("size_left", "values_left")

    def __init__(self, values_max: int, size_max: int) -> None:
        self.values_left = values_max
        self.size_left = size_max

    def copied(self, value: Any, depth_left: int) -> Any:
        if type(value) is str:
            self.take_text(value)
            return value
        if value is None or type(value) is bool:
            return value
        if type(value) is int or type(value) is float:
            _check_number(value)
            return value
        if depth_left <= 0:
            raise MalformedInput("MALFORMED_DEPTH", f"nested deeper than {JSON_DEPTH_MAX} levels")
        is_object = type(value) is dict or isinstance(value, Mapping)
        if not is_object and not isinstance(value, (list, tuple)):
            raise MalformedInput("MALFORMED_VALUE", f"a {type(value).__name__} is no JSON value")
        self.values_left -= len(value) or 1
        if self.values_left < 0:
            raise MalformedInput("MALFORMED_SIZE", "more values than are allowed in one JSON text")
        if not is_object:
            return [self.copied(item, depth_left - 1) for item in value]
        members: dict[str, Any] = {}
        for key, member in value.items():
            if type(key) is not str:
                raise MalformedInput("MALFORMED_VALUE", "an object key is not text")
            self.take_text(key)
            members[key] = self.copied(member, depth_left - 1)
        return members

    def take_text(self, text: str) -> None:
        self.size_left -= len(text)
        if self.size_left < 0:
            raise MalformedInput("MALFORMED_SIZE", "more text than is allowed in one JSON text")
        refuse_surrogates(text)


def _check_number(value: float) -> None:
    if type(value) is int:
        if abs(value) > JSON_INTEGER_MAX and (
            value.bit_length() > 1023 or int(float(value)) != value
        ):
            raise MalformedInput("MALFORMED_NUMBER", "an integer is not exact in a double")
    elif not math.isfinite(value):
        raise MalformedInput("MALFORMED_NUMBER", f"{value} is not a JSON number")
