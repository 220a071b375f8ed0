# SPDX-License-Identifier: Apache-2.0
"""The gate's answer to an intent: allowed, or every reason why not.

Pure: the same intent, policy and moment give the same decision, on the solver and years later on
the machine of whoever checks. Only whether the intent has run before is told from outside.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import msgspec

from tallystick.limits import REASON_BYTES_MAX
from tallystick.model.intent import Intent
from tallystick.model.policy import Policy
from tallystick.model.requester import key_of_requester, signature_reason
from tallystick.model.shapes import instant_ns

# Each code and what it says; `docs/reference` and the tests read this table.
REASON_CODES: Final = {
    "JOB_TYPE_NOT_ALLOWED": "the job type is not in the policy's allowlist",
    "INTENT_EXPIRED": "its `expiresAt` is past",
    "REQUESTER_NOT_ALLOWED": "the policy has an allowlist of requesters, and this is none of them",
    "INPUTS_TOO_LARGE": "the canonical inputs have more bytes than the policy allows",
    "EXPIRY_MISSING": "the policy bounds how far ahead an intent may expire, and it never does",
    "HORIZON_TOO_FAR": "it expires later than the policy allows",
    "SIGNATURE_MISSING": "the policy wants the requester's signature, and there is none",
    "SIGNATURE_KEY_UNKNOWN": "the policy wants a signature, and knows no key of this requester",
    "SIGNATURE_WRONG": "the signature that is there is not the requester's",
    "INTENT_REPLAYED": "this very intent has run already",
}
_SECOND: Final = 1_000_000_000


class Reason(msgspec.Struct, frozen=True):
    """One reason to refuse: a code that stays, and a text."""

    code: str
    text: str


class Decision(msgspec.Struct, frozen=True):
    """Whether an intent may run, and all reasons where it may not."""

    allowed: bool
    reasons: tuple[Reason, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the manifest's `policyDecision`: the source's members, and our codes beside."""
        return {
            "allowed": self.allowed,
            "reasons": [reason.text for reason in self.reasons],
            "codes": [reason.code for reason in self.reasons],
        }

    def __str__(self) -> str:
        return "allowed" if self.allowed else "; ".join(reason.text for reason in self.reasons)


ALLOWED: Final = Decision(True)


def evaluate(intent: Intent, policy: Policy, now: str, already_run: bool = False) -> Decision:
    """Return the decision on an intent at a moment. Every check is made, whatever others say."""
    reasons: list[Reason] = []
    if intent.jobType not in policy.job_types:
        _add(reasons, "JOB_TYPE_NOT_ALLOWED", f"jobType '{intent.jobType}' not in allowlist")
    _check_time(reasons, intent, policy, now)
    requesters = policy.requesters
    if requesters is not None and intent.requester not in requesters:
        _add(reasons, "REQUESTER_NOT_ALLOWED", f"requester '{intent.requester}' not in allowlist")
    size, most = intent.inputs_bytes, policy.max_bytes
    if size > most:
        _add(reasons, "INPUTS_TOO_LARGE", f"inputs size {size} exceeds max {most}")
    if intent.signature is not None or policy.requireSignature:
        _check_signature(reasons, intent, policy)
    if already_run:
        _add(reasons, "INTENT_REPLAYED", f"intent {intent.intent_id} has run already")
    return Decision(False, tuple(reasons)) if reasons else ALLOWED


def _check_time(reasons: list[Reason], intent: Intent, policy: Policy, now: str) -> None:
    expires, horizon_s = intent.expires_ns, policy.maxHorizonSeconds
    if expires is None:
        if horizon_s is not None:
            text = f"intent never expires; the policy allows {horizon_s} seconds ahead"
            _add(reasons, "EXPIRY_MISSING", text)
        return
    now_ns = _moment_ns(now)
    if expires < now_ns:
        _add(reasons, "INTENT_EXPIRED", f"intent expired at {intent.expiresAt}")
    if horizon_s is not None and expires - now_ns > horizon_s * _SECOND:
        text = f"intent expires at {intent.expiresAt}, over {horizon_s} seconds ahead"
        _add(reasons, "HORIZON_TOO_FAR", text)


def _check_signature(reasons: list[Reason], intent: Intent, policy: Policy) -> None:
    if intent.signature is None:
        text = f"requester '{intent.requester}' has not signed the intent"
        _add(reasons, "SIGNATURE_MISSING", text)
        return
    key = key_of_requester(intent, policy)
    if key is None:
        if policy.requireSignature:
            text = f"no key of requester '{intent.requester}' is known"
            _add(reasons, "SIGNATURE_KEY_UNKNOWN", text)
        return
    why = signature_reason(intent, key)
    if why is not None:
        text = f"signature of requester '{intent.requester}' {why}"
        _add(reasons, "SIGNATURE_WRONG", text)


@lru_cache(maxsize=16)
def _moment_ns(now: str) -> int:
    # Decisions come close together, and many share their millisecond.
    return instant_ns(now)


def _add(reasons: list[Reason], code: str, text: str) -> None:
    # A requester's name may be long, and a manifest has little room: a text says enough.
    if len(text) <= REASON_BYTES_MAX and text.isascii():
        reasons.append(Reason(code, text))
        return
    cut = text.encode("utf-8")[:REASON_BYTES_MAX].decode("utf-8", "ignore")
    reasons.append(Reason(code, cut))
