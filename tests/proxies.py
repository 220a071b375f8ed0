# SPDX-License-Identifier: Apache-2.0
"""A proxy as a process, spoken to in lines, and servers of a few lines to put behind it."""

from __future__ import annotations

import fcntl
import json
import os
import queue
import subprocess
import sys
import termios
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from tests.command import environment, process
from tests.daemons import DaemonHome

PATIENCE_S = 60.0

# Answers each request with what it was given; some tools do something else.
ECHO = r"""
import json, os, signal, sys, time
log = open(sys.argv[1], "ab", 0) if len(sys.argv) > 1 else None
for line in sys.stdin.buffer:
    if log: log.write(line)
    try:
        messages = json.loads(line)
    except ValueError:
        continue
    for message in messages if isinstance(messages, list) else [messages]:
        if "id" not in message or "method" not in message:
            continue
        params = message.get("params") or {}
        name = params.get("name")
        if name == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if name == "exit":
            sys.exit(3)
        if name == "hang":
            continue
        if name == "raw":
            sys.stdout.buffer.write(params["arguments"]["line"].encode() + b"\n")
            sys.stdout.buffer.flush()
            continue
        result = {"content": [{"type": "text", "text": json.dumps(params.get("arguments"))}]}
        if name == "big":
            result["content"][0]["text"] = "x" * params["arguments"]["size"]
        if name == "isError":
            result["isError"] = True
        answer = {"jsonrpc": "2.0", "id": message["id"], "result": result}
        if name == "error":
            answer = {"jsonrpc": "2.0", "id": message["id"], "error": {"code": -1, "message": "no"}}
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
        sys.stdout.buffer.flush()
"""


def echo(log: Path | None = None) -> list[str]:
    """Return the command of the echo server, which writes to a file what it was sent."""
    return [sys.executable, "-c", ECHO, *([str(log)] if log is not None else [])]


def call(id: Any, name: Any, arguments: Any = None, **params: Any) -> dict[str, Any]:  # noqa: A002
    """Return a tool's call."""
    given = {"name": name, "arguments": {} if arguments is None else arguments, **params}
    return {"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": given}


class Proxy:
    """One `tally mcp run`, with this process as its client."""

    def __init__(
        self,
        home: DaemonHome | None,
        *options: str,
        server: list[str] | None = None,
        log: Path | None = None,
        socket: str | None = None,
        folder: Path | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        where = folder or (home.folder if home is not None else None)
        assert where is not None
        self.approvals = where / "approvals"
        given = {
            "AGENTRECEIPTS_SOCKET": socket or (home.socket if home is not None else ""),
            "TALLY_SPOOL": str(where / "spool"),
            "TALLY_APPROVALS": str(self.approvals),
            **(variables or {}),
        }
        self.process = subprocess.Popen(
            process("mcp", "run", "--name", "echo", *options, "--", *(server or echo(log))),
            env=environment(**given),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._lines: queue.Queue[bytes] = queue.Queue()
        self.said = b""
        for work in (self._read, self._hear):
            threading.Thread(target=work, daemon=True).start()

    def send(self, *messages: Any) -> None:
        """Send messages, or bytes as they are."""
        assert self.process.stdin is not None
        for one in messages:
            data = one if isinstance(one, bytes) else json.dumps(one).encode() + b"\n"
            self.process.stdin.write(data)
        self.process.stdin.flush()

    def line(self) -> bytes:
        """Return the next line that the client is sent."""
        return self._lines.get(timeout=PATIENCE_S)

    def answer(self) -> Any:
        """Return the next message that the client is sent."""
        return json.loads(self.line())

    def ask(self, *messages: Any) -> Any:
        """Send messages, and return the next answer."""
        self.send(*messages)
        return self.answer()

    def is_silent(self) -> bool:
        """Whether nothing is waiting to be read."""
        return self._lines.empty()

    def is_at_rest(self) -> bool:
        """Whether it has read all that it was sent, and none of its threads has anything to do.

        Each slept when it was looked at first and has not run since: so all did at the same time.
        """
        assert self.process.stdin is not None
        unread = fcntl.ioctl(self.process.stdin.fileno(), termios.FIONREAD, bytes(4))
        before = self._asleep()
        return not any(unread) and None not in before.values() and before == self._asleep()

    def _asleep(self) -> dict[str, int | None]:
        """Return how often each thread has gone to sleep, or None where it is awake."""
        told: dict[str, int | None] = {}
        for one in Path(f"/proc/{self.process.pid}/task").iterdir():
            try:
                status = (one / "status").read_text()
            except OSError:
                status = ""  # it has just ended
            times = status.rpartition("\nvoluntary_ctxt_switches:")[2].split("\n")[0]
            told[one.name] = int(times) if "State:\tS" in status else None
        return told

    def end(self) -> int:
        """Say no more; return the exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def children(self) -> list[int]:
        """Return the ids of its child processes."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(one) for one in path.read_text().split()]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE_S)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream is not None
            try:
                stream.close()
            except (OSError, ValueError):
                pass

    def _read(self) -> None:
        assert self.process.stdout is not None
        try:
            for line in self.process.stdout:
                self._lines.put(line)
        except (OSError, ValueError):
            pass

    def _hear(self) -> None:
        assert self.process.stderr is not None
        try:
            while data := os.read(self.process.stderr.fileno(), 1 << 16):
                self.said += data
        except (OSError, ValueError):
            pass


def told(receipt: dict[str, Any]) -> tuple[str, str, str]:
    """Return tool, decision and status of a receipt."""
    subject = receipt["credentialSubject"]
    return (
        subject["action"].get("tool_name", subject["action"]["type"]),
        receipt["issuer"].get("runtime", {}).get("tallystick", {}).get("decision", "-"),
        subject["outcome"]["status"],
    )


def of_calls(home: DaemonHome) -> list[dict[str, Any]]:
    """Return the receipts of actions; those that open and close chains are left out."""
    if not home.rows():
        return []
    found = [one for one in home.check() if one["credentialSubject"].get("action")]
    return [
        one
        for one in found
        if not one["credentialSubject"]["action"]["type"].startswith("agent_receipts.")
    ]
