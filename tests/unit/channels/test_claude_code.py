# SPDX-License-Identifier: Apache-2.0
"""Events of Claude Code become frames that the daemon takes, and say what happened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.hook_payloads import CLAUDE_BASE, CLAUDE_CALL, assistant_line, claude

from tallystick.channels.claude_code import CHANNEL, OTHER_EVENTS, TOOL_EVENTS, frames_of
from tallystick.deliver.frame_members import body_of
from tallystick.model.frame import Frame, parse_frame

SENT = {"ts_emit": "2026-11-20T10:00:00Z", "channel": CHANNEL}


def frame_of(event: dict[str, Any]) -> Frame:
    (members,) = frames_of(event)
    return parse_frame(body_of({**members, **SENT}))


@pytest.mark.parametrize("event", [*TOOL_EVENTS, *OTHER_EVENTS])
def test_every_event_is_a_frame(event: str) -> None:
    """Each event becomes one frame, in the host's session."""
    assert frame_of(claude(event)).session_id == CLAUDE_BASE["session_id"]


def test_attempt_and_outcome_are_tied() -> None:
    """Attempt, success and failure carry the id of the call; only the attempt is pending."""
    before, after, failed = (frame_of(claude(event)) for event in TOOL_EVENTS)
    assert {one.correlation_id for one in (before, after, failed)} == {CLAUDE_CALL}
    assert [one.decision for one in (before, after, failed)] == ["pending", "allowed", "allowed"]
    assert (before.output, before.error, after.error) == (None, None, None)
    assert after.output["stdout"] == "ok"
    assert failed.error == "Exit code 3\nno such target"
    assert before.type == "system.command.execute"


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"error": ""}, "the tool failed"),
        ({"error": None}, "the tool failed"),
        ({"error": {"a": 1}}, "the tool failed"),
        ({"error": " ", "is_interrupt": True}, "interrupted"),
    ],
)
def test_a_failure_without_text_is_a_failure(more: dict[str, Any], error: str) -> None:
    """Whatever the host says of a failure, it never becomes a success."""
    assert frame_of(claude("PostToolUseFailure", **more)).error == error


@pytest.mark.parametrize(
    "response", [{"isError": True, "content": []}, {"stdout": "", "interrupted": True}]
)
def test_a_result_that_says_it_failed(response: dict[str, Any]) -> None:
    """An MCP result with isError, or a command that was interrupted, is no success."""
    assert frame_of(claude("PostToolUse", tool_response=response)).error


def test_mcp_names_are_split() -> None:
    """Server and tool stand apart; the host's own word of the server decides."""
    frame = frame_of(claude("PreToolUse", tool_name="mcp__github__create_issue"))
    assert (frame.tool.server, frame.tool.name) == ("github", "create_issue")
    told = claude("PreToolUse", tool_name="mcp__my__server__run", mcp_server={"name": "my__server"})
    assert (frame_of(told).tool.server, frame_of(told).tool.name) == ("my__server", "run")


def test_sub_agents_are_named() -> None:
    """Tool events of a sub-agent carry its id and kind."""
    frame = frame_of(claude("PostToolUse", agent_id="a1b2c3", agent_type="Explore"))
    assert (frame.agent_id, frame.agent_type) == ("a1b2c3", "Explore")


def test_model_and_usage_come_from_the_transcript(tmp_path: Path) -> None:
    """The line that asked for the call tells model and usage, with the id to count it once."""
    path = tmp_path / "t.jsonl"
    lines = [assistant_line("toolu_other", model="no"), assistant_line(CLAUDE_CALL), {"type": "x"}]
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    frame = frame_of(claude("PostToolUse", transcript_path=str(path)))
    assert (frame.model, frame.capture_method) == ("claude-x-5", "transcript")
    assert frame.usage == {
        "input_tokens": 12,
        "output_tokens": 34,
        "cache_creation_input_tokens": 5,
        "cache_read_input_tokens": 6000,
        "message_id": "msg_1",
    }


def test_sub_agents_have_transcripts_of_their_own(tmp_path: Path) -> None:
    """Their events name the main transcript; what they cost stands in theirs."""
    own = tmp_path / "s" / "subagents" / "agent-a1.jsonl"
    own.parent.mkdir(parents=True)
    own.write_text(json.dumps(assistant_line(CLAUDE_CALL, model="small")) + "\n")
    main = tmp_path / "s.jsonl"
    main.write_text("")
    event = claude("PostToolUse", transcript_path=str(main), agent_id="a1")
    assert frame_of(event).model == "small"


def test_no_transcript_no_model() -> None:
    """A transcript that is not there, or not written yet, is nothing to fail over."""
    frame = frame_of(claude("PostToolUse"))
    assert (frame.model, frame.usage, frame.capture_method) == (None, None, None)


@pytest.mark.parametrize("name", ["Stop", "Notification", "SomethingNew", "", None, 7])
def test_other_events_are_nothing(name: object) -> None:
    """Events that are no action leave no frame: hosts add events as they like."""
    assert frames_of({**claude("PreToolUse"), "hook_event_name": name}) == []


@pytest.mark.parametrize("hostile", [None, 7, [], {}, "", "x" * 300, "a\nb", "a/b", "\ud800"])
@pytest.mark.parametrize(
    "member", ["session_id", "agent_id", "agent_type", "tool_use_id", "tool_name"]
)
def test_odd_members_cost_no_receipt(member: str, hostile: object) -> None:
    """Whatever stands where a name belongs, the frame is one that the daemon takes."""
    (members,) = frames_of(claude("PostToolUse", **{member: hostile}))
    parse_frame(body_of({"session_id": "s", **{k: v for k, v in members.items() if v}, **SENT}))
