# SPDX-License-Identifier: Apache-2.0
"""Names are split and bounded, targets found, and failures never empty."""

from __future__ import annotations

import json

import pytest

from tallystick.channels.hook_payload import (
    error_of,
    identity_of,
    resource_of,
    says_it_failed,
    text_of,
    tool_of,
    what_it_is,
)
from tallystick.limits import FRAME_IDENTITY_BYTES_MAX, FRAME_TEXT_BYTES_MAX

_NO_FAILURES: list[object] = [{"isError": 0}, {}, [], None, "isError"]


@pytest.mark.parametrize(
    ("name", "tool"),
    [
        ("Bash", {"name": "Bash"}),
        ("mcp__a__b", {"name": "b", "server": "a"}),
        ("mcp__a__b__c", {"name": "b__c", "server": "a"}),
        ("mcp__plugin_x_y__z", {"name": "z", "server": "plugin_x_y"}),
        ("mcp__a", {"name": "mcp__a"}),
        ("mcp__a__", {"name": "mcp__a__"}),
        ("mcp____b", {"name": "mcp____b"}),
        ("", {"name": "unnamed"}),
        (None, {"name": "unnamed"}),
    ],
)
def test_names_are_split(name: object, tool: dict[str, str]) -> None:
    """MCP names have a server and a tool; what has only one of them stays whole."""
    assert tool_of({"tool_name": name}) == tool


def test_an_identity_that_no_frame_takes_is_hashed() -> None:
    """Too long, with control characters, or an agent with a slash: a hash in its place."""
    for name, value in (
        ("x", "a" * 257),
        ("x", "a\x00"),
        ("agent_id", "../root"),
        ("x", "é" * 200),
    ):
        found = identity_of({name: value}, name)
        assert found is not None
        assert found.startswith("sha256:")
        assert len(found) <= FRAME_IDENTITY_BYTES_MAX
    assert identity_of({"x": "a/b"}, "x") == "a/b"


def test_targets() -> None:
    """Files and addresses of the host's own tools are targets; arguments of MCP tools are not."""
    read = {"tool_name": "Read", "tool_input": {"file_path": "/etc/hosts"}}
    assert what_it_is(read) == {
        "tool": {"name": "Read"},
        "action_type": "filesystem.file.read",
        "target_system": "filesystem",
        "target_resource": "/etc/hosts",
    }
    fetch = what_it_is({"tool_name": "WebFetch", "tool_input": {"url": "https://example.com"}})
    assert fetch["target_system"] == "network"
    assert "target_system" not in what_it_is({**read, "tool_name": "mcp__a__read"})
    assert "target_system" not in what_it_is({"tool_name": "Bash", "tool_input": {"command": "ls"}})
    assert "target_system" not in what_it_is({"tool_name": "Read", "tool_input": "text"})
    assert resource_of({"path": "x" * 5000}, "path") is None
    assert resource_of({"path": "a\ud800"}, "path") is None


def test_errors_are_never_empty_and_never_too_long() -> None:
    """An empty error would be a success; one that is too long is cut between characters."""
    assert (
        error_of("", "failed") == error_of(None, "failed") == error_of(" \n", "failed") == "failed"
    )
    assert error_of("why", "failed") == "why"
    assert len(error_of("é" * FRAME_TEXT_BYTES_MAX, "").encode()) <= FRAME_TEXT_BYTES_MAX


@pytest.mark.parametrize(
    ("begin", "one", "size"),
    [
        ("", "x", 1),
        ("x", "\0", 6),
        ("", "\x1b", 6),
        ("", '"', 2),
        ("", "log line" + "\n", 10 / 9),
        ("x", "é\0", 8 / 3),
        ("\0" * 70_000, "x", 12),  # what stands in front is no worse than all of it
    ],
)
def test_errors_fit_into_a_frame_as_json(begin: str, one: str, size: float) -> None:
    """A text of control characters takes six times the bytes there: what has room is left."""
    text = error_of(f"{begin}{one * FRAME_TEXT_BYTES_MAX}", "")
    assert len(json.dumps(text, ensure_ascii=False).encode()) <= FRAME_TEXT_BYTES_MAX + 2
    assert len(text.encode()) > FRAME_TEXT_BYTES_MAX / size - 16


def test_texts_and_results() -> None:
    """Only texts count as text, and what clients take for true as a failure."""
    assert text_of({"a": 7}, "a") is None
    assert text_of({"a": "b"}, "a") == "b"
    assert says_it_failed({"isError": True})
    assert says_it_failed({"isError": "true"})
    assert not [one for one in _NO_FAILURES if says_it_failed(one)]
