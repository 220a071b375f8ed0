# SPDX-License-Identifier: Apache-2.0
"""Drafting: each member of a frame ends at its place, and nobody's word passes for another's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick import decrypt_disclosure, generate_forensic_key_pair, verify_receipt
from tallystick.chain.issue import create_receipt, sign_receipt
from tallystick.crypto.canonical import canonicalize
from tallystick.crypto.digest import sha256_tagged
from tallystick.daemon.attestation import Attestation
from tallystick.daemon.disclosing import Disclosure, DisclosurePolicy, parse_policy
from tallystick.daemon.drafting import DraftSettings, draft_drops, draft_receipt
from tallystick.keys.local import generate_key_pair
from tallystick.limits import ERROR_CHARS_MAX, PREVIEW_CHARS_MAX
from tallystick.model.action import PeerCredential
from tallystick.model.chain import Head
from tallystick.model.extension import Peer, extension_of
from tallystick.model.frame import parse_frame
from tallystick.model.receipt import Receipt
from tallystick.model.redact import Redactor

KEY = generate_key_pair()
FORENSIC = generate_forensic_key_pair()
SETTINGS = DraftSettings(issuer_id="did:agent-receipts-daemon:local", redactor=Redactor())
PEER = Attestation(
    credential=PeerCredential(exe_path="/usr/bin/x", gid=2, pid=3, platform="linux", uid=1),
    peer=Peer(exe_status="ok", ppid=1, session=2, start_time=4, cgroup="/c"),
)
LEAST: dict[str, Any] = {
    "v": "1",
    "ts_emit": "2026-11-21T18:50:13.123456789+01:00",
    "session_id": "s-1",
    "channel": "mcp",
    "tool": {"server": "github", "name": "list_issues"},
    "decision": "allowed",
}


def issued(settings: DraftSettings = SETTINGS, *, late: bool = False, **members: Any) -> Receipt:
    """Return the receipt of a frame: drafted, created, signed and verified."""
    frame = parse_frame(json.dumps({**LEAST, **members}).encode())
    draft = draft_receipt(frame, PEER, "did:user:ada", settings, late=late)
    unsigned = create_receipt(chain=Head(chain_id="2026-11-21").link(), **draft)
    receipt = sign_receipt(unsigned, KEY, "did:agent-receipts-daemon:local#k1")
    report = verify_receipt(receipt.to_json(), KEY.public_key)
    assert str(report.verdict) == "verified", report.findings
    return receipt


def test_the_least_frame() -> None:
    """What was not said is not stated; what the kernel said is."""
    receipt = issued()
    assert receipt.issuer.to_dict() == {
        "id": "did:agent-receipts-daemon:local",
        "runtime": {
            "tallystick": {
                "decision": "allowed",
                "emitted_at": LEAST["ts_emit"],
                "peer": {
                    "cgroup": "/c",
                    "exe_status": "ok",
                    "ppid": 1,
                    "session": 2,
                    "start_time": 4,
                },
                "risk": {"own": "low"},
            }
        },
        "session_id": "s-1",
        "type": "AgentReceiptsDaemon",
    }
    action = receipt.action
    assert (action.type, action.tool_name, action.risk_level) == (
        "mcp.github.list_issues",
        "list_issues",
        "low",
    )
    assert action.peer_credential == PEER.credential
    assert (action.parameters_hash, action.target, action.idempotency_key) == (None, None, None)
    assert receipt.outcome.to_dict() == {"status": "success"}
    assert receipt.principal.to_dict() == {"id": "did:user:ada"}
    assert (receipt.credentialSubject.intent, receipt.credentialSubject.correlation_id) == (
        None,
        None,
    )


def test_every_member_has_its_place() -> None:
    """Identity, target, ids, usage and rule end where the protocol and our design put them."""
    receipt = issued(
        action_type="data.api.read",
        agent_id="agent-1",
        agent_type="reviewer",
        capture_method="transcript",
        correlation_id="toolu_01",
        idempotency_key="7",
        input={"b": 1, "a": [2.5, None]},
        issuer_model="model-1",
        issuer_name="claude-code",
        model="model-2",
        operator_id="did:org:acme",
        operator_name="Acme",
        output=[1, "x"],
        prompt_preview="please list",
        rule={"name": "r", "action": "pause", "approver": "ada", "reason": "fine"},
        target_resource="octo/hello",
        target_system="github",
        usage={"input_tokens": 5},
        late=True,
    )
    issuer = receipt.issuer
    assert (issuer.name, issuer.model) == ("claude-code", "model-1")
    assert issuer.operator is not None
    assert issuer.operator.to_dict() == {"id": "did:org:acme", "name": "Acme"}
    runtime = dict(issuer.runtime or {})
    del runtime["tallystick"]
    assert runtime == {
        "agent_id": "agent-1",
        "agent_type": "reviewer",
        "capture_method": "transcript",
        "model": "model-2",
        "usage": {"input_tokens": 5},
    }
    action = receipt.action
    assert (action.type, action.idempotency_key) == ("data.api.read", "7")
    assert action.parameters_hash == sha256_tagged(b'{"a":[2.5,null],"b":1}')
    assert action.target is not None
    assert (action.target.system, action.target.resource) == ("github", "octo/hello")
    assert receipt.outcome.response_hash == sha256_tagged(b'[1,"x"]')
    assert receipt.credentialSubject.correlation_id == "toolu_01"
    assert receipt.credentialSubject.intent is not None
    assert receipt.credentialSubject.intent.to_dict() == {"prompt_preview": "please list"}
    facts = extension_of(issuer)
    assert facts is not None
    assert facts.late is True
    assert facts.rule is not None
    assert facts.rule.to_dict() == {
        "name": "r",
        "action": "pause",
        "approver": "ada",
        "reason": "fine",
    }


@pytest.mark.parametrize(
    ("members", "status", "decision"),
    [
        ({}, "success", "allowed"),
        ({"error": "boom"}, "failure", "allowed"),
        ({"output": {"isError": True}}, "failure", "allowed"),
        ({"output": {"isError": "true"}}, "success", "allowed"),
        ({"output": {"isError": True}, "channel": "sdk"}, "success", "allowed"),
        ({"decision": "denied"}, "failure", "denied"),
        ({"decision": "denied", "error": "blocked"}, "failure", "denied"),
        ({"decision": "pending"}, "pending", "pending"),
        ({"decision": "pending", "error": "boom"}, "pending", "pending"),
    ],
)
def test_denied_failed_and_pending_stay_apart(
    members: dict[str, Any], status: str, decision: str
) -> None:
    """The status is the protocol's; the decision beside it tells a denial from a failure."""
    receipt = issued(**members)
    facts = extension_of(receipt.issuer)
    assert facts is not None
    assert (receipt.outcome.status, facts.decision) == (status, decision)


