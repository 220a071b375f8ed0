# SPDX-License-Identifier: Apache-2.0
"""What hosts write to the standard input of their hooks, in the shapes that were recorded of them.

Claude Code 2.1 and Codex 0.169; names, paths and texts are made up.
"""

from __future__ import annotations

from typing import Any

CLAUDE_BASE: dict[str, Any] = {
    "session_id": "0b0a7f3e-5f9e-4a52-8e0e-2f6c1f0a9d11",
    "transcript_path": "/home/me/.claude/projects/-home-me-shop/0b0a7f3e.jsonl",
    "cwd": "/home/me/shop",
    "permission_mode": "default",
}
CLAUDE_CALL = "toolu_01A2b3C4d5E6f7G8h9J0kLmN"


def claude(event: str, **more: Any) -> dict[str, Any]:
    """Return a payload of Claude Code."""
    own: dict[str, dict[str, Any]] = {
        "PreToolUse": {
            "tool_name": "Bash",
            "tool_input": {"command": "make test", "description": "run the tests"},
            "tool_use_id": CLAUDE_CALL,
        },
        "PostToolUse": {
            "tool_name": "Bash",
            "tool_input": {"command": "make test", "description": "run the tests"},
            "tool_response": {
                "stdout": "ok",
                "stderr": "",
                "interrupted": False,
                "isImage": False,
                "noOutputExpected": False,
            },
            "tool_use_id": CLAUDE_CALL,
            "duration_ms": 812,
        },
        "PostToolUseFailure": {
            "tool_name": "Bash",
            "tool_input": {"command": "false"},
            "tool_use_id": CLAUDE_CALL,
            "error": "Exit code 3\nno such target",
            "is_interrupt": False,
        },
        "SubagentStart": {"agent_id": "a1b2c3", "agent_type": "Explore"},
        "SubagentStop": {
            "agent_id": "a1b2c3",
            "agent_type": "Explore",
            "stop_hook_active": False,
            "agent_transcript_path": "/home/me/.claude/projects/x/subagents/agent-a1b2c3.jsonl",
            "last_assistant_message": "done",
        },
        "SessionStart": {"source": "startup", "model": "claude-x-5"},
        "SessionEnd": {"reason": "other"},
    }
    return {**CLAUDE_BASE, "hook_event_name": event, **own.get(event, {}), **more}


CODEX_BASE: dict[str, Any] = {
    "session_id": "019a8c7e-1111-7222-8333-444455556666",
    "turn_id": "3",
    "transcript_path": None,
    "cwd": "/home/me/shop",
    "model": "gpt-y",
    "permission_mode": "default",
}
CODEX_CALL = "call_9sYk2"


def codex(event: str, **more: Any) -> dict[str, Any]:
    """Return a payload of Codex."""
    own: dict[str, dict[str, Any]] = {
        "PreToolUse": {
            "tool_name": "Bash",
            "tool_input": {"command": "make test"},
            "tool_use_id": CODEX_CALL,
        },
        "PostToolUse": {
            "tool_name": "Bash",
            "tool_input": {"command": "make test"},
            "tool_response": "ok\n",
            "tool_use_id": CODEX_CALL,
        },
        "Stop": {"stop_hook_active": False, "last_assistant_message": None},
        "SubagentStart": {"agent_id": "w1", "agent_type": "worker"},
        "SubagentStop": {"agent_id": "w1", "agent_type": "worker", "stop_hook_active": False},
        "SessionStart": {"source": "startup"},
        "SessionEnd": {"reason": "other"},
    }
    return {**CODEX_BASE, "hook_event_name": event, **own.get(event, {}), **more}


def assistant_line(
    call: str, *, message: str = "msg_1", model: str = "claude-x-5"
) -> dict[str, Any]:
    """Return the line of Claude Code's transcript that asks for a call."""
    return {
        "type": "assistant",
        "sessionId": CLAUDE_BASE["session_id"],
        "message": {
            "id": message,
            "model": model,
            "role": "assistant",
            "content": [{"type": "tool_use", "id": call, "name": "Bash", "input": {}}],
            "usage": {
                "input_tokens": 12,
                "output_tokens": 34,
                "cache_creation_input_tokens": 5,
                "cache_read_input_tokens": 6000,
                "service_tier": "standard",
            },
        },
    }


def rollout_line(call: str, **item: Any) -> dict[str, Any]:
    """Return the line of Codex's rollout file that tells what came of a call."""
    return {
        "timestamp": "2026-11-20T10:00:00.000Z",
        "ordinal": 7,
        "type": "event_msg",
        "payload": {"type": "item_completed", "item": {"id": call, **item}},
    }
