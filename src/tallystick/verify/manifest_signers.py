# SPDX-License-Identifier: Apache-2.0
"""Judges the signatures over a manifest: each must hold, and one of a signer that the caller named.

A key that stands beside a signature says nothing: whoever alters a bundle can sign it anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import msgspec

from tallystick.crypto.checking import check
from tallystick.crypto.ed25519 import key_weakness, signature_fault
from tallystick.errors import KeyFormatError, MissingExtraError, RefusedInput
from tallystick.model.bundle import SIGNATURES
from tallystick.model.manifest import manifest_statement
from tallystick.model.manifest_signature import (
    Ed25519Signature,
    ManifestSignature,
    Secp256k1Signature,
)
from tallystick.verify.report import Findings
from tallystick.verify.trust import Trust


class Signers(msgspec.Struct, frozen=True, kw_only=True):
    """Whose signatures count: Ed25519 keys, and addresses of EVM accounts (20 bytes each)."""

    trust: Trust = Trust()
    addresses: tuple[bytes, ...] = ()

    @property
    def is_nobody(self) -> bool:
        """Whether no signature could count at all."""
        return not self.addresses and not self.trust.anyone


def judge_signatures(
    manifest: bytes,
    signatures: Sequence[ManifestSignature],
    signers: Signers,
    findings: Findings,
) -> tuple[str, ...]:
    """Check every signature; return who of the trusted has signed."""
    trusted: list[str] = []
    strangers: list[str] = []
    for number, one in enumerate(signatures):
        where = f"{SIGNATURES}/{number}"
        if isinstance(one, Ed25519Signature):
            is_known = _judge_ed25519(manifest, one, signers, (findings, where))
        else:
            is_known = _judge_secp256k1(manifest, one, signers, (findings, where))
        if is_known is not None:
            (trusted if is_known else strangers).append(one.signer)
    if trusted:
        for stranger in strangers:
            message = "is a signer whom the caller did not name"
            findings.add("evidence_signer_unlisted", SIGNATURES, message, found=stranger)
    elif signers.is_nobody and signatures:
        if not signers.trust.unusable:
            findings.add("KEY_MISSING", SIGNATURES, "no key was given for it")
    elif not signatures:
        findings.add("EVIDENCE_SIGNER", SIGNATURES, "the manifest is not signed")
    elif strangers:
        message = "the manifest is signed by strangers only"
        findings.add("EVIDENCE_SIGNER", SIGNATURES, message, found=", ".join(strangers))
    return tuple(trusted)


def _judge_ed25519(
    manifest: bytes, one: Ed25519Signature, signers: Signers, place: tuple[Findings, str]
) -> bool | None:
    """Return whether the signer is trusted, or None for a signature that does not hold."""
    findings, where = place
    key, signature = one.key_bytes(), one.signature_bytes()
    statement = manifest_statement(sha256(manifest).hexdigest())
    weakness = key_weakness(key)
    if weakness is not None:
        findings.add("EVIDENCE_SIGNATURE", where, f"is under a key that anybody has: {weakness}")
    elif signature_fault(signature) is not None or not check(signature, statement, key):
        message = "does not fit the manifest and the key beside it"
        findings.add("EVIDENCE_SIGNATURE", where, message, found=one.public_key)
    else:
        return any(trusted.public_key == key for trusted in signers.trust.anyone)
    return None


def _judge_secp256k1(
    manifest: bytes, one: Secp256k1Signature, signers: Signers, place: tuple[Findings, str]
) -> bool | None:
    findings, where = place
    try:
        from tallystick.crypto.secp256k1 import EvmSignature, read_address, recovered_address

        address = read_address(one.address)
        signature = EvmSignature.from_bytes(one.signature_bytes())
        recovered = recovered_address(sha256(manifest).digest(), signature)
    except MissingExtraError as fault:
        findings.add("EVIDENCE_SCHEME_UNAVAILABLE", where, str(fault))
        return None
    except (RefusedInput, KeyFormatError) as fault:
        findings.add("EVIDENCE_SIGNATURE", where, str(fault), found=one.address)
        return None
    if recovered != one.address:
        findings.add(
            "EVIDENCE_SIGNATURE", where, "leads to another address than the one beside it",
            expected=one.address, found=recovered or "none",
        )  # fmt: skip
        return None
    return address in signers.addresses
