# SPDX-License-Identifier: Apache-2.0
"""Whatever a host puts into an event, the hook makes frames that the daemon takes, or none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.channels import claude_code, codex
from tallystick.deliver.frame_members import body_of
from tallystick.model.frame import parse_frame

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = (
    "session_id", "transcript_path", "tool_name", "tool_input", "tool_response", "tool_use_id",
    "agent_id", "agent_type", "error", "is_interrupt", "model", "source", "reason", "mcp_server",
    "turn_id", "stop_hook_active", "last_assistant_message",
)  # fmt: skip
MCP_NAMES = st.builds("mcp__{}__{}".format, st.text(max_size=300), st.text(max_size=300))


@pytest.mark.parametrize("host", [claude_code, codex])
@given(data=st.data())
def test_any_event(host: Any, data: st.DataObject) -> None:
    """Members of any kind, missing or strange: no exception, and no frame that is refused."""
    events = (*host.TOOL_EVENTS, *host.OTHER_EVENTS, "Stop", "Else")
    event = data.draw(
        st.fixed_dictionaries(
            {"hook_event_name": st.sampled_from(events)},
            optional=dict.fromkeys(MEMBERS, values | MCP_NAMES),
        )
    )
    for frame in host.frames_of(event):
        whole = {
            **frame,
            "session_id": frame.get("session_id") or "unknown",
            "channel": host.CHANNEL,
            "ts_emit": "2026-11-20T10:00:00Z",
        }
        parse_frame(body_of(whole))
