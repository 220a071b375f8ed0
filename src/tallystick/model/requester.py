# SPDX-License-Identifier: Apache-2.0
"""Whether the requester of an intent signed it: a requester is a key, and not a string.

Whose signature it has to be is told by the requester's name, where that is a key itself
(`did:key:…`, or the address of an EVM account), or by the policy's table. A key is never taken
from the signature.
"""

from __future__ import annotations

import re
from typing import Final

from tallystick.crypto.checking import check
from tallystick.crypto.ed25519 import key_weakness, signature_fault
from tallystick.crypto.multibase import b64u_decode, did_key_decode
from tallystick.crypto.secp256k1 import (
    EvmSignature,
    checksum_address,
    read_address,
    recovered_address,
)
from tallystick.errors import EncodingError, KeyFormatError, SignatureFormatError, StatementError
from tallystick.model.evm_statement import Eip712
from tallystick.model.intent import Intent, RequesterSignature, signing_bytes
from tallystick.model.policy import Policy, is_address, key_fault

_HEX_SIGNATURE: Final = r"0x[0-9a-f]{130}"
_DOMAIN: Final = {"name": "Tallystick Intent", "version": "1"}
_TYPES: Final = {
    "Intent": [
        ("intentVersion", "string"),
        ("requester", "string"),
        ("jobType", "string"),
        ("createdAt", "string"),
        ("expiresAt", "string"),
        ("intentHash", "bytes32"),
    ],
}


def key_of_requester(intent: Intent, policy: Policy) -> str | None:
    """Return the key that this requester has by its name or by the policy, or None."""
    listed = policy.requesterKeys.get(intent.requester)
    if listed is not None:
        return listed
    return intent.requester if key_fault(intent.requester) is None else None


def signature_reason(intent: Intent, key: str) -> str | None:
    """Return why a signature is not the requester's, or None where it is."""
    signature = intent.signature
    if signature is None:
        return "is missing"
    if is_address(key):
        return _eip712_reason(intent, signature, key)
    return _ed25519_reason(intent, signature, key)


def typed_intent(intent: Intent) -> dict[str, object]:
    """Return the EIP-712 message that a wallet shows: who, what, until when, and the whole hash."""
    return {
        "intentVersion": intent.intentVersion,
        "requester": intent.requester,
        "jobType": intent.jobType,
        "createdAt": intent.createdAt,
        "expiresAt": intent.expiresAt or "",
        "intentHash": bytes.fromhex(intent.intent_id),
    }


def typed_statement(intent: Intent) -> Eip712:
    """Return what an EVM account signs for an intent, as typed data that a wallet shows."""
    return Eip712(
        domain=dict(_DOMAIN), types=_TYPES, primary_type="Intent", message=typed_intent(intent)
    )


def _ed25519_reason(intent: Intent, signature: RequesterSignature, key: str) -> str | None:
    if signature.scheme != "ed25519":
        return f"is of scheme {signature.scheme}, and the requester's key is an Ed25519 one"
    public_key = did_key_decode(key)
    if key_weakness(public_key) is not None:
        return "can't be checked: the requester's key is a weak one"
    try:
        found = b64u_decode(signature.value)
    except EncodingError:
        return "is not base64url"
    if signature_fault(found) is not None or not check(found, signing_bytes(intent), public_key):
        return "is not by the requester's key"
    return None


def _eip712_reason(intent: Intent, signature: RequesterSignature, key: str) -> str | None:
    if signature.scheme != "eip712":
        return f"is of scheme {signature.scheme}, and the requester is an EVM account"
    if re.fullmatch(_HEX_SIGNATURE, signature.value) is None:
        return "is not 0x and 130 lower-case hexadecimal digits"
    try:
        found = EvmSignature.from_bytes(bytes.fromhex(signature.value[2:]))
        digest = typed_statement(intent).digest()
    except (KeyFormatError, SignatureFormatError, StatementError) as fault:
        return f"can't be read: {fault}"
    if recovered_address(digest, found) != checksum_address(read_address(key)):
        return "is not by the requester's account"
    return None
