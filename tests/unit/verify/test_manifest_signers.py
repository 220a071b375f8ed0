# SPDX-License-Identifier: Apache-2.0
"""Who signed a manifest: every signature holds, and one is of somebody whom the caller named."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256, sha512

from nacl.bindings import crypto_core_ed25519_add, crypto_scalarmult_ed25519_base_noclamp
from tests.evidence_making import SOLVER, STRANGER

from tallystick.crypto.checking import check
from tallystick.crypto.ed25519 import KeyPair
from tallystick.crypto.secp256k1 import read_address, sign_digest
from tallystick.keys.evm_local import LocalEvmSigner
from tallystick.model.manifest import manifest_sha256, manifest_statement
from tallystick.model.manifest_signature import (
    Ed25519Signature,
    ManifestSignature,
    Secp256k1Signature,
)
from tallystick.verify.manifest_signers import Signers, judge_signatures
from tallystick.verify.report import Findings
from tallystick.verify.trust import trust_of

MANIFEST = b'{"manifestVersion":"1.0.0"}'


def signed(pair: KeyPair, message: bytes | None = None) -> Ed25519Signature:
    """Return a signature over the manifest's statement, or over something else."""
    key = pair.signing_key()
    statement = manifest_statement(manifest_sha256(MANIFEST)) if message is None else message
    return Ed25519Signature.of(key.public_key, key.sign(statement))


def judged(
    signatures: Sequence[ManifestSignature], *trusted: KeyPair, addresses: tuple[bytes, ...] = ()
) -> tuple[int, list[str]]:
    """Return how many of the trusted have signed, and the codes."""
    findings = Findings()
    signers = Signers(trust=trust_of([pair.public_key for pair in trusted]), addresses=addresses)
    found = judge_signatures(MANIFEST, signatures, signers, findings)
    return len(found), [one.code for one in findings.report((), 0).findings]


def test_one_of_the_named_is_enough() -> None:
    """Strangers besides are told and decide nothing."""
    both = [signed(STRANGER), signed(SOLVER)]
    assert judged([signed(SOLVER)], SOLVER) == (1, [])
    assert judged(both, SOLVER) == (1, ["evidence_signer_unlisted"])
    assert judged(both, SOLVER, STRANGER) == (2, [])


def test_nobody_of_the_named_is_not_enough() -> None:
    """Strangers only, nobody, and no name given: three different answers."""
    assert judged([signed(STRANGER)], SOLVER) == (0, ["EVIDENCE_SIGNER"])
    assert judged([], SOLVER) == (0, ["EVIDENCE_SIGNER"])
    assert judged([signed(SOLVER)]) == (0, ["KEY_MISSING"])


def test_a_signature_that_does_not_hold_refuses_whoever_else_signed() -> None:
    """Also a stranger's, and one over the bare manifest or its bare hash."""
    for message in (MANIFEST, bytes.fromhex(manifest_sha256(MANIFEST)), b""):
        wrong = [signed(SOLVER), signed(STRANGER, message)]
        assert judged(wrong, SOLVER) == (1, ["EVIDENCE_SIGNATURE"])


def mixed() -> Ed25519Signature:
    """Return a signature that libsodium accepts, under a key with a part of order two."""
    group = 2**252 + 27742317777372353535851937790883648493
    statement = manifest_statement(manifest_sha256(MANIFEST))
    secret = 7
    key = crypto_scalarmult_ed25519_base_noclamp(secret.to_bytes(32, "little"))
    key = crypto_core_ed25519_add(key, (2**255 - 20).to_bytes(32, "little"))
    start, nonce, number = b"", 1, 1
    while number % 2:  # else the part of order two adds nothing
        nonce += 1
        start = crypto_scalarmult_ed25519_base_noclamp(nonce.to_bytes(32, "little"))
        number = int.from_bytes(sha512(start + key + statement).digest(), "little") % group
    signature = start + ((nonce + number * secret) % group).to_bytes(32, "little")
    assert check(signature, statement, key)
    return Ed25519Signature.of(key, signature)


def test_a_key_of_which_another_holds_signs_nothing() -> None:
    """What holds under two keys says nothing of either, whoever else signed."""
    assert judged([signed(SOLVER), mixed()], SOLVER) == (1, ["EVIDENCE_SIGNATURE"])


def test_an_account_counts_by_its_address() -> None:
    """It is the one that the signature leads to, and one that the caller named."""
    secret = bytes(31) + b"\7"
    address = LocalEvmSigner(secret).get_address()
    signature = "0x" + sign_digest(secret, sha256(MANIFEST).digest()).to_bytes().hex()
    own, other = read_address(address), read_address("0x" + "0" * 40)
    one = Secp256k1Signature(address=address, signature=signature)
    assert judged([one], addresses=(other, own)) == (1, [])
    assert judged([one], addresses=(other,)) == (0, ["EVIDENCE_SIGNER"])
    assert judged([one, signed(STRANGER)]) == (0, ["KEY_MISSING"])
    for wrong in (
        Secp256k1Signature(address="0x" + "0" * 40, signature=signature),
        Secp256k1Signature(address=address, signature="0x" + "f" * 130),
    ):
        assert judged([wrong], addresses=(other, own)) == (0, ["EVIDENCE_SIGNATURE"])


def test_strangers_are_named_and_a_key_that_is_none_is_told_elsewhere() -> None:
    """Not as no signature; who gave a key that can't be used is not told that none was given."""
    findings = Findings()
    judge_signatures(MANIFEST, [signed(STRANGER)], Signers(trust=trust_of([SOLVER])), findings)
    (one,) = findings.report((), 0).findings
    assert (one.message, one.found) == (
        "the manifest is signed by strangers only",
        signed(STRANGER).signer,
    )
    findings = Findings()
    judge_signatures(MANIFEST, [signed(SOLVER)], Signers(trust=trust_of(["junk"])), findings)
    assert findings.report((), 0).findings == ()
