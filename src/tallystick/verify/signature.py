# SPDX-License-Identifier: Apache-2.0
"""Judges signatures: under which key a chain stands, whether it fits, and why where it does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tallystick.crypto.checking import check
from tallystick.crypto.ed25519 import signature_fault
from tallystick.limits import STRANGERS_MAX
from tallystick.model.receipt import Receipt
from tallystick.model.rotation import incoming_key, rotation_faults
from tallystick.verify.receipt import Examined
from tallystick.verify.report import Findings
from tallystick.verify.state import ChainState
from tallystick.verify.trust import Trust, TrustedKey

_ROTATION = "/credentialSubject/keyRotation"


class SignatureJudge:
    """Follows the key of each chain from the trust through its hand-overs."""

    def __init__(self, trust: Trust, findings: Findings, where: Callable[[int], str]) -> None:
        self._trust = trust
        self._findings = findings
        self._where = where
        self._strangers: set[str] = set()
        # The key that the newest chain stands on: the next will stand on it, too, mostly.
        self._newest: bytes | None = None

    def first_key(self, receipt: Receipt) -> bytes | None:
        """Return the key that is tried first on a chain of that issuer."""
        if receipt.issuer is None:
            return None
        keys = self._trust.keys_for(receipt.issuer.id)
        if any(key.public_key == self._newest for key in keys):
            return self._newest
        return keys[0].public_key if keys else None

    def judge(
        self, state: ChainState, examined: Examined, receipt: Receipt, at: int
    ) -> bool | None:
        """Check the signature under the chain's key; note why not, where it does not hold.

        None means that there is no key to check it with.
        """
        signature, body = examined.signature, examined.body
        if signature is None or body is None or receipt.issuer is None:
            return False
        if state.active_key is None:
            return self._judge_first(state, examined, receipt, at)
        if examined.tried_key == state.active_key:
            fits = examined.fits_tried_key
        else:
            fits = check(signature, body, state.active_key)
        if not fits:
            self._diagnose(state, examined, receipt, at)
        elif state.windows and receipt.issuanceDate is not None:
            self._judge_window(state, receipt.issuanceDate, at)
        return fits

    def _judge_first(
        self, state: ChainState, examined: Examined, receipt: Receipt, at: int
    ) -> bool | None:
        candidates = self._trust.keys_for(receipt.issuer.id)
        if not candidates:
            self._note_stranger(receipt.issuer.id, at)
            return None
        assert examined.signature is not None and examined.body is not None
        for key in _tried_first(candidates, examined.tried_key):
            if examined.tried_key == key:
                fits = examined.fits_tried_key
            else:
                fits = check(examined.signature, examined.body, key)
            if fits:
                state.stand_on(key, candidates)
                self._newest = key
                if state.windows and receipt.issuanceDate is not None:
                    self._judge_window(state, receipt.issuanceDate, at)
                return True
        self._diagnose(state, examined, receipt, at)
        return False

    def _note_stranger(self, issuer: str, at: int) -> None:
        if issuer in self._strangers or self._trust.unusable:
            return
        if len(self._strangers) < STRANGERS_MAX:
            self._strangers.add(issuer)
        if self._trust.issuers:
            self._findings.add(
                "KEY_UNKNOWN_ISSUER",
                f"{self._where(at)}/issuer/id",
                "has no key in the trust",
                found=issuer,
            )
        else:
            self._findings.add(
                "KEY_MISSING", f"{self._where(at)}/issuer/id", "no key was given for it"
            )

    def _diagnose(self, state: ChainState, examined: Examined, receipt: Receipt, at: int) -> None:
        assert examined.signature is not None and examined.body is not None
        place = f"{self._where(at)}/proof/proofValue"
        fault = signature_fault(examined.signature)
        if fault == "s":
            self._findings.add("SIGNATURE_S_RANGE", place, "has an S that is not reduced")
        elif fault == "r":
            self._findings.add("SIGNATURE_R_SMALL_ORDER", place, "has an R of small order")
        elif state.active_key is not None and any(
            key.public_key != state.active_key
            and check(examined.signature, examined.body, key.public_key)
            for key in self._trust.keys_for(receipt.issuer.id)
        ):
            self._findings.add(
                "KEY_CHANGED", place, "fits another trusted key, and no hand-over came before"
            )
        else:
            self._findings.add(
                "SIGNATURE_INVALID", place, "does not fit these bytes and the issuer's key"
            )

    def _judge_window(self, state: ChainState, issued: str, at: int) -> None:
        if not any(entry.counts_at(issued) for entry in state.windows):
            limits = " or ".join(
                f"{entry.valid_from or '…'} to {entry.valid_until or '…'}"
                for entry in state.windows
            )
            self._findings.add(
                "KEY_NOT_VALID_THEN",
                f"{self._where(at)}/issuanceDate",
                "is outside of the key's validity",
                expected=limits,
                found=issued,
            )

    def judge_rotation(
        self, state: ChainState, examined: Examined, receipt: Receipt, at: int, *, signed: bool
    ) -> None:
        rotation = receipt.credentialSubject.keyRotation
        if rotation is None or not examined.is_sound or state.active_key is None:
            return
        faults = rotation_faults(rotation, state.active_key)
        for code, member, message in faults:
            self._findings.add(code, f"{self._where(at)}{_ROTATION}/{member}", message)
        new_key = incoming_key(rotation)
        if signed and not faults and new_key is not None:
            state.stand_on(new_key, self._trust.keys_for(receipt.issuer.id))


def _tried_first(candidates: Sequence[TrustedKey], tried: bytes | None) -> list[bytes]:
    """Return the keys, that one first of which it is known already whether it fits."""
    keys = [candidate.public_key for candidate in candidates]
    if tried in keys:
        keys.sort(key=lambda key: key != tried)
    return keys
