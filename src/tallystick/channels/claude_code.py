# SPDX-License-Identifier: Apache-2.0
"""What Claude Code tells its hooks, as members of frames."""

from __future__ import annotations

from _collections_abc import Mapping

from tallystick.channels.hook_payload import (
    error_of,
    identity_of,
    says_it_failed,
    text_of,
    what_it_is,
)
from tallystick.channels.transcript import counts_of, last_lines

CHANNEL = "claude-code"
# Events, and what the host is to call at each of them.
TOOL_EVENTS = ("PreToolUse", "PostToolUse", "PostToolUseFailure")
OTHER_EVENTS: Mapping[str, tuple[str, ...]] = {
    "SubagentStart": (),
    "SubagentStop": ("stop_hook_active", "last_assistant_message"),
    "SessionStart": ("source",),
    "SessionEnd": ("reason",),
}


def frames_of(event: Mapping[str, object]) -> list[dict[str, object]]:
    """Return the frame of one event; none for events that are no action."""
    name = text_of(event, "hook_event_name")
    if name is None:
        return []
    if name in TOOL_EVENTS:
        return [_of_tool(event, name)]
    if name in OTHER_EVENTS:
        told = {key: event[key] for key in OTHER_EVENTS[name] if key in event}
        return [
            {
                **_base(event),
                "tool": {"name": name},
                "decision": "allowed",
                "input": told,
                "model": identity_of(event, "model"),
            }
        ]
    return []


def _of_tool(event: Mapping[str, object], name: str) -> dict[str, object]:
    call = text_of(event, "tool_use_id")
    frame = {
        **_base(event),
        **what_it_is(event),
        "decision": "pending" if name == "PreToolUse" else "allowed",
        "input": event.get("tool_input"),
        "correlation_id": identity_of(event, "tool_use_id"),
    }
    if call is not None:
        frame |= _cost_of(event, call)
    if name == "PostToolUse":
        response = event.get("tool_response")
        frame["output"] = response
        if says_it_failed(response):
            frame["error"] = "the tool says that it failed"
        elif type(response) is dict and response.get("interrupted") is True:
            frame["error"] = "interrupted"
    elif name == "PostToolUseFailure":
        is_interrupt = event.get("is_interrupt") is True
        frame["error"] = error_of(
            event.get("error"), "interrupted" if is_interrupt else "the tool failed"
        )
    return frame


def _base(event: Mapping[str, object]) -> dict[str, object]:
    return {
        "session_id": identity_of(event, "session_id"),
        "agent_id": identity_of(event, "agent_id"),
        "agent_type": identity_of(event, "agent_type"),
    }


def _cost_of(event: Mapping[str, object], call: str) -> dict[str, object]:
    """Return model and usage of the message that asked for a call, where it is written already."""
    for path in _transcripts(event):
        for line in last_lines(path, call.encode("utf-8", "surrogatepass")):
            message = line.get("message")
            if line.get("type") != "assistant" or type(message) is not dict:
                continue
            content = message.get("content")
            if type(content) is not list or not any(
                type(one) is dict and one.get("type") == "tool_use" and one.get("id") == call
                for one in content
            ):
                continue
            usage = counts_of(message.get("usage"))
            asked = identity_of(message, "id")
            if usage is not None and asked is not None:
                # Calls of one message repeat its usage: by the id they are counted once.
                usage["message_id"] = asked
            model = identity_of(message, "model")
            if model is None and usage is None:
                return {}
            return {"model": model, "usage": usage, "capture_method": "transcript"}
    return {}


def _transcripts(event: Mapping[str, object]) -> list[str]:
    """Return where the call may be written down: events of sub-agents name the main transcript."""
    path = text_of(event, "transcript_path")
    if path is None or not path.startswith("/"):
        return []
    agent = text_of(event, "agent_id")
    if agent is None or "/" in agent:
        return [path]
    return [f"{path.removesuffix('.jsonl')}/subagents/agent-{agent}.jsonl", path]
