# SPDX-License-Identifier: Apache-2.0
"""Judges the bundle of a post in full: signatures, artefacts, decision, chain head, log proofs.

The operator's signature counts by itself, for the chain names it; other keys are the watcher's. A
refused bundle is told of. Only what a contract can decide is challenged, and that is elsewhere.
"""

from __future__ import annotations

from typing import BinaryIO

import msgspec

from tallystick.crypto.note import VerifierKey
from tallystick.crypto.secp256k1 import read_address
from tallystick.verify.evidence import EvidenceQuestion, verify_evidence
from tallystick.verify.manifest_signers import Signers

SOUND = "sound"


class Beliefs(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a watcher believes, besides each post's operator, and which log."""

    signers: Signers = Signers()
    log_key: VerifierKey | None = None


def judge_evidence(bundle: BinaryIO, operator: str, beliefs: Beliefs) -> str:
    """Return `sound` for a bundle that verifies, or its verdict with the first reason."""
    known = beliefs.signers
    signers = Signers(trust=known.trust, addresses=(*known.addresses, read_address(operator)))
    report = verify_evidence(bundle, signers, EvidenceQuestion(log_key=beliefs.log_key))
    if report.verified:
        return SOUND
    deciding = [one for one in report.findings if one.code.isupper()]
    if not deciding:
        return str(report.verdict)
    first = deciding[0]
    return f"{report.verdict}: {first.code} {first.where}: {first.message}"
