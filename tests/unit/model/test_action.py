# SPDX-License-Identifier: Apache-2.0
"""What an agent did: the members of action, intent, outcome and authorization."""

from __future__ import annotations

from typing import Any

import pytest
from tests.material import full_statement

from tallystick.errors import ReceiptError
from tallystick.limits import IDENTIFIER_CHARS_MAX, JSON_INTEGER_MAX
from tallystick.model.action import (
    Action,
    Authorization,
    EmitterMetadata,
    Intent,
    Outcome,
    PeerCredential,
    StateChange,
    Target,
)
from tallystick.model.fact import Fact

FULL = full_statement()["credentialSubject"]
READ = {"type": "filesystem.file.read"}
PEER = {"pid": 1, "platform": "linux"}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Action, "action"),
        (Intent, "intent"),
        (Outcome, "outcome"),
        (Authorization, "authorization"),
    ],
)
def test_every_member_is_carried(kind: type[Fact], name: str) -> None:
    """Each member that the protocol has is kept, and comes out as it went in."""
    fact = kind.from_dict(FULL[name])
    assert fact.to_dict() == FULL[name]
    assert set(FULL[name]) == set(kind.__struct_fields__)


@pytest.mark.parametrize(
    ("kind", "members"),
    [
        (Action, {"type": "a" * IDENTIFIER_CHARS_MAX}),
        (Action, {**READ, "idempotency_key": "k"}),
        (Action, {**READ, "idempotency_key": "\U0001f600" * IDENTIFIER_CHARS_MAX}),
        (EmitterMetadata, {"drop_count": 0}),
        (EmitterMetadata, {"drop_count": JSON_INTEGER_MAX}),
        (PeerCredential, {**PEER, "pid": -JSON_INTEGER_MAX}),
        (PeerCredential, {**PEER, "uid": 0, "gid": JSON_INTEGER_MAX}),
        (Outcome, {"status": "pending", "reversal_window_seconds": 0}),
        (Authorization, {"granted_at": "2026-01-01T00:00:00Z", "scopes": [""]}),
        (Target, {"resource": ""}),
    ],
)
def test_members_at_their_bounds(kind: type[Fact], members: dict[str, Any]) -> None:
    """The longest texts and the largest numbers that are allowed are read."""
    assert kind.from_dict(members).to_dict() == members


@pytest.mark.parametrize(
    ("kind", "members"),
    [
        (Action, {}),
        (Action, {"type": "a" * (IDENTIFIER_CHARS_MAX + 1)}),
        (Action, {**READ, "idempotency_key": ""}),
        (Action, {**READ, "idempotency_key": "k" * (IDENTIFIER_CHARS_MAX + 1)}),
        (Action, {**READ, "risk_level": "none"}),
        (Action, {**READ, "parameters_disclosure": []}),
        (EmitterMetadata, {"drop_count": -1}),
        (EmitterMetadata, {"drop_count": JSON_INTEGER_MAX + 1}),
        (EmitterMetadata, {"drop_count": True}),
        (EmitterMetadata, {"drop_count": 1.0}),
        (EmitterMetadata, {"drop_count": "1"}),
        (PeerCredential, {"pid": 1}),
        (PeerCredential, {**PEER, "pid": JSON_INTEGER_MAX + 1}),
        (PeerCredential, {**PEER, "uid": -1}),
        (Intent, {"prompt_preview_truncated": 1}),
        (Outcome, {"status": "pending", "reversible": "true"}),
        (Outcome, {"status": "pending", "reversal_window_seconds": 1.5}),
        (StateChange, {"after_hash": "sha256:" + "a" * 64}),
        (Authorization, {"granted_at": "2026-01-01T00:00:00Z", "scopes": []}),
        (Authorization, {"granted_at": "2026-01-01T00:00:00Z", "scopes": "all"}),
        (Authorization, {"scopes": ["a"]}),
    ],
)
def test_members_beyond_their_bounds(kind: type[Fact], members: dict[str, Any]) -> None:
    """One more than the bound, and every value of another type, is refused."""
    with pytest.raises(ReceiptError):
        kind.from_dict(members)
