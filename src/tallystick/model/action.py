# SPDX-License-Identifier: Apache-2.0
"""What an agent did: the action, why, with what outcome, and by whose leave."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from tallystick.model.disclosure import DisclosureEnvelope
from tallystick.model.fact import Fact
from tallystick.model.shapes import (
    ActionId,
    Base64,
    Count,
    Identifier,
    Instant,
    Integer,
    NonEmpty,
    ReceiptId,
    Sha256,
)
from tallystick.model.taxonomy import RiskLevel


class Target(Fact, frozen=True, kw_only=True):
    """What was acted upon."""

    resource: str | None = None
    system: str | None = None


class PeerCredential(Fact, frozen=True, kw_only=True):
    """Who was at the other end of the socket, as the operating system told the daemon."""

    exe_path: str | None = None
    gid: Count | None = None
    pid: Integer
    platform: str
    uid: Count | None = None


class EmitterMetadata(Fact, frozen=True, kw_only=True):
    """What the daemon saw of the emitter."""

    drop_count: Count | None = None


class Action(Fact, frozen=True, kw_only=True):
    """One action. `id`, `risk_level` and `timestamp` are filled in when a receipt is created."""

    emitter_metadata: EmitterMetadata | None = None
    id: ActionId | None = None
    idempotency_key: NonEmpty | None = None
    # An HPKE envelope, or the flat map of text that 0.2.x had.
    parameters_disclosure: dict[str, Any] | None = None
    parameters_hash: Sha256 | None = None
    peer_credential: PeerCredential | None = None
    risk_level: RiskLevel | None = None
    target: Target | None = None
    timestamp: Instant | None = None
    tool_name: str | None = None
    trusted_timestamp: Base64 | None = None
    type: Identifier


class Intent(Fact, frozen=True, kw_only=True):
    """Why: digests of conversation and reasoning, and a capped preview of the prompt."""

    conversation_hash: Sha256 | None = None
    prompt_preview: str | None = None
    prompt_preview_truncated: bool | None = None
    reasoning_hash: Sha256 | None = None


class StateChange(Fact, frozen=True, kw_only=True):
    """Digests of the state that the action met and the one that it left."""

    after_hash: Sha256
    before_hash: Sha256


class Outcome(Fact, frozen=True, kw_only=True):
    """How it ended, or that it has not ended yet (`pending`)."""

    error: str | None = None
    response_disclosure: DisclosureEnvelope | None = None
    response_hash: Sha256 | None = None
    reversal_method: str | None = None
    reversal_of: ReceiptId | None = None
    reversal_window_seconds: Count | None = None
    reversible: bool | None = None
    state_change: StateChange | None = None
    status: Literal["success", "failure", "pending"]


class Authorization(Fact, frozen=True, kw_only=True):
    """By whose leave, and from when to when."""

    expires_at: Instant | None = None
    grant_ref: str | None = None
    granted_at: Instant
    scopes: Annotated[tuple[str, ...], Meta(min_length=1)]
