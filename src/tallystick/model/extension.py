# SPDX-License-Identifier: Apache-2.0
"""Facts of ours inside a receipt: the open, signed object `issuer.runtime.tallystick`.

Every implementation of the protocol keeps and verifies what stands in `issuer.runtime`, and none
allows members that it does not know anywhere else. All members are optional and never null.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from tallystick.model.chain import Head
from tallystick.model.fact import Fact
from tallystick.model.receipt import Issuer
from tallystick.model.shapes import Count, Identifier, Instant, Integer, Sequence, Sha256
from tallystick.model.taxonomy import RiskLevel

MEMBER = "tallystick"


class Peer(Fact, frozen=True, kw_only=True):
    """What the operating system told of the process at the other end of the socket."""

    cgroup: str | None = None
    exe_status: Literal["ok", "gone", "denied", "hidden"] | None = None
    ppid: Integer | None = None
    session: Integer | None = None
    # As the system counts: Linux in clock ticks since boot, macOS in microseconds since 1970.
    start_time: Count | None = None


class Risk(Fact, frozen=True, kw_only=True):
    """The risk that the emitter claimed, and the one that we found."""

    claimed: RiskLevel | None = None
    own: RiskLevel | None = None


class Rule(Fact, frozen=True, kw_only=True):
    """The rule that decided on the action, and who approved it."""

    action: str | None = None
    approver: str | None = None
    name: str | None = None
    reason: str | None = None


class PreviousChain(Fact, frozen=True, kw_only=True):
    """The chain that this one goes on from, when it was closed or its key had to go."""

    chain_id: Identifier
    hash: Sha256
    sequence: Sequence


class Dropped(Fact, frozen=True, kw_only=True):
    """Frames that the daemon itself made no receipt of: how many for which reason, and when."""

    reasons: dict[str, Count]
    since: Instant
    until: Instant


class Extension(Fact, frozen=True, kw_only=True):
    """All members of `issuer.runtime.tallystick`, declared once."""

    decision: Literal["allowed", "denied", "pending"] | None = None
    dropped: Dropped | None = None
    emitted_at: Instant | None = None
    late: bool | None = None
    lease_ended: bool | None = None
    peer: Peer | None = None
    previous_chain: PreviousChain | None = None
    risk: Risk | None = None
    rule: Rule | None = None


def predecessor(head: Head | None) -> PreviousChain | None:
    """Return how a first receipt names the chain that it goes on from."""
    if head is None or head.hash is None:
        return None
    return PreviousChain(chain_id=head.chain_id, hash=head.hash, sequence=head.sequence)


def with_extension(issuer: Issuer, extension: Extension) -> Issuer:
    """Return the issuer with these facts in its runtime, its other members as they were."""
    runtime = runtime_with(extension, issuer.runtime)
    return issuer if runtime is issuer.runtime else msgspec.structs.replace(issuer, runtime=runtime)


def runtime_with(
    extension: Extension, runtime: dict[str, Any] | None = None
) -> dict[str, Any] | None:
    """Return an issuer's runtime with these facts beside what is in it; the same without any."""
    members: dict[str, Any] = msgspec.to_builtins(extension)
    return {**(runtime or {}), MEMBER: members} if members else runtime


def extension_of(issuer: Issuer) -> Extension | None:
    """Return the facts of ours that an issuer carries; refuse what is not of their shape."""
    members = (issuer.runtime or {}).get(MEMBER)
    return None if members is None else Extension.from_dict(members)
