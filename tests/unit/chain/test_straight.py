# SPDX-License-Identifier: Apache-2.0
"""The short way to a receipt: the same bytes as the long one, for whatever a parser has checked."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.chain.issue import create_receipt, seal, timestamp
from tallystick.chain.straight import Checked, state_straight, with_proof
from tallystick.crypto.ed25519 import KeyPair, SigningKey
from tallystick.daemon.drafting import DraftSettings, draft_receipt
from tallystick.daemon.peer import Attestation
from tallystick.errors import FrameRefused, ReceiptError, SigningError
from tallystick.model.action import Action, Outcome, PeerCredential
from tallystick.model.chain import Head, Link
from tallystick.model.extension import Peer
from tallystick.model.fact import Fact
from tallystick.model.frame import parse_frame
from tallystick.model.receipt import CredentialSubject, Issuer, UnsignedReceipt
from tallystick.model.redact import Redactor

KEY = SigningKey(seed=b"s" * 32)
LINK = Head(chain_id="2026-11-21", sequence=7, hash="sha256:" + "a" * 64).link()
MOMENT_NS = 1_795_262_400_123_000_000
METHOD = "did:agent:x#key-1"
SETTINGS = DraftSettings(issuer_id="did:agent:x", redactor=Redactor())
PEER = Attestation(
    credential=PeerCredential(exe_path="/usr/bin/ä", gid=1, pid=2, platform="linux", uid=3),
    peer=Peer(cgroup="/a", exe_status="ok", ppid=1, session=1, start_time=5),
)
NAMES = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=12)
TEXTS = st.text(max_size=300)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 1 << 60) | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)
MEMBERS = st.fixed_dictionaries(
    {},
    optional={
        "action_type": st.sampled_from(("unknown", "filesystem.file.delete", "x.Read")) | NAMES,
        "agent_id": NAMES,
        "correlation_id": NAMES,
        "decision": st.sampled_from(("denied", "pending")),
        "error": TEXTS,
        "idempotency_key": NAMES,
        "input": VALUES,
        "issuer_model": NAMES,
        "late": st.booleans(),
        "operator_id": NAMES,
        "output": VALUES,
        "prompt_preview": TEXTS,
        "rule": st.fixed_dictionaries({}, optional={"name": NAMES, "reason": NAMES}),
        "tool": st.fixed_dictionaries({"name": NAMES}, optional={"server": NAMES}),
        "usage": st.dictionaries(NAMES, VALUES, max_size=3),
    },
)


def draft(**members: Any) -> dict[str, Any]:
    """Return what the daemon states of a frame that it has parsed."""
    whole = {
        "v": "1",
        "ts_emit": "2026-11-21T18:50:13Z",
        "session_id": "s",
        "channel": "mcp",
        "tool": {"name": "t"},
        "decision": "allowed",
        **members,
    }
    frame = parse_frame(json.dumps(whole).encode())
    return draft_receipt(frame, PEER, "did:user:u", SETTINGS, is_parsed=True)


def ids() -> Callable[[], str]:
    """Return what makes the same ids each time."""
    numbers = count(1)
    return lambda: f"00000000-0000-7000-8000-{next(numbers):012d}"


def straight(found: dict[str, Any], signer: Any = KEY) -> Any:
    """Issue the short way."""
    moment = timestamp(MOMENT_NS)
    stated = state_straight(chain=LINK, moment=moment, ids=ids(), **found)
    body = with_proof(stated.statement, signer.sign(stated.statement), moment, METHOD)
    return stated.receipt_id, stated.subject, body, stated.hash


@given(MEMBERS)
def test_both_ways_give_the_same_bytes(members: dict[str, Any]) -> None:
    """Whatever the parser lets pass: where the short way may be taken, it changes nothing."""
    try:
        found = draft(**members)
    except FrameRefused:
        return
    if type(found) is not Checked:
        return
    stated: dict[str, Any] = dict(found)
    unsigned = create_receipt(chain=LINK, clock=lambda: MOMENT_NS, ids=ids(), **stated)
    long = seal(unsigned, KeyPair.from_seed(b"s" * 32), METHOD, clock=lambda: MOMENT_NS)
    subject = long.receipt.credentialSubject
    assert straight(found) == (long.receipt.id, subject, long.body, long.hash)


@pytest.mark.parametrize(
    "part", [UnsignedReceipt, CredentialSubject, Action, Outcome, Issuer, Link, PeerCredential]
)
def test_members_are_declared_in_canonical_order(part: type[Fact]) -> None:
    """The encoder here sorts what is in open objects, and nothing else."""
    names = part.__struct_encode_fields__
    assert list(names) == sorted(names)


def test_the_usual_frame_goes_straight() -> None:
    """A frame without secrets and floats is checked; a changed draft of it is no longer."""
    found = draft(input={"path": "/a"}, usage={"input_tokens": 7}, error="no such file")
    assert type(found) is Checked
    assert type({**found}) is dict


@pytest.mark.parametrize("members", [{"usage": {"cost": 0.5}}, {"error": "password=hunter2"}])
def test_others_go_the_long_way(members: dict[str, Any]) -> None:
    """Where redaction changed a text, or a number has two spellings, all is read back."""
    assert type(draft(**members)) is dict


def test_frames_made_by_hand_go_the_long_way() -> None:
    """A typed value is not checked when it is made."""
    frame = parse_frame(
        b'{"v":"1","ts_emit":"2026-11-21T18:50:13Z","session_id":"s","channel":"mcp",'
        b'"tool":{"name":"t"},"decision":"allowed"}'
    )
    assert type(draft_receipt(frame, PEER, "did:user:u", SETTINGS)) is dict


def test_what_makes_no_receipt_is_refused() -> None:
    """Half of a surrogate pair, a text without end, a reserved type, a signer that fails."""

    class Short:
        def sign(self, message: bytes, /) -> bytes:
            return message[:3]

    found = draft()
    broken = {**found, "correlation_id": "\ud800"}
    with pytest.raises(ReceiptError, match="no JSON value"):
        straight(broken)
    with pytest.raises(ReceiptError, match="over the limit"):
        straight({**found, "correlation_id": "x" * (1 << 20)})
    with pytest.raises(SigningError, match="64 bytes"):
        straight(found, Short())
