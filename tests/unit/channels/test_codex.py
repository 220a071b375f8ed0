# SPDX-License-Identifier: Apache-2.0
"""Events of Codex become frames; what Codex tells no hook is read from its rollout file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.hook_payloads import CODEX_CALL, codex, rollout_line

from tallystick.channels.codex import CHANNEL, OTHER_EVENTS, TOOL_EVENTS, frames_of
from tallystick.deliver.frame_members import body_of
from tallystick.model.frame import Frame, parse_frame

SENT = {"ts_emit": "2026-11-20T10:00:00Z", "channel": CHANNEL}


def all_of(event: dict[str, Any]) -> list[Frame]:
    return [parse_frame(body_of({**one, **SENT})) for one in frames_of(event)]


def rollout(tmp_path: Path, *lines: dict[str, Any]) -> str:
    path = tmp_path / "rollout.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return str(path)


@pytest.mark.parametrize("event", [*TOOL_EVENTS, *OTHER_EVENTS])
def test_every_event_is_a_frame(event: str) -> None:
    """Each event becomes one frame with session and, where Codex says it, model."""
    (frame,) = all_of(codex(event))
    assert frame.session_id == codex(event)["session_id"]
    assert frame.model == "gpt-y"


def test_attempt_and_outcome_are_tied() -> None:
    """Attempt and outcome carry the id of the call."""
    before, after = (all_of(codex(event))[0] for event in TOOL_EVENTS)
    assert before.correlation_id == after.correlation_id == CODEX_CALL
    assert (before.decision, after.decision, after.error) == ("pending", "allowed", None)


def test_an_exit_code_is_found(tmp_path: Path) -> None:
    """A command that ended with a code is a failure, though the hook is told of a success."""
    path = rollout(
        tmp_path, rollout_line("other", exit_code=0), rollout_line(CODEX_CALL, exit_code=3)
    )
    (frame,) = all_of(codex("PostToolUse", transcript_path=path))
    assert frame.error == "exit code 3"


def test_what_no_hook_was_told(tmp_path: Path) -> None:
    """At the end of a turn, calls that failed are told: each once, by one key, in their order."""
    path = rollout(
        tmp_path,
        rollout_line("a", type="CommandExecution", exit_code=1, status="failed"),
        rollout_line("b", type="CommandExecution", exit_code=0, status="completed"),
        rollout_line("c", type="McpToolCall", server="demo", tool="add", result={"isError": True}),
        rollout_line("d", type="McpToolCall", server="demo", tool="add", status="failed"),
    )
    found = all_of(codex("Stop", transcript_path=path))
    assert [one.correlation_id for one in found] == ["a", "c", "d"]
    assert all(one.error and one.decision == "allowed" for one in found)
    assert (found[1].tool.server, found[1].tool.name) == ("demo", "add")
    again = all_of(codex("SessionEnd", transcript_path=path))
    assert [one.idempotency_key for one in again[:3]] == [one.idempotency_key for one in found]
    assert again[3].tool.name == "SessionEnd"


def test_failures_of_earlier_turns_are_not_told_again(tmp_path: Path) -> None:
    """A turn tells its own and what came late of the last: not what every turn before it told."""
    turns = [
        line
        for number in range(1, 5)
        for line in (
            {"type": "turn_context", "payload": {"turn_id": f"turn-{number}"}},
            rollout_line(f"call-{number}", type="CommandExecution", exit_code=1),
        )
    ]
    path = rollout(tmp_path, *turns)
    found = all_of(codex("Stop", transcript_path=path, turn_id="turn-4"))
    assert [one.correlation_id for one in found] == ["call-3", "call-4"]
    found = all_of(codex("SessionEnd", transcript_path=path, turn_id=None))
    assert len(found) == 5


def test_a_long_id_of_a_call_costs_no_receipt(tmp_path: Path) -> None:
    """The key that is made of an id is no longer than a frame takes, in bytes."""
    call = "é" * 128
    path = rollout(tmp_path, rollout_line(call, type="CommandExecution", exit_code=1))
    (frame,) = all_of(codex("Stop", transcript_path=path))
    assert frame.correlation_id == call
    assert str(frame.idempotency_key).startswith("sha256:")


def test_mcp_results_may_say_that_they_failed() -> None:
    """A result with isError is a failure."""
    (frame,) = all_of(
        codex("PostToolUse", tool_name="mcp__demo__add", tool_response={"isError": True})
    )
    assert (frame.tool.server, frame.error is not None) == ("demo", True)


@pytest.mark.parametrize("event", ["Stop", "Interrupt", "UserPromptSubmit", "", None])
def test_other_events_are_nothing(event: str | None) -> None:
    """Without a rollout file, the end of a turn and other events leave no frame."""
    assert frames_of({**codex("Stop"), "hook_event_name": event}) == []
