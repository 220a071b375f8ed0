# SPDX-License-Identifier: Apache-2.0
"""Signatures beside a manifest: who signed it, and how; nothing is checked here.

    {"signatures":[
      {"publicKey":"did:key:z6Mk…","scheme":"ed25519","signature":"u…"},
      {"address":"0x…","scheme":"secp256k1","signature":"0x…"}]}

The file is RFC 8785 and a newline. Keys in it only say whom to look for: which count, says whoever
verifies.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import msgspec

from tallystick.crypto.canonical import canonicalize
from tallystick.crypto.multibase import b64u_decode, b64u_encode, did_key_decode, did_key_encode
from tallystick.crypto.strict import parse_json
from tallystick.errors import (
    CanonicalError,
    EncodingError,
    KeyFormatError,
    MalformedInput,
    ManifestError,
)
from tallystick.limits import MANIFEST_SIGNATURES_MAX, SIGNATURES_FILE_BYTES_MAX
from tallystick.model.fact import told
from tallystick.model.shapes import PROOF_VALUE_PATTERN, matcher

_ADDRESS_PATTERN: Final = r"0x[0-9a-fA-F]{40}"
_EVM_SIGNATURE_PATTERN: Final = r"0x[0-9a-f]{130}"


class Ed25519Signature(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel",
    tag_field="scheme", tag="ed25519",
):  # fmt: skip
    """A signature over the statement of the manifest."""

    public_key: str
    signature: str

    @classmethod
    def of(cls, public_key: bytes, signature: bytes) -> Ed25519Signature:
        """Return the signature that raw bytes make."""
        text = "u" + b64u_encode(signature)
        return cls(public_key=did_key_encode(public_key), signature=text)

    @property
    def signer(self) -> str:
        """Who signed, as text."""
        return self.public_key

    def key_bytes(self) -> bytes:
        """Return the 32 bytes of the key."""
        return did_key_decode(self.public_key)

    def signature_bytes(self) -> bytes:
        """Return the 64 bytes of the signature."""
        return b64u_decode(self.signature[1:])


class Secp256k1Signature(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel",
    tag_field="scheme", tag="secp256k1",
):  # fmt: skip
    """A signature over the manifest's hash, as Ethereum's tools recover its signer."""

    address: str
    signature: str

    @property
    def signer(self) -> str:
        """Who signed, as text."""
        return self.address

    def signature_bytes(self) -> bytes:
        """Return the 65 bytes of the signature: r, s, v."""
        return bytes.fromhex(self.signature[2:])


ManifestSignature: TypeAlias = Ed25519Signature | Secp256k1Signature


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    signatures: Annotated[
        tuple[ManifestSignature, ...],
        msgspec.Meta(min_length=1, max_length=MANIFEST_SIGNATURES_MAX),
    ]


def parse_signatures(data: bytes) -> tuple[ManifestSignature, ...]:
    """Return the signatures of a file, or raise `ManifestError`."""
    if not data.endswith(b"\n"):
        raise ManifestError("does not end with a newline")
    try:
        value = parse_json(data[:-1], SIGNATURES_FILE_BYTES_MAX)
        if canonicalize(value) != data[:-1]:
            raise ManifestError("is not in its canonical form (RFC 8785)")
        found = msgspec.convert(value, _File).signatures
    except MalformedInput as fault:
        raise ManifestError(fault.message, fault.where) from None
    except CanonicalError as fault:
        raise ManifestError(str(fault)) from None
    except (msgspec.ValidationError, RecursionError) as fault:
        raise ManifestError(*told(fault)) from None
    for number, one in enumerate(found):
        _check(one, f"/signatures/{number}")
    signers = [one.signer for one in found]
    if len(set(signers)) != len(signers):
        raise ManifestError("names one signer twice", "/signatures")
    return found


def encode_signatures(signatures: tuple[ManifestSignature, ...]) -> bytes:
    """Return the bytes of the file."""
    file = _File(signatures=signatures)
    return canonicalize(msgspec.to_builtins(file)) + b"\n"


def _check(one: ManifestSignature, where: str) -> None:
    if isinstance(one, Ed25519Signature):
        if matcher(PROOF_VALUE_PATTERN)(one.signature) is None:
            raise ManifestError("is not u and 64 bytes in base64url", f"{where}/signature")
        try:
            one.key_bytes()
        except (KeyFormatError, EncodingError) as fault:
            raise ManifestError(
                f"is no did:key of Ed25519: {fault}", f"{where}/publicKey"
            ) from None
        return
    if matcher(_ADDRESS_PATTERN)(one.address) is None:
        raise ManifestError("is not 0x and 40 hex digits", f"{where}/address")
    if matcher(_EVM_SIGNATURE_PATTERN)(one.signature) is None:
        raise ManifestError("is not 0x and 65 bytes in hex", f"{where}/signature")