@pytest.mark.parametrize(
    ("members", "claimed", "own", "risk"),
    [
        (
            {
                "action_type": "filesystem.file.read",
                "tool": {"name": "Bash"},
                "input": {"command": "rm -rf /"},
            },
            "low",
            "critical",
            "critical",
        ),
        (
            {"action_type": "filesystem.file.delete", "tool": {"name": "Read"}},
            "high",
            "low",
            "high",
        ),
        ({"action_type": "com.example.x", "tool": {"name": "frob"}}, None, None, "medium"),
        ({"tool": {"name": "frob"}}, None, None, "medium"),
        (
            {"channel": "filesystem", "tool": {"server": "file", "name": "delete"}},
            "high",
            "high",
            "high",
        ),
        ({"tool": {"name": "q"}, "input": {"sql": "drop table t"}}, None, "critical", "critical"),
    ],
)
def test_the_graver_risk_stands(
    members: dict[str, Any], claimed: str | None, own: str | None, risk: str
) -> None:
    """An emitter can't make an action harmless by what it calls it."""
    receipt = issued(**members)
    facts = extension_of(receipt.issuer)
    assert facts is not None
    assert receipt.action.risk_level == risk
    told = facts.risk
    assert (None if told is None else told.claimed, None if told is None else told.own) == (
        claimed,
        own,
    )


@pytest.mark.parametrize("name", ["claude-code.Bash", "filesystem.file.frob", "x", "doctor.a b"])
def test_types_of_the_field_are_issued(name: str) -> None:
    """What emitters call their actions is taken, also where our own rule is stricter."""
    assert issued(action_type=name).action.type == name


