# SPDX-License-Identifier: Apache-2.0
"""Reads the body of a post: one receipt, strictly as JSON and leniently as a receipt.

No signature is checked and no member refused: a collector keeps what it is given, and verifiers
judge it. What is asked for is that two readers of these bytes read the same (strict JSON with an
RFC 8785 form) and that the receipt can be found again (`id`, `chain_id`, `action.type`).

Three ways lead to the same values, the next one taken where the one before can't be sure:
bytes that are canonical already (15 µs), compact bytes in another order (25 µs), and the strict
parser for all others (100 µs). `tests/unit/collector/test_ingest.py` holds them against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, Final

import msgspec

from tallystick.crypto.canonical import canonicalize, is_plain
from tallystick.crypto.nesting import is_shallow
from tallystick.crypto.strict import may_hold_values_over, parse_json
from tallystick.errors import CanonicalError, MalformedInput
from tallystick.limits import (
    BODY_BYTES_MAX,
    IDENTIFIER_CHARS_MAX,
    JSON_INTEGER_MAX,
    JSON_VALUES_MAX,
)
from tallystick.model.reader import without_nulls
from tallystick.model.receipt import (
    AFTER_PROOF_BYTES,
    RUNTIME_TEXTS,
    Receipt,
    split_canonical,
    split_canonical_lines,
)
from tallystick.model.submission import Submission
from tallystick.serve.problem import Refusal

_DECODE: Final = msgspec.json.Decoder().decode
_ENCODE: Final = msgspec.json.Encoder(order="sorted").encode

_PROOF_VALUE: Final = ("proof", "proofValue")
_REQUIRED: Final = (
    ("id",),
    ("credentialSubject", "chain", "chain_id"),
    ("credentialSubject", "action", "type"),
    _PROOF_VALUE,
)


# Where the protocol wants an integer. Verifiers refuse `1.0` there, and its canonical form is `1`:
# stored first, it would take the place of the honest receipt, which then counts as stored.
INTEGERS: Final = tuple(
    ("credentialSubject", *path)
    for path in (
        ("action", "emitter_metadata", "drop_count"),
        ("action", "peer_credential", "gid"),
        ("action", "peer_credential", "pid"),
        ("action", "peer_credential", "uid"),
        ("chain", "sequence"),
        ("outcome", "reversal_window_seconds"),
    )
)


def parse_submission(tenant: str, body: bytes) -> Submission:
    """Return what is stored of a receipt, or raise `Refusal` (400)."""
    split = None
    if not may_hold_values_over(body, JSON_VALUES_MAX):
        split = split_canonical(body, is_shaped=False)
    if split is not None:
        found = _of_canonical(tenant, body, *split)
        if found is not None:
            return found
    plain = _compact(body)
    if plain is not None:
        return _of_value(tenant, body, *plain, _ENCODE)
    return _of_value(tenant, body, *_strict(body), canonicalize)


def parse_submissions(tenant: str, lines: Sequence[bytes]) -> list[Submission | Refusal]:
    """Return for each line what `parse_submission` returns or raises."""
    split = None
    if all(lines) and max(map(len, lines), default=0) <= JSON_VALUES_MAX:  # bytes hold no more
        split = split_canonical_lines(lines)
    if split is None:
        return [_parsed(tenant, line) for line in lines]
    return [
        _of_canonical(tenant, line, *one) or _parsed(tenant, line)
        for line, one in zip(lines, split, strict=True)
    ]


def _parsed(tenant: str, line: bytes) -> Submission | Refusal:
    try:
        return parse_submission(tenant, line)
    except Refusal as refusal:
        return refusal


def _of_canonical(
    tenant: str, body: bytes, receipt: Receipt, statement: bytes
) -> Submission | None:
    runtime = receipt.issuer.runtime
    if runtime is not None and any(runtime.get(name, "") is None for name in RUNTIME_TEXTS):
        return None  # the null rule leaves these out
    link = receipt.credentialSubject.chain
    receipt_id, issuer, chain_id = receipt.id, receipt.issuer.id, link.chain_id
    action_type = receipt.credentialSubject.action.type
    names = f"{receipt_id}{issuer}{chain_id}{action_type}"
    if "\0" in names or not (receipt_id and chain_id and action_type and receipt.proof.proofValue):
        return None
    if len(names) > IDENTIFIER_CHARS_MAX:  # one of them may be too long
        return None
    shared = len(statement) - AFTER_PROOF_BYTES  # up to the proof, one state serves both hashes
    signed = sha256(body[:shared])
    whole = signed.copy()
    signed.update(statement[shared:])
    whole.update(body[shared:])
    return Submission(
        tenant=tenant,
        receipt_id=receipt_id,
        issuer=issuer,
        chain_id=chain_id,
        sequence=link.sequence,
        action_type=action_type,
        terminal=(link.status or "complete") if link.terminal else None,
        receipt_hash="sha256:" + signed.hexdigest(),
        digest=whole.digest(),
        id_hash=sha256(receipt_id.encode()).digest(),
        body=body,
    )


def _compact(body: bytes) -> tuple[Any, bytes] | None:
    """Return value and canonical form of bytes that differ from it in the order of members alone.

    A plain value has no shorter spelling than the canonical one: where both are as long, no key
    can have been there twice.
    """
    if not is_shallow(body) or may_hold_values_over(body, JSON_VALUES_MAX):
        return None
    try:
        value = _DECODE(body)
        if not is_plain(value):
            return None
        canonical = _ENCODE(value)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None
    return (value, canonical) if len(canonical) == len(body) else None


def _strict(body: bytes) -> tuple[Any, bytes]:
    if not body.strip(b" \t\r\n"):
        raise Refusal("empty-body", "nothing came after the head")
    try:
        value = parse_json(body, BODY_BYTES_MAX)
        return value, canonicalize(value)
    except MalformedInput as fault:
        raise Refusal("malformed-json", fault.message, members={"code": fault.code}) from None
    except CanonicalError as fault:
        raise Refusal("malformed-json", str(fault), members={"code": "MALFORMED_NUMBER"}) from None


def _of_value(
    tenant: str, body: bytes, value: Any, canonical: bytes, encode: Callable[[object], bytes]
) -> Submission:
    if type(value) is not dict:
        raise _no_receipt("", "is not an object")
    receipt_id, chain_id, action_type, _ = (_text_at(value, path) for path in _REQUIRED)
    link = value["credentialSubject"]["chain"]
    issuer = value.get("issuer")
    if type(issuer) is dict:
        issuer = issuer.get("id")
    if type(issuer) is not str:
        issuer = ""
    _check("/issuer/id", issuer)
    unsigned = {name: value[name] for name in value if name != "proof"}
    if b"null" in body:
        unsigned, _ = without_nulls(unsigned)
    _refuse_fractions(value)
    sequence = link.get("sequence")
    is_counted = type(sequence) is int and 0 <= sequence <= JSON_INTEGER_MAX
    return Submission(
        tenant=tenant,
        receipt_id=receipt_id,
        issuer=issuer,
        chain_id=chain_id,
        sequence=sequence if is_counted else None,
        action_type=action_type,
        terminal=_terminal(link),
        receipt_hash="sha256:" + sha256(encode(unsigned)).hexdigest(),
        digest=sha256(canonical).digest(),
        id_hash=sha256(receipt_id.encode()).digest(),
        body=body,
    )


def _refuse_fractions(value: Any) -> None:
    for path in INTEGERS:
        member = value
        for step in path:
            member = member.get(step) if type(member) is dict else None
        # Integers beyond the bound are read as floats: they have no second spelling that is sound.
        if type(member) is float and member.is_integer() and abs(member) <= JSON_INTEGER_MAX:
            raise _no_receipt("/" + "/".join(path), "is an integer spelled as a fraction")


def _terminal(link: dict[str, Any]) -> str | None:
    if link.get("terminal") is not True:
        return None
    return "interrupted" if link.get("status") == "interrupted" else "complete"


def _text_at(value: Any, path: tuple[str, ...]) -> str:
    """Return the text of a member that a receipt can't do without."""
    for step in path:
        value = value.get(step) if type(value) is dict else None
    where = "/" + "/".join(path)
    if value is None or value == "":
        raise _no_receipt(where, "is missing or empty")
    if type(value) is not str:
        raise _no_receipt(where, "is not text")
    if path is not _PROOF_VALUE:
        _check(where, value)
    return value


def _check(where: str, text: str) -> None:
    if len(text) > IDENTIFIER_CHARS_MAX:
        raise _no_receipt(where, f"has more than {IDENTIFIER_CHARS_MAX} characters")
    if "\0" in text:  # which no database keeps in a text
        raise _no_receipt(where, "holds a NUL character")


def _no_receipt(where: str, detail: str) -> Refusal:
    return Refusal(
        "malformed-receipt",
        f"{where} {detail}" if where else f"the value {detail}",
        members={"where": where},
    )
