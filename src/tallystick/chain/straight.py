# SPDX-License-Identifier: Apache-2.0
"""Issues a receipt from parts that a parser has checked: encoded once, and not read back.

`create_receipt` trusts no typed value, because nobody checks those when they are made, and reads
all that it signs back. Who has parsed the parts may save that. What comes out is the same, which
`tests/unit/chain/test_straight.py` holds against it.

What is stated and what proves it are two steps: the next receipt links to the statement alone, so
that many may be signed together.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import msgspec

from tallystick.crypto.digest import sha256_tagged
from tallystick.errors import ReceiptError, SigningError
from tallystick.limits import RECEIPT_BYTES_MAX
from tallystick.model.action import Action, Intent, Outcome
from tallystick.model.chain import Link
from tallystick.model.receipt import (
    CONTEXT,
    CREDENTIAL_TYPE,
    PROOF_PURPOSE,
    PROOF_TYPE,
    TAIL,
    VERSION,
    CredentialSubject,
    Issuer,
    Principal,
    UnsignedReceipt,
)

# Members are declared in RFC 8785's order: only open objects are sorted.
_ENCODE: Final = msgspec.json.Encoder(order="deterministic").encode
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
# A proof holds only what needs no escape, but for the method.
_BODY: Final = (
    b'%%b,"proof":{"created":"%%b","proofPurpose":"%b","proofValue":"u%%b","type":"%b",'
    b'"verificationMethod":%%b}%%b' % (PROOF_PURPOSE.encode(), PROOF_TYPE.encode())
)
# More than a proof takes.
_PROOF_BYTES_MAX: Final = 16 * 1024


@lru_cache(maxsize=4)
def _quoted(text: str) -> bytes:
    return _ENCODE(text)


def _b64u(data: bytes) -> bytes:
    return b2a_base64(data, newline=False).translate(_URL_SAFE, b"=")


class Checked(dict[str, object]):
    """Arguments for `create_receipt` whose values were parsed as what they are.

    Whoever changes one makes another dict of it, and that is no longer checked.
    """


class Stated(msgspec.Struct, frozen=True, gc=False):
    """What is to be signed, in its canonical bytes, with what its row and its successor need."""

    receipt_id: str
    subject: CredentialSubject
    statement: bytes

    @property
    def hash(self) -> str:
        """What the next receipt links to; who states ahead, with a gap in it, never asks."""
        return sha256_tagged(self.statement)


def state_straight(
    *,
    issuer: Issuer,
    principal: Principal,
    action: Action,
    outcome: Outcome,
    chain: Link,
    moment: str,
    ids: Callable[[], str],
    intent: Intent | None = None,
    correlation_id: str | None = None,
    check_type: Callable[[str, str | None], None],
) -> Stated:
    """Return the receipt without its proof; `moment` is an instant, and `ids` makes UUIDs.

    `action` comes with its risk, and without id and time. Open members hold only what the fast
    encoder spells as RFC 8785 does (`is_plain`).
    """
    check_type(action.type, action.target.system if action.target is not None else None)
    subject = CredentialSubject(
        action=msgspec.structs.replace(action, id="act_" + ids(), timestamp=moment),
        chain=chain,
        correlation_id=correlation_id,
        intent=intent,
        outcome=outcome,
        principal=principal,
    )
    receipt_id = "urn:receipt:" + ids()
    unsigned = UnsignedReceipt(
        context=CONTEXT,
        credentialSubject=subject,
        id=receipt_id,
        issuanceDate=moment,
        issuer=issuer,
        type=CREDENTIAL_TYPE,
        version=VERSION,
    )
    try:
        statement = _ENCODE(unsigned)
    except ValueError as fault:
        raise ReceiptError(f"no JSON value: {fault}") from None
    return Stated(receipt_id, subject, bounded(statement))


def bounded(statement: bytes) -> bytes:
    """Return a statement that leaves room for its proof, or raise `ReceiptError`."""
    if len(statement) > RECEIPT_BYTES_MAX - _PROOF_BYTES_MAX:
        raise ReceiptError(f"{len(statement)} bytes, over the limit of {RECEIPT_BYTES_MAX}")
    return statement


def with_proof(statement: bytes, signature: bytes, moment: str, verification_method: str) -> bytes:
    """Return the canonical bytes of the receipt that states this, signed at that moment."""
    if type(signature) is not bytes or len(signature) != 64:
        raise SigningError("the signer gave something that is not the 64 bytes of a signature")
    end = len(statement) - len(TAIL)
    method = _quoted(verification_method)
    return _BODY % (statement[:end], moment.encode(), _b64u(signature), method, TAIL)