def test_an_unknown_action_names_its_system() -> None:
    """Where the emitter names none, its server or channel is it."""
    target = issued(action_type="unknown").action.target
    assert target is not None
    assert target.system == "github"
    target = issued(action_type="unknown", tool={"name": "x"}).action.target
    assert target is not None
    assert target.system == "mcp"


def test_texts_are_capped_and_flagged() -> None:
    """Previews are cut and say so; errors are cut in band."""
    receipt = issued(prompt_preview="p" * 5000, error="e" * 5000)
    intent, error = receipt.credentialSubject.intent, receipt.outcome.error
    assert intent is not None
    assert intent.prompt_preview == "p" * PREVIEW_CHARS_MAX
    assert intent.prompt_preview_truncated is True
    assert error is not None
    assert len(error) == ERROR_CHARS_MAX
    assert error.endswith("…")


def test_secrets_go_and_hashes_stay() -> None:
    """Clear text is redacted; what was hashed is what was sent."""
    payload = {"password": "hunter2"}
    receipt = issued(
        error="password=hunter2 " + "x" * 2000,
        input=payload,
        output=payload,
        prompt_preview="x" * 250 + " token=hunter2",
        target_system="web",
        target_resource="https://u:hunter2@h/?token=hunter2",
        tool={"name": "t", "server": "s"},
        rule={"reason": "token=hunter2"},
        usage={"api_key": "hunter2"},
    )
    text = receipt.to_json().decode()
    assert "hunter2" not in text
    assert receipt.action.parameters_hash == sha256_tagged(canonicalize(payload))
    assert receipt.outcome.response_hash == sha256_tagged(canonicalize(payload))


def test_disclosure_follows_the_settled_risk() -> None:
    """What an emitter calls harmless is still sealed when it is not."""
    settings = DraftSettings(
        issuer_id="did:x:y",
        redactor=Redactor(),
        disclosure=Disclosure(parse_policy("high"), DisclosurePolicy(), FORENSIC.public_key),
    )
    command = {"command": "rm -rf /"}
    receipt = issued(
        settings,
        action_type="filesystem.file.read",
        tool={"name": "Bash"},
        input=command,
        output={"x": 1},
    )
    sealed = receipt.action.parameters_disclosure
    assert decrypt_disclosure(sealed, FORENSIC.private_key) == command
    assert receipt.outcome.response_disclosure is None
    harmless = issued(settings, tool={"name": "Read"}, input={"file_path": "a.py"})
    assert harmless.action.parameters_disclosure is None
    assert harmless.action.parameters_hash is not None


def test_lost_frames_are_told() -> None:
    """The receipt of a loss names the count, the session and the peer of the frame that told it."""
    frame = parse_frame(json.dumps({**LEAST, "drop_count": 7, "issuer_name": "x"}).encode())
    draft = draft_drops(frame, PEER, "did:user:ada", SETTINGS, frame.drop_count)
    receipt = create_receipt(chain=Head(chain_id="c").link(), **draft)
    action = receipt.action
    assert (action.type, action.tool_name, action.risk_level) == (
        "agent_receipts.events_dropped",
        "events_dropped",
        "low",
    )
    assert action.emitter_metadata is not None
    assert action.emitter_metadata.drop_count == 7
    assert action.peer_credential == PEER.credential
    assert receipt.issuer.session_id == "s-1"
    assert receipt.issuer.name is None
    assert receipt.outcome.status == "success"


def test_late_frames_are_marked() -> None:
    """Also where it is the daemon that knows."""
    facts = extension_of(issued(late=True).issuer)
    assert facts is not None
    assert facts.late is True


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "input": json_values,
            "output": json_values,
            "error": st.text(max_size=50),
            "action_type": st.text(
                st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=40
            ),
            "usage": json_values,
            "decision": st.sampled_from(["allowed", "denied", "pending"]),
        },
    )
)
def test_every_frame_makes_a_receipt(members: dict[str, Any]) -> None:
    """No frame that is taken fails later: what was accepted is stated, signed and verifies."""
    assert issued(**members).outcome.status in ("success", "failure", "pending")
