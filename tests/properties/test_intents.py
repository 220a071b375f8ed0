# SPDX-License-Identifier: Apache-2.0
"""Intents and decisions for all inputs: one meaning, one id; every fault, its own reason."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from tests.solving import ALICE, NOW, asked, codes, policy

from tallystick.errors import RefusedInput
from tallystick.limits import JSON_INTEGER_MAX
from tallystick.model.decision import REASON_CODES, evaluate
from tallystick.model.intent import intent_of, parse_intent

_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-JSON_INTEGER_MAX, JSON_INTEGER_MAX)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXTS
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=12,
)
_OPEN = st.dictionaries(_TEXTS | st.sampled_from(["__proto__", "10", "9"]), _VALUES, max_size=5)
_INTENTS = st.fixed_dictionaries(
    {"inputs": _OPEN, "requester": st.text(st.characters(exclude_categories=["Cs"]), min_size=1)},
    optional={
        "constraints": _OPEN,
        "meta": _OPEN,
        "nonce": st.text("abc", min_size=1, max_size=5),
        "acceptanceCriteria": st.lists(
            st.fixed_dictionaries({"type": st.just("t")}, optional={"description": _TEXTS}),
            max_size=3,
        ),
    },
).map(lambda members: asked(**members))


@given(_INTENTS)
def test_an_id_is_of_the_meaning(value: dict[str, Any]) -> None:
    """Whatever the spelling, the id is the hash of the form that another implementation gives."""
    wanted = sha256(rfc8785.dumps(value)).hexdigest()
    spellings = (
        json.dumps(value),
        json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True),
        json.dumps(dict(reversed(value.items())), separators=(",", ":")),
    )
    for text in spellings:
        found = parse_intent(text.encode())
        assert found.intent_id == wanted
        assert found.inputs == json.loads(text)["inputs"]


@given(_INTENTS, _INTENTS)
def test_two_meanings_have_two_ids(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Ids are equal where the canonical forms are, and nowhere else."""
    is_same = rfc8785.dumps(one) == rfc8785.dumps(other)
    assert (intent_of(one).intent_id == intent_of(other).intent_id) is is_same


@given(st.binary(max_size=200) | _VALUES.map(lambda value: json.dumps(value).encode()))
def test_anything_else_is_refused_by_name(data: bytes) -> None:
    """No bytes lead to anything but an intent or a refusal of ours."""
    try:
        found = parse_intent(data)
    except RefusedInput:
        return
    assert len(found.intent_id) == 64


@given(_INTENTS, st.dictionaries(_TEXTS, _VALUES, min_size=1, max_size=3))
def test_unknown_members_are_never_dropped(value: dict[str, Any], more: dict[str, Any]) -> None:
    """A member that we do not know is a refusal, and not a part that is not hashed."""
    members = {name: one for name, one in more.items() if name not in value}
    try:
        found = parse_intent(json.dumps({**value, **members}).encode())
    except RefusedInput:
        return
    assert found.intent_id == sha256(rfc8785.dumps({**value, **members})).hexdigest()


@given(
    st.booleans(), st.booleans(), st.booleans(), st.booleans(), st.booleans(), st.booleans(),
    st.booleans(),
)  # fmt: skip
def test_every_combination_of_faults_gives_just_its_reasons(  # noqa: PLR0917  # one for each fault
    job: bool, late: bool, who: bool, large: bool, far: bool, unsigned: bool, again: bool
) -> None:
    """Each fault adds its own reason, whichever others there are."""
    expires = "2026-03-01T00:00:00Z" if late else "2026-03-04T05:30:00Z"
    expires = "2027-01-01T00:00:00Z" if far and not late else expires
    value = asked(
        jobType="MINE" if job else "SAFE_REPORT",
        requester="mallory" if who else ALICE,
        expiresAt=expires,
        inputs={"subject": "x" * (1 << 20 if large else 1), "data": {}},
    )
    rules = policy(
        requesterAllowlist=[ALICE],
        maxArtifactMb=1,
        maxHorizonSeconds=3600,
        requireSignature=unsigned,
    )
    wanted = {
        "JOB_TYPE_NOT_ALLOWED": job,
        "INTENT_EXPIRED": late,
        "HORIZON_TOO_FAR": far and not late,
        "REQUESTER_NOT_ALLOWED": who,
        "INPUTS_TOO_LARGE": large,
        "SIGNATURE_MISSING": unsigned,
        "INTENT_REPLAYED": again,
    }
    decision = evaluate(intent_of(value), rules, NOW, again)
    assert codes(decision) == [code for code, holds in wanted.items() if holds]
    assert decision.allowed is not any(wanted.values())
    assert set(codes(decision)) <= set(REASON_CODES)
