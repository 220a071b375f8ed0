# SPDX-License-Identifier: Apache-2.0
"""Policies: one canonical form, one hash, and nothing that contradicts itself."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
import rfc8785
from tests.solving import ALICE, policy

from tallystick.errors import ReceiptError
from tallystick.limits import POLICY_ARTIFACT_MB_MAX, POLICY_ENTRIES_MAX
from tallystick.model.policy import key_fault, parse_policy, policy_of

_ADDRESS = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


def test_the_hash_is_over_every_member() -> None:
    """Members with their default are written out, so that a hash says all of a policy."""
    found = policy()
    members: dict[str, Any] = {
        "policyVersion": "1.0.0",
        "jobTypeAllowlist": ["SAFE_REPORT"],
        "maxArtifactMb": 5,
        "requireSignature": False,
        "requesterKeys": {},
    }
    assert found.to_json() == rfc8785.dumps(members)
    assert found.policy_hash == "sha256:" + sha256(found.to_json()).hexdigest()


@pytest.mark.parametrize(
    "change",
    [
        {"jobTypeAllowlist": ["SAFE_REPORT", "B"]},
        {"requesterAllowlist": []},
        {"maxArtifactMb": 6},
        {"maxHorizonSeconds": 60},
        {"requireSignature": True},
        {"requesterKeys": {"alice": ALICE}},
    ],
)
def test_each_member_changes_the_hash(change: dict[str, Any]) -> None:
    """A policy that decides otherwise has another hash."""
    assert policy(**change).policy_hash != policy().policy_hash


def test_canonical_bytes_come_back() -> None:
    """What a run keeps is read as the policy that it was."""
    found = policy(requesterAllowlist=["alice"], requesterKeys={"alice": _ADDRESS})
    assert parse_policy(found.to_json()) == found
    with pytest.raises(ReceiptError, match="canonical"):
        parse_policy(found.to_json() + b"\n")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"jobTypeAllowlist": ["A", "A"]}, "twice"),
        ({"requesterAllowlist": ["a", "a"]}, "twice"),
        ({"jobTypeAllowlist": ["a b"]}, "matching"),
        ({"maxArtifactMb": 0}, ">= 1"),
        ({"maxArtifactMb": True}, "int"),
        ({"maxArtifactMb": POLICY_ARTIFACT_MB_MAX + 1}, "<="),
        ({"maxHorizonSeconds": 0}, ">= 1"),
        ({"requireSignature": "true"}, "bool"),
        ({"unknown": 1}, "unknown"),
        ({"policyVersion": "2.0.0"}, "Invalid"),
        ({"requesterKeys": {"a": "did:key:zWrong"}}, "did:key"),
        ({"requesterAllowlist": ["x"] * (POLICY_ENTRIES_MAX + 1)}, "length"),
    ],
)
def test_what_is_no_policy_is_refused(change: dict[str, Any], told: str) -> None:
    """Types are exact, and nothing is said twice."""
    with pytest.raises(ReceiptError, match=told):
        policy(**change)


def test_a_policy_needs_its_list_of_job_types() -> None:
    """A policy without it is refused, and does not allow everything."""
    with pytest.raises(ReceiptError, match="jobTypeAllowlist"):
        policy_of({"maxArtifactMb": 5})


def test_keys_of_requesters_are_two_kinds() -> None:
    """A did:key of Ed25519 and an address with a right checksum are keys; a name is none."""
    assert key_fault(ALICE) is None
    assert key_fault(_ADDRESS) is None
    assert key_fault(_ADDRESS.lower()) is None
    assert key_fault(_ADDRESS.replace("5aA", "5AA")) is not None
    assert key_fault("alice@example.com") is not None


def test_sizes_are_bytes() -> None:
    """A megabyte of a policy has 2^20 bytes."""
    assert policy(maxArtifactMb=3).max_bytes == 3 * 1024 * 1024
