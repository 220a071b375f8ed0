# SPDX-License-Identifier: Apache-2.0
"""What Codex tells its hooks, as members of frames.

Codex calls no hook where a tool failed, and counts a shell command that ends with another code
than 0 as done. What came of those stands in its rollout file; it is read at its end, after a call
and when a turn or the session ends.
"""

from __future__ import annotations

from _collections_abc import Mapping

from tallystick.channels.hook_payload import (
    error_of,
    identity_of,
    says_it_failed,
    text_of,
    what_it_is,
)
from tallystick.channels.transcript import last_lines

CHANNEL = "codex"
TOOL_EVENTS = ("PreToolUse", "PostToolUse")
OTHER_EVENTS: Mapping[str, tuple[str, ...]] = {
    "SubagentStart": ("turn_id",),
    "SubagentStop": ("turn_id", "stop_hook_active", "last_assistant_message"),
    "SessionStart": ("source",),
    "SessionEnd": ("reason",),
}
# At the end of a turn nothing is recorded of the turn, only of calls that failed in it.
SETTLING_EVENTS = ("Stop", "SessionEnd")


def frames_of(event: Mapping[str, object]) -> list[dict[str, object]]:
    """Return the frames of one event; none for events that are no action."""
    name = text_of(event, "hook_event_name")
    found: list[dict[str, object]] = []
    if name is None:
        return found
    if name in TOOL_EVENTS:
        found.append(_of_tool(event, name))
    if name in SETTLING_EVENTS:
        found += _failures(event)
    if name in OTHER_EVENTS:
        told = {key: event[key] for key in OTHER_EVENTS[name] if key in event}
        found.append({**_base(event), "tool": {"name": name}, "decision": "allowed", "input": told})
    return found


def _of_tool(event: Mapping[str, object], name: str) -> dict[str, object]:
    frame = {
        **_base(event),
        **what_it_is(event),
        "decision": "pending" if name == "PreToolUse" else "allowed",
        "input": event.get("tool_input"),
        "correlation_id": identity_of(event, "tool_use_id"),
    }
    if name == "PostToolUse":
        response = event.get("tool_response")
        frame["output"] = response
        if says_it_failed(response):
            frame["error"] = "the tool says that it failed"
        else:
            call, path = text_of(event, "tool_use_id"), _rollout(event)
            if call is not None and path is not None:
                for item in _items(path, call.encode("utf-8", "surrogatepass")):
                    if item.get("id") == call:
                        frame["error"] = _fault_of(item)
                        break
    return frame


def _base(event: Mapping[str, object]) -> dict[str, object]:
    return {
        "session_id": identity_of(event, "session_id"),
        "agent_id": identity_of(event, "agent_id"),
        "agent_type": identity_of(event, "agent_type"),
        "model": identity_of(event, "model"),
    }


def _failures(event: Mapping[str, object]) -> list[dict[str, object]]:
    """Return a frame for each call that failed, as the end of the rollout file tells it.

    The hook remembers nothing from one event to the next, so a failure may be told twice, and once
    more at the end of the session: the receipts carry one idempotency key.
    """
    path, session = _rollout(event), identity_of(event, "session_id")
    found: list[dict[str, object]] = []
    if path is None or session is None:
        return found
    for item in _items(path, b'"payload"', turn=text_of(event, "turn_id")):
        fault, call = _fault_of(item), identity_of(item, "id")
        if fault is None or call is None:
            continue
        server, tool = identity_of(item, "server"), identity_of(item, "tool")
        named = {"name": tool, "server": server} if tool and server else {"name": "Bash"}
        found.append(
            {
                **_base(event),
                "tool": named,
                "decision": "allowed",
                "error": fault,
                "correlation_id": call,
                "capture_method": "transcript",
                "idempotency_key": identity_of({"key": f"codex:{call}:failed"}, "key"),
            }
        )
    return found[::-1]


def _items(path: str, needle: bytes, turn: str | None = None) -> list[dict[str, object]]:
    """Return the items of lines that hold these bytes, the last first.

    Given a turn, those since the turn before it began: older ones were told when these ended.
    """
    found = []
    for line in last_lines(path, needle):
        payload = line.get("payload")
        if type(payload) is not dict:
            continue
        if turn is not None and line.get("type") == "turn_context":
            named = text_of(payload, "turn_id")
            if named is not None and named != turn:
                break
        if payload.get("type") == "item_completed":
            item = payload.get("item")
            if type(item) is dict:
                found.append(item)
    return found


def _fault_of(item: Mapping[str, object]) -> str | None:
    code = item.get("exit_code")
    if type(code) is int and code != 0:
        return f"exit code {code}"
    if says_it_failed(item.get("result")):
        return "the tool says that it failed"
    if item.get("status") in ("failed", "declined", "error"):
        return error_of(item.get("error"), f"the host says that it {item['status']}")
    return None


def _rollout(event: Mapping[str, object]) -> str | None:
    path = text_of(event, "transcript_path")
    return path if path is not None and path.startswith("/") else None
