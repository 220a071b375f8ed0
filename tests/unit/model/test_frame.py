# SPDX-License-Identifier: Apache-2.0
"""The frame: what emitters in the field send is read, what two parsers may read apart is not."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.errors import FrameRefused
from tallystick.limits import FRAME_BYTES_MAX, FRAME_USAGE_BYTES_MAX
from tallystick.model.frame import (
    FRAME_CODES,
    Acknowledgement,
    Frame,
    Refusal,
    encode_acknowledgement,
    parse_frame,
)
from tallystick.model.framing import encode_frame, read_answer

LEAST: dict[str, Any] = {
    "v": "1",
    "ts_emit": "2026-11-21T18:50:13.123456Z",
    "session_id": "5b0c1b52-6e0f-4f5e-9c56-4f2a8a1d2c11",
    "channel": "mcp",
    "tool": {"server": "github", "name": "list_issues"},
    "decision": "allowed",
}
FULL: dict[str, Any] = {
    **LEAST,
    "ack": True,
    "action_type": "data.api.read",
    "agent_id": "agent-1",
    "agent_type": "reviewer",
    "capture_method": "transcript",
    "correlation_id": "toolu_01",
    "drop_count": 3,
    "error": "it failed\nbadly",
    "idempotency_key": "7",
    "input": {"owner": "octo", "deep": [1, 2.5, None, {"a": True}]},
    "issuer_model": "model-1",
    "issuer_name": "claude-code",
    "late": True,
    "model": "model-2",
    "operator_id": "did:org:acme",
    "operator_name": "Acme",
    "output": {"total": 2},
    "prompt_preview": "please list",
    "rule": {"name": "r", "action": "pause", "approver": "ada", "reason": "fine"},
    "target_resource": "octo/hello",
    "target_system": "github",
    "usage": {"input_tokens": 5},
}


def compact(members: dict[str, Any]) -> bytes:
    """Return JSON as most emitters write it."""
    return json.dumps(members, separators=(",", ":"), ensure_ascii=False).encode()


def refusal(data: bytes) -> FrameRefused:
    """Return the refusal of a body that must be refused."""
    with pytest.raises(FrameRefused) as caught:
        parse_frame(data)
    assert caught.value.code in FRAME_CODES
    return caught.value


def test_the_least_frame_is_read() -> None:
    """Six members make a frame; all others are absent."""
    frame = parse_frame(compact(LEAST))
    assert (frame.channel, frame.tool.name, frame.tool.server) == ("mcp", "list_issues", "github")
    assert frame.input is frame.output is frame.usage is frame.error is None
    assert (frame.ack, frame.late, frame.drop_count) == (False, False, 0)


def test_every_member_is_read() -> None:
    """Each member of the frame arrives as it was sent, whichever way it was spelled."""
    assert FULL.keys() == set(Frame.__struct_fields__)
    frame = parse_frame(compact(FULL))
    assert parse_frame(json.dumps(FULL, indent=2).encode()) == frame
    for name in FULL.keys() - {"tool", "rule"}:
        assert getattr(frame, name) == FULL[name]
    assert frame.rule is not None
    assert (frame.rule.action, frame.rule.approver) == ("pause", "ada")


def test_unknown_members_are_passed_over() -> None:
    """A newer emitter may say more, at each level."""
    more = {**LEAST, "newer": {"x": 1}, "tool": {"name": "x", "version": "2"}, "rule": {"id": 4}}
    assert parse_frame(compact(more)).tool.name == "x"


@pytest.mark.parametrize("name", sorted(FULL.keys() - LEAST.keys()))
def test_null_means_absent(name: str) -> None:
    """An optional member that is null is as good as not there."""
    assert parse_frame(compact({**LEAST, name: None})) == parse_frame(compact(LEAST))


@pytest.mark.parametrize(
    "name", ["action_type", "agent_id", "error", "issuer_model", "operator_id", "usage"]
)
def test_empty_texts_mean_absent(name: str) -> None:
    """Emitters that write empty texts mean the same as those that write nothing."""
    empty = parse_frame(compact({**LEAST, name: "", "tool": {"name": "t", "server": ""}}))
    assert getattr(empty, name) == ("" if name == "usage" else None)
    assert empty.type == "mcp.t"


@pytest.mark.parametrize("name", ["v", "ts_emit", "session_id", "channel", "tool", "decision"])
@pytest.mark.parametrize("value", [None, "", "absent"])
def test_required_members_are_required(name: str, value: str | None) -> None:
    """Without one of the six there is no frame, also where it is null or empty."""
    members = {**LEAST, name: value}
    if value == "absent":
        del members[name]
    fault = refusal(compact(members))
    assert (fault.code, fault.where) in {
        ("FRAME_MISSING", f"/{name}"),
        ("FRAME_VERSION", "/v"),
    }


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("members", "code", "where"),
    [
        ({"v": "2"}, "FRAME_VERSION", "/v"),
        ({"v": 1}, "FRAME_TYPE", "/v"),
        ({"decision": "maybe"}, "FRAME_VALUE", "/decision"),
        ({"decision": True}, "FRAME_TYPE", "/decision"),
        ({"ts_emit": "yesterday"}, "FRAME_VALUE", "/ts_emit"),
        ({"ts_emit": "2026-02-30T00:00:00Z"}, "FRAME_VALUE", "/ts_emit"),
        ({"session_id": 7}, "FRAME_TYPE", "/session_id"),
        ({"session_id": "x" * 257}, "FRAME_LENGTH", "/session_id"),
        ({"session_id": "é" * 129}, "FRAME_LENGTH", "/session_id"),
        ({"channel": "a\u001b[31m"}, "FRAME_CHARACTER", "/channel"),
        ({"channel": "a\u007f"}, "FRAME_CHARACTER", "/channel"),
        ({"tool": "Bash"}, "FRAME_TYPE", "/tool"),
        ({"tool": {"name": ""}}, "FRAME_MISSING", "/tool/name"),
        ({"tool": {"server": "x"}}, "FRAME_MISSING", "/tool/name"),
        ({"tool": {"name": 1}}, "FRAME_TYPE", "/tool/name"),
        ({"tool": {"name": "x" * 300_000}}, "FRAME_LENGTH", "/tool/name"),
        ({"tool": {"name": "\u0000"}}, "FRAME_CHARACTER", "/tool/name"),
        ({"ack": "true"}, "FRAME_TYPE", "/ack"),
        ({"late": 1}, "FRAME_TYPE", "/late"),
        ({"drop_count": -1}, "FRAME_VALUE", "/drop_count"),
        ({"drop_count": 1.5}, "FRAME_TYPE", "/drop_count"),
        ({"drop_count": True}, "FRAME_TYPE", "/drop_count"),
        ({"drop_count": 2**53}, "FRAME_TYPE", "/drop_count"),
        ({"agent_id": "a/b"}, "FRAME_VALUE", "/agent_id"),
        ({"agent_id": "a\u0000b"}, "FRAME_CHARACTER", "/agent_id"),
        ({"error": {"text": "x"}}, "FRAME_TYPE", "/error"),
        ({"target_system": "fs"}, "FRAME_MISSING", "/target_system"),
        ({"target_resource": "/x"}, "FRAME_MISSING", "/target_system"),
        ({"target_system": "fs", "target_resource": "x" * 4097}, "FRAME_LENGTH", None),
        ({"operator_name": "Acme"}, "FRAME_MISSING", "/operator_id"),
        ({"rule": "r"}, "FRAME_TYPE", "/rule"),
        ({"rule": {"name": 1}}, "FRAME_TYPE", "/rule/name"),
        ({"rule": {"reason": "x" * 5000}}, "FRAME_LENGTH", "/rule/reason"),
        ({"usage": {"x": "y" * FRAME_USAGE_BYTES_MAX}}, "FRAME_LENGTH", "/usage"),
        ({"usage": _nested(17)}, "FRAME_DEPTH", "/usage"),
        ({"input": _nested(70)}, "FRAME_DEPTH", ""),
        ({"input": [0] * 70_000}, "FRAME_SIZE", ""),
        ({"action_type": "agent_receipts.chain_interrupted"}, "FRAME_RESERVED_TYPE", None),
        ({"action_type": "Agent.Key.Rotate"}, "FRAME_RESERVED_TYPE", "/action_type"),
        (
            {"channel": "agent_receipts", "tool": {"name": "events_dropped"}},
            "FRAME_RESERVED_TYPE",
            None,
        ),
        (
            {"channel": "agent", "tool": {"server": "key", "name": "rotate"}},
            "FRAME_RESERVED_TYPE",
            None,
        ),
        ({"DECISION": "denied"}, "FRAME_CASE_VARIANT", "/decision"),
        ({"Agent_Id": "other"}, "FRAME_CASE_VARIANT", "/agent_id"),
        ({"ſession_id": "long s"}, "FRAME_CASE_VARIANT", "/session_id"),
        ({"tool": {"name": "x", "NAME": "y"}}, "FRAME_CASE_VARIANT", "/tool/name"),
        ({"rule": {"Approver": "y"}}, "FRAME_CASE_VARIANT", "/rule/approver"),
    ],
)
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_wrong_members_are_refused(
    members: dict[str, Any], code: str, where: str | None, separators: tuple[str, str]
) -> None:
    """Each fault has its code and its place, on the quick way and on the strict one."""
    fault = refusal(json.dumps({**LEAST, **members}, separators=separators).encode())
    assert fault.code == code
    assert where is None or fault.where == where


@pytest.mark.parametrize(
    ("tail", "code"),
    [
        (b',"decision":"denied"}', "FRAME_DUPLICATE_KEY"),
        (b',"input":{"a":1,"a":2}}', "FRAME_DUPLICATE_KEY"),
        (b',"input":[[{"a":{"b":1,"b":1}}]]}', "FRAME_DUPLICATE_KEY"),
        (b',"newer":{"a":1,"\\u0061":2}}', "FRAME_DUPLICATE_KEY"),
        (b',"input":9007199254740993}', "FRAME_NUMBER"),
        (b',"input":1e400}', "FRAME_NUMBER"),
        (b',"input":0.1000000000000000055511151231257827}', "FRAME_NUMBER"),
        (b',"input":NaN}', "FRAME_NUMBER"),
        (b',"input":"\\ud800"}', "FRAME_SURROGATE"),
        (b',"input":"\xff"}', "FRAME_ENCODING"),
        (b"} {}", "FRAME_TRAILING_DATA"),
        (b"", "FRAME_JSON"),
        (b',"input":}', "FRAME_JSON"),
    ],
)
def test_bytes_that_parsers_read_apart_are_refused(tail: bytes, code: str) -> None:
    """Keys twice, numbers that change, halves of pairs, and what is no JSON at all."""
    assert refusal(compact(LEAST)[:-1] + tail).code == code


def test_a_refusal_quotes_nothing() -> None:
    """A secret in a frame that is refused comes back in no message."""
    for body in (
        b'{"hunter2":1,"hunter2":2}',
        compact({**LEAST, "decision": "hunter2"}),
        compact({**LEAST, "session_id": "hunter2\n"}),
        compact(LEAST)[:-1] + b',"input":1e999}',
    ):
        text = str(refusal(body))
        assert "hunter2" not in text
        assert "999" not in text


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"null", b"1", b"\xef\xbb\xbf{}", b""])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    """A frame is one object and nothing else."""
    assert refusal(body).code in {"FRAME_TYPE", "FRAME_ENCODING", "FRAME_JSON"}


def test_the_size_is_bounded() -> None:
    """A frame of exactly the limit is read, a byte more is refused before it is parsed."""
    body = compact({**LEAST, "input": ""})
    full = compact({**LEAST, "input": "x" * (FRAME_BYTES_MAX - len(body))})
    assert len(full) == FRAME_BYTES_MAX
    assert parse_frame(full).decision == "allowed"
    assert refusal(full + b" ").code == "FRAME_SIZE"


def test_free_text_may_hold_anything() -> None:
    """Errors, prompts and targets are kept with their line feeds; names are not."""
    text = "line\n\u001b[31mred\u0000"
    frame = parse_frame(
        compact({**LEAST, "error": text, "target_system": "fs", "target_resource": text})
    )
    assert frame.error == frame.target_resource == text


def test_the_type_without_a_claim_is_made_of_the_names() -> None:
    """`channel.server.name`, or `channel.name` without a server, as other daemons write it."""
    assert parse_frame(compact(LEAST)).type == "mcp.github.list_issues"
    bare = {**LEAST, "channel": "claude-code", "tool": {"name": "Bash"}}
    assert parse_frame(compact(bare)).type == "claude-code.Bash"
    assert parse_frame(compact(FULL)).type == "data.api.read"


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(json_values)
def test_both_ways_read_the_same(value: Any) -> None:
    """The quick way and the strict one agree on every payload, or refuse it alike."""
    members = {**LEAST, "input": value}
    assert _read(compact(members)) == _read(json.dumps(members).encode())


def _read(body: bytes) -> Frame | str:
    try:
        return parse_frame(body)
    except FrameRefused as fault:
        return fault.code


def test_what_an_emitter_encodes_is_read() -> None:
    """The emitter's encoder and this parser are each other's inverse."""
    frame = parse_frame(encode_frame({**FULL, "error": None, "input": {"text": "ä\u2028\\"}}))
    assert frame.error is None
    assert frame.input == {"text": "ä\u2028\\"}


def test_acknowledgements_are_read_by_emitters() -> None:
    """Both answers have the members that an emitter looks for, and no others."""
    done = Acknowledgement(id="urn:receipt:1", chain_id="2026-11-21", sequence=4, hash="sha256:00")
    assert read_answer(encode_acknowledgement(done)) == {
        "ok": True,
        "id": "urn:receipt:1",
        "chain_id": "2026-11-21",
        "sequence": 4,
        "hash": "sha256:00",
    }
    no = Refusal(code="FRAME_TYPE", message="is not text")
    assert read_answer(encode_acknowledgement(no)) == {
        "ok": False,
        "code": "FRAME_TYPE",
        "message": "is not text",
    }


def test_a_usual_frame_is_quick() -> None:
    """500 bytes take some ten microseconds; 20 times that is a change for the worse."""
    body = compact(FULL)
    best = 1.0
    for _ in range(20):
        start = time.perf_counter()
        for _ in range(50):
            parse_frame(body)
        best = min(best, (time.perf_counter() - start) / 50)
    assert best < 400e-6
