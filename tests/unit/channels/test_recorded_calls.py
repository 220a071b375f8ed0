# SPDX-License-Identifier: Apache-2.0
"""Calls as they were recorded."""

from __future__ import annotations

import pytest

from tallystick.channels.recorded_calls import read_calls
from tallystick.errors import LimitError, MessageRefused
from tallystick.limits import RECORDED_CALLS_BYTES_MAX


def test_both_forms() -> None:
    """Messages of clients, and tools with their arguments; other messages are passed over."""
    data = (
        b'{"tool":"a","arguments":{"x":1}}\n\n{"jsonrpc":"2.0","id":1,"method":"ping"}\n'
        b'{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"b"}}\n'
        b'{"jsonrpc":"2.0","method":"notifications/x"}\n{"jsonrpc":"2.0","id":2,"result":{}}\n'
        b'[{"jsonrpc":"2.0","id":3,"method":"prompts/get","params":{"name":"p"}}]'
    )
    assert [one.tool for one in read_calls(data, "s")] == ["a", "b", "prompts/get"]


@pytest.mark.parametrize("line", [b"x", b'{"tool":5}', b'{"tool":"a","tool":"b"}', b'{"a":1}'])
def test_what_is_refused(line: bytes) -> None:
    """As the proxy would refuse it, with the number of its line."""
    with pytest.raises(MessageRefused, match="line 2"):
        list(read_calls(b"\n" + line, "s"))


def test_a_member_that_is_misspelt() -> None:
    """Both forms are named to who wrote neither."""
    with pytest.raises(MessageRefused, match=r'line 1: neither a message nor \{"tool": '):
        list(read_calls(b'{"tol": "read_file"}', "s"))


def test_the_bound() -> None:
    """A file has a limit."""
    with pytest.raises(LimitError):
        list(read_calls(b"\n" * (RECORDED_CALLS_BYTES_MAX + 1), "s"))
