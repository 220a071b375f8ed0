# SPDX-License-Identifier: Apache-2.0
"""The decision: each reason by itself, all of them together, and the source's own texts."""

from __future__ import annotations

from typing import Any

import pytest
from tests.solving import ALICE, NOW, codes, intent, policy, signed

from tallystick.limits import REASON_BYTES_MAX
from tallystick.model.decision import ALLOWED, REASON_CODES, evaluate
from tallystick.model.intent import intent_of

_SIGNED = {"scheme": "ed25519", "value": "AAAA"}
_CASES: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    (
        "JOB_TYPE_NOT_ALLOWED",
        {"jobType": "MINE"},
        {},
        "jobType 'MINE' not in allowlist",
    ),
    (
        "INTENT_EXPIRED",
        {"expiresAt": "2026-03-04T05:06:06Z"},
        {},
        "intent expired at 2026-03-04T05:06:06Z",
    ),
    (
        "REQUESTER_NOT_ALLOWED",
        {"requester": "mallory"},
        {"requesterAllowlist": ["alice"]},
        "requester 'mallory' not in allowlist",
    ),
    (
        "INPUTS_TOO_LARGE",
        {"inputs": {"subject": "x" * (1024 * 1024), "data": {}}},
        {"maxArtifactMb": 1},
        f"inputs size {1024 * 1024 + 24} exceeds max {1024 * 1024}",
    ),
    (
        "EXPIRY_MISSING",
        {"expiresAt": None},
        {"maxHorizonSeconds": 60},
        "intent never expires; the policy allows 60 seconds ahead",
    ),
    (
        "HORIZON_TOO_FAR",
        {"expiresAt": "2026-03-04T05:07:08Z"},
        {"maxHorizonSeconds": 60},
        "intent expires at 2026-03-04T05:07:08Z, over 60 seconds ahead",
    ),
    (
        "SIGNATURE_MISSING",
        {},
        {"requireSignature": True},
        f"requester '{ALICE}' has not signed the intent",
    ),
    (
        "SIGNATURE_KEY_UNKNOWN",
        {"requester": "alice", "signature": _SIGNED},
        {"requireSignature": True},
        "no key of requester 'alice' is known",
    ),
    (
        "SIGNATURE_WRONG",
        {"signature": _SIGNED},
        {},
        f"signature of requester '{ALICE}' is not by the requester's key",
    ),
]


@pytest.mark.parametrize(("code", "asked", "rules", "text"), _CASES, ids=[one[0] for one in _CASES])
def test_each_reason_alone(
    code: str, asked: dict[str, Any], rules: dict[str, Any], text: str
) -> None:
    """One fault gives one reason, with its code and, where the source has it, the source's text."""
    decision = evaluate(intent(**asked), policy(**rules), NOW)
    assert not decision.allowed
    assert [(one.code, one.text) for one in decision.reasons] == [(code, text)]


def test_every_code_has_a_case() -> None:
    """The table of codes lists what is tested, and nothing else."""
    assert {one[0] for one in _CASES} | {"INTENT_REPLAYED"} == set(REASON_CODES)


def test_nothing_short_circuits() -> None:
    """With seven faults there are seven reasons, in the order of the checks."""
    found = evaluate(
        intent(
            jobType="MINE",
            requester="mallory",
            expiresAt="2026-03-01T00:00:00Z",
            inputs={"subject": "x" * (1024 * 1024), "data": {}},
            signature=_SIGNED,
        ),
        policy(
            requesterAllowlist=["alice"],
            maxArtifactMb=1,
            requireSignature=True,
            maxHorizonSeconds=1,
        ),
        NOW,
        already_run=True,
    )
    assert codes(found) == [
        "JOB_TYPE_NOT_ALLOWED",
        "INTENT_EXPIRED",
        "REQUESTER_NOT_ALLOWED",
        "INPUTS_TOO_LARGE",
        "SIGNATURE_KEY_UNKNOWN",
        "INTENT_REPLAYED",
    ]
    assert found.to_dict()["codes"] == codes(found)
    assert str(found).startswith("jobType 'MINE' not in allowlist; intent expired at ")


def test_what_is_in_order_is_allowed() -> None:
    """A signed intent within all bounds is allowed, without a reason."""
    rules = policy(requesterAllowlist=[ALICE], requireSignature=True, maxHorizonSeconds=7 * 86_400)
    found = evaluate(intent_of(signed()), rules, NOW)
    assert found == ALLOWED
    assert found.to_dict() == {"allowed": True, "reasons": [], "codes": []}


def test_sizes_are_counted_in_bytes() -> None:
    """A text of characters that take four bytes each counts four times what UTF-16 would say."""
    wide = intent(inputs={"subject": "\U0001f33e" * 300_000, "data": {}})
    assert wide.inputs_bytes == 24 + 4 * 300_000
    assert codes(evaluate(wide, policy(maxArtifactMb=1), NOW)) == ["INPUTS_TOO_LARGE"]


def test_the_moment_of_expiry_is_not_past() -> None:
    """An intent may run until the very instant that it names, in whatever zone that is told."""
    for instant in ("2026-03-04T05:06:07Z", "2026-03-04T06:06:07.000+01:00"):
        assert evaluate(intent(expiresAt=instant), policy(), NOW).allowed


def test_an_empty_allowlist_lets_nobody() -> None:
    """It is not the same as none."""
    assert codes(evaluate(intent(), policy(requesterAllowlist=[]), NOW)) == [
        "REQUESTER_NOT_ALLOWED"
    ]


def test_a_signature_without_a_known_key_does_not_hurt() -> None:
    """Where no signature is asked for, one that can't be checked is no reason to refuse."""
    assert evaluate(intent(requester="alice", signature=_SIGNED), policy(), NOW).allowed


def test_long_names_are_cut() -> None:
    """A reason has its bound in a manifest, and is cut at a character."""
    found = evaluate(intent(requester="ü" * 1000), policy(requesterAllowlist=["a"]), NOW)
    assert len(found.reasons[0].text.encode()) <= REASON_BYTES_MAX
    assert found.reasons[0].text.startswith("requester 'üü")


def test_a_replay_is_told_by_who_knows() -> None:
    """Only who keeps the runs can tell; the decision takes it as an argument."""
    assert codes(evaluate(intent(), policy(), NOW, already_run=True)) == ["INTENT_REPLAYED"]
