# SPDX-License-Identifier: Apache-2.0
"""An inspection without processes: lines in, lines out, frames at a listener."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.frame_listener import FrameListener

from tallystick.channels.approvals import Approvals
from tallystick.channels.mcp_inspection import Inspection
from tallystick.channels.mcp_receipts import Receipts
from tallystick.channels.mcp_session import Policy
from tallystick.channels.rules import Rules
from tallystick.channels.rules_file import read_rules
from tallystick.deliver.daemon import DaemonEmitter
from tallystick.model.frame import Frame
from tallystick.model.redact import Redactor

NOON_NS = 1_795_262_400_000_000_000  # 2026-11-21T12:00:00Z, a Saturday


class Between:
    """What stands between a client and a server, and what came out on each side."""

    def __init__(self, listener: FrameListener, rules: str = "", *, required: bool = False) -> None:
        self.listener = listener
        self.client: list[bytes] = []
        self.server: list[bytes] = []
        self.now_ns = NOON_NS
        redactor = Redactor()
        self.receipts = Receipts(
            lambda: DaemonEmitter(socket_path=listener.path, session_id="s1", channel="mcp"),
            server="echo",
            redactor=redactor,
            required=required,
        )
        self.approvals = Approvals(redactor)
        self.inspection = Inspection(
            Policy(
                server="echo", rules=read_rules(rules.encode()) if rules else Rules(), wait_s=60
            ),
            self.receipts,
            self.approvals,
            to_client=self.client.append,
            to_server=self.server.append,
            clock_ns=lambda: self.now_ns,
        )

    def say(self, *messages: Any) -> None:
        """Let the client say something."""
        self.inspection.from_client([line_of(one) for one in messages])

    def reply(self, *messages: Any) -> None:
        """Let the server say something."""
        self.inspection.from_server([line_of(one) for one in messages])

    def frames(self, count: int) -> list[Frame]:
        """Return what the daemon was told, once it is so much."""
        return self.listener.wait(count)


def line_of(message: Any) -> bytes:
    """Return a message as a line; bytes as they are."""
    return message if isinstance(message, bytes) else json.dumps(message).encode() + b"\n"


def answer(id: Any, **result: Any) -> dict[str, Any]:  # noqa: A002
    """Return an answer."""
    return {"jsonrpc": "2.0", "id": id, "result": result}


@contextmanager
def between(rules: str = "", *, required: bool = False) -> Iterator[Between]:
    """Yield what stands between two sides that nobody else sees."""
    with FrameListener() as listener:
        one = Between(listener, rules, required=required)
        yield one
        one.receipts.close()
