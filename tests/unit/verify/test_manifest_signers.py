# SPDX-License-Identifier: Apache-2.0
"""Who signed a manifest: every signature holds, and one is of somebody whom the caller named."""

from __future__ import annotations

from tests.evidence_making import SOLVER, STRANGER

from tallystick.crypto.ed25519 import KeyPair
from tallystick.model.manifest import manifest_sha256, manifest_statement
from tallystick.model.manifest_signature import Ed25519Signature
from tallystick.verify.manifest_signers import Signers, judge_signatures
from tallystick.verify.report import Findings
from tallystick.verify.trust import trust_of

MANIFEST = b'{"manifestVersion":"1.0.0"}'


def signed(pair: KeyPair, message: bytes | None = None) -> Ed25519Signature:
    """Return a signature over the manifest's statement, or over something else."""
    key = pair.signing_key()
    statement = manifest_statement(manifest_sha256(MANIFEST)) if message is None else message
    return Ed25519Signature.of(key.public_key, key.sign(statement))


def judged(signatures: list[Ed25519Signature], *trusted: KeyPair) -> tuple[int, list[str]]:
    """Return how many of the trusted have signed, and the codes."""
    findings = Findings()
    keys = [pair.public_key for pair in trusted]
    found = judge_signatures(MANIFEST, signatures, Signers(trust=trust_of(keys)), findings)
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
