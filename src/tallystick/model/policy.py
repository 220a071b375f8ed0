# SPDX-License-Identifier: Apache-2.0
"""What the gate decides by, as a fact with a hash of its own, so that a manifest can name it."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Annotated, Any, Final, Literal

from msgspec import Meta

from tallystick.crypto.canonical import canonicalize
from tallystick.crypto.multibase import did_key_decode
from tallystick.crypto.secp256k1 import read_address
from tallystick.crypto.strict import parse_json
from tallystick.errors import KeyFormatError, ReceiptError
from tallystick.limits import (
    INTENT_BYTES_MAX,
    INTENT_VALUES_MAX,
    JSON_INTEGER_MAX,
    POLICY_ARTIFACT_MB_MAX,
    POLICY_ENTRIES_MAX,
)
from tallystick.model.fact import Fact
from tallystick.model.intent import JobType
from tallystick.model.shapes import NonEmpty

POLICY_VERSION: Final = "1.0.0"
_LISTED: Final = Meta(max_length=POLICY_ENTRIES_MAX)


class Policy(Fact, frozen=True, kw_only=True, dict=True, gc=True):
    """All that a decision depends on, but for the intent, the time and what has run already."""

    jobTypeAllowlist: Annotated[tuple[JobType, ...], _LISTED]  # noqa: N815  # as in the manifest
    maxArtifactMb: Annotated[int, Meta(ge=1, le=POLICY_ARTIFACT_MB_MAX)]  # noqa: N815
    # Absent: an intent may expire at any time, or never.
    maxHorizonSeconds: Annotated[int, Meta(ge=1, le=JSON_INTEGER_MAX)] | None = None  # noqa: N815
    policyVersion: Literal["1.0.0"] = POLICY_VERSION  # noqa: N815
    # Absent: any requester. Empty: none.
    requesterAllowlist: Annotated[tuple[NonEmpty, ...], _LISTED] | None = None  # noqa: N815
    # Keys of requesters whose name is none: `did:key:…` or the address of an EVM account.
    requesterKeys: dict[NonEmpty, NonEmpty] = {}  # noqa: N815, RUF012  # msgspec copies it
    requireSignature: bool = False  # noqa: N815

    @property
    def max_bytes(self) -> int:
        """How many bytes the canonical inputs may have, and all artefacts together."""
        return self.maxArtifactMb * 1024 * 1024

    @property
    def job_types(self) -> frozenset[str]:
        """The allowlist, to look things up in."""
        found: frozenset[str] | None = self.__dict__.get("job_types")
        return found or self._kept("job_types", self.jobTypeAllowlist)

    @property
    def requesters(self) -> frozenset[str] | None:
        """The requesters, to look things up in."""
        listed = self.requesterAllowlist
        return None if listed is None else self._kept("requesters", listed)

    def _kept(self, name: str, listed: tuple[str, ...]) -> frozenset[str]:
        found: frozenset[str] | None = self.__dict__.get(name)
        if found is None:
            found = self.__dict__[name] = frozenset(listed)
        return found

    def to_json(self) -> bytes:
        """Return the canonical bytes, every member written out."""
        members: dict[str, Any] = self.to_dict()
        members |= {
            "policyVersion": self.policyVersion,
            "requireSignature": self.requireSignature,
            "requesterKeys": self.requesterKeys,
        }
        return canonicalize(members)

    @property
    def policy_hash(self) -> str:
        """`sha256:…` over the canonical bytes: what the manifest names."""
        return "sha256:" + sha256(self.to_json()).hexdigest()


def parse_policy(data: bytes) -> Policy:
    """Return the policy of canonical bytes, as a run directory keeps it; refuse others."""
    policy = policy_of(parse_json(data, INTENT_BYTES_MAX, INTENT_VALUES_MAX))
    if policy.to_json() != data:
        raise ReceiptError("is no policy in its canonical form")
    return policy


def policy_of(members: Mapping[str, Any]) -> Policy:
    """Return the policy of these members; what it says twice, or of an unknown key, is refused."""
    policy = Policy.from_dict(members)
    for name, listed in (
        ("jobTypeAllowlist", policy.jobTypeAllowlist),
        ("requesterAllowlist", policy.requesterAllowlist or ()),
    ):
        if len(set(listed)) != len(listed):
            raise ReceiptError("names something twice", f"/{name}")
    for requester, key in policy.requesterKeys.items():
        fault = key_fault(key)
        if fault is not None:
            raise ReceiptError(fault, f"/requesterKeys/{requester}")
    return policy


def is_address(text: str) -> bool:
    """Whether a text has the shape of an EVM address."""
    return len(text) == 42 and text[:2] == "0x"


def key_fault(key: str) -> str | None:
    """Return why a text is no key of a requester, or None."""
    try:
        if is_address(key):
            read_address(key)
        else:
            did_key_decode(key)
    except KeyFormatError as fault:
        return str(fault)
    return None
