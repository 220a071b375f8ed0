# SPDX-License-Identifier: Apache-2.0
"""MCP over stdio: a server as a child process, a client at our own standard input and output.

Moves lines and knows nothing of what is in them. The server's standard error is ours; its exit
status, too. When the client is gone the server is told by the end of its input, then by signals.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from threading import Thread, Timer
from typing import Any, Final, Protocol

from tallystick.channels.line_flow import Inlet, Lines, Outlet
from tallystick.errors import SettingError
from tallystick.limits import SERVER_DRAIN_MS_MAX, SERVER_END_MS_MAX, SERVER_KILL_MS_MAX
from tallystick.serve.logs import event

_TICK_S: Final = 0.25


class Session(Protocol):
    """What looks at the lines of one session."""

    def from_client(self, lines: Sequence[bytes]) -> None:
        """Take lines from the client."""

    def from_server(self, lines: Sequence[bytes]) -> None:
        """Take lines from the server."""

    def refuse_overlong(self, size: int, digest: str) -> None:
        """Hear of a line from the client that was dropped."""

    def note_overlong(self, size: int, digest: str) -> None:
        """Hear of a line from the server that went by in parts."""

    def client_gone(self) -> None:
        """Hear that the client will say no more."""

    def server_gone(self, how: str) -> None:
        """Hear that the server will answer no more."""

    def expire(self) -> None:
        """Look at what has waited for too long."""


class Stdio:
    """One server, one client, and the pipes between them."""

    def __init__(self, command: Sequence[str], *, source: int = 0, sink: int = 1) -> None:
        """Start the server; `source` and `sink` are where the client is."""
        try:
            self._server = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
            )
        except (OSError, ValueError) as fault:
            reason = fault.strerror if isinstance(fault, OSError) else "no such command"
            raise SettingError(f"the server {command[0]!r} can't be started: {reason}") from None
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._source = source
        self._server_out = self._server.stdout.fileno()
        self.to_server = Outlet(os.dup(self._server.stdin.fileno()), self._nothing)
        self._server.stdin.close()
        self.to_client = Outlet(sink, self._client_is_deaf)
        self._timers: list[Timer] = []
        self._turns = 0
        self._is_reading = False

    def run(self, session: Session) -> int:
        """Carry lines until the server has ended; return its exit code, as shells report it."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        up = Thread(target=self._up, args=(session,), name="client", daemon=True)
        down = Thread(target=self._down, args=(session,), name="server", daemon=True)
        up.start()
        down.start()
        code = self._wait(session)
        # What it has written is passed on, however slowly the client reads; a grandchild that
        # keeps the pipe open and says nothing is not waited for.
        seen, since = -1, time.monotonic()
        while down.is_alive():
            down.join(_TICK_S / 5)
            if self._turns != seen or not self._is_reading:
                seen, since = self._turns, time.monotonic()
            elif time.monotonic() - since > SERVER_DRAIN_MS_MAX / 1000:
                break
        for timer in self._timers:
            timer.cancel()
        how = f"ended with exit code {code}" if code >= 0 else f"was killed by signal {-code}"
        session.server_gone(how)
        return code if code >= 0 else 128 - code

    def end(self) -> None:
        """Leave no server behind, where the session could not begin or did not end by itself."""
        if self._server.poll() is None:
            self._send(signal.SIGKILL)
            self._server.wait()
            self.to_server.close()
            assert self._server.stdout is not None
            self._server.stdout.close()

    def _wait(self, session: Session) -> int:
        while True:
            try:
                return self._server.wait(_TICK_S)
            except subprocess.TimeoutExpired:
                session.expire()

    def _up(self, session: Session) -> None:
        try:
            lines = Lines(overlong=session.refuse_overlong)
            inlet = Inlet(self._source)
            while data := inlet.read():
                if whole := lines.feed(data):
                    session.from_client(whole)
            if last := lines.last():
                session.from_client([last])
            session.client_gone()
        except Exception as fault:  # noqa: BLE001 - a client that waits for ever is no help
            event(logging.ERROR, "mcp_bug", side="client", reason=type(fault).__name__)
        self.to_server.close()
        self._end_within(SERVER_END_MS_MAX)

    def _down(self, session: Session) -> None:
        try:
            self._carry_down(session)
        except Exception as fault:  # noqa: BLE001 - nothing more would be recorded
            event(logging.ERROR, "mcp_bug", side="server", reason=type(fault).__name__)
            self._send(signal.SIGKILL)

    def _carry_down(self, session: Session) -> None:
        lines = Lines(overlong=session.note_overlong, part=self.to_client.write_part)
        inlet = Inlet(self._server_out)
        while True:
            self._is_reading = True
            data = inlet.read()
            self._is_reading = False
            self._turns += 1
            if not data:
                break
            if whole := lines.feed(data):
                session.from_server(whole)
        if last := lines.last():
            session.from_server([last])

    def _client_is_deaf(self) -> None:
        """Nobody reads what the server says: let it come to its end."""
        self.to_server.close()
        self._end_within(SERVER_KILL_MS_MAX)

    def _nothing(self) -> None:
        """Leave a server that reads no more alone: its output, or its end, says the rest."""

    def _on_signal(self, number: int, _frame: Any) -> None:
        self._send(number)
        # Clients kill us two seconds after they asked us to end, and what is unsaid with us.
        self._timer(SERVER_KILL_MS_MAX, lambda: self._send(signal.SIGKILL))

    def _end_within(self, milliseconds: int) -> None:
        def ask() -> None:
            self._send(signal.SIGTERM)
            self._timer(SERVER_KILL_MS_MAX, lambda: self._send(signal.SIGKILL))

        self._timer(milliseconds, ask)

    def _timer(self, milliseconds: int, work: Callable[[], None]) -> None:
        timer = Timer(milliseconds / 1000, work)
        timer.daemon = True
        self._timers.append(timer)
        timer.start()

    def _send(self, number: int) -> None:
        try:
            self._server.send_signal(number)
        except OSError:
            pass  # it has just ended
