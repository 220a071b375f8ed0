# SPDX-License-Identifier: Apache-2.0
"""The status socket: one request, one answer, both framed like frames.

Whoever may connect may ask how the daemon is. What changes something (`reload`, `rotate`) is done
only for the daemon's own user and for root, by the kernel's word on who asks.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from tallystick.crypto.strict import parse_json
from tallystick.daemon.inbound import Inbound
from tallystick.daemon.loop import READ, WRITE, Loop
from tallystick.daemon.peer import attest
from tallystick.errors import Error, MalformedInput, PeerError, UnreadableError
from tallystick.limits import (
    DESCRIPTOR_PAUSE_MS_MAX,
    STATUS_BYTES_MAX,
    STATUS_CONNECTIONS_MAX,
    STATUS_MS_MAX,
)
from tallystick.model.framing import framed
from tallystick.serve.given import quoted

_ENCODE: Final = msgspec.json.Encoder().encode

Reply = Callable[[dict[str, Any]], None]
# Does what is asked, and replies once, from any thread.
Command = Callable[[Reply], None]


class StatusDoor:
    """Serves a listening socket on the daemon's loop."""

    def __init__(
        self,
        loop: Loop,
        listener: socket.socket,
        *,
        status: Callable[[], dict[str, Any]],
        commands: Mapping[str, Command],
    ) -> None:
        self._loop = loop
        self._listener = listener
        self._status = status
        self._commands = commands
        self._open: set[_Asking] = set()
        self._is_closed = False
        loop.watch(listener, READ, self)
        loop.call_every(STATUS_MS_MAX, self._walk)

    def on_event(self, _events: int) -> None:
        """Take who wants to ask."""
        try:
            accepted, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # it went away
        except OSError:
            self._rest()  # descriptors are scarce: who asks waits in the kernel's line
            return
        if len(self._open) >= STATUS_CONNECTIONS_MAX:
            accepted.close()
            return
        accepted.setblocking(False)
        self._open.add(_Asking(self, accepted, self._loop.now_ms))

    def on_fault(self, fault: Exception) -> None:
        """Go on: a status that fails harms nobody."""

    def answer(self, asking: _Asking, request: object) -> None:
        """Find out what is asked, and have it answered."""
        asked = request.get("ask") if isinstance(request, dict) else None
        if asked == "status":
            asking.reply({"ok": True, **self._status()})
        elif isinstance(asked, str) and asked in self._commands:
            if asking.may_command():
                self._commands[asked](asking.reply)
            else:
                asking.reply(_no("NOT_ALLOWED", "only the daemon's own user and root may do this"))
        else:
            asking.reply(_no("NOT_KNOWN", "ask for status, reload or rotate"))

    def watch(self, asking: _Asking, events: int) -> None:
        """Wait for one of those who ask."""
        self._loop.watch(asking.socket, events, asking)

    def wake(self) -> None:
        """Let the loop look again: an answer is there."""
        self._loop.wake()

    def settle(self) -> None:
        """Send answers that came from other threads; call this after each turn of the loop."""
        for asking in list(self._open):
            asking.settle()

    def forget(self, asking: _Asking) -> None:
        """Close one of those who ask."""
        if asking in self._open:
            self._open.discard(asking)
            self._loop.watch(asking.socket, 0, asking)
            asking.socket.close()

    def close(self) -> None:
        """Close everything."""
        for asking in list(self._open):
            self.forget(asking)
        self._is_closed = True
        self._loop.watch(self._listener, 0, self)
        self._listener.close()

    def _rest(self) -> None:
        """Look away for a moment: the listener stays readable, and the loop would not sleep."""
        self._loop.watch(self._listener, 0, self)
        self._loop.call_later(DESCRIPTOR_PAUSE_MS_MAX, self._open_again)

    def _open_again(self) -> None:
        if not self._is_closed:
            self._loop.watch(self._listener, READ, self)

    def _walk(self) -> None:
        for asking in list(self._open):
            if self._loop.now_ms - asking.since_ms > STATUS_MS_MAX and not asking.is_asked:
                self.forget(asking)


class _Asking:
    """One connection of the status socket."""

    def __init__(self, door: StatusDoor, accepted: socket.socket, now_ms: int) -> None:
        self.socket = accepted
        self.since_ms = now_ms
        self.is_asked = False
        self._door = door
        self._inbound = Inbound()
        self._reply: bytes | None = None
        self._out = b""
        door.watch(self, READ)

    def on_event(self, events: int) -> None:
        if events & WRITE:
            self._send()
            return
        try:
            data = self.socket.recv(STATUS_BYTES_MAX)
        except BlockingIOError:
            return
        bodies, fault = self._inbound.take(data)
        if not data or fault is not None or len(self._inbound) > STATUS_BYTES_MAX:
            self._door.forget(self)
        elif bodies and not self.is_asked:
            self.is_asked = True
            try:
                request = parse_json(bodies[0], STATUS_BYTES_MAX)
            except MalformedInput:
                request = None
            self._door.answer(self, request)

    def on_fault(self, _fault: Exception) -> None:
        self._door.forget(self)

    def may_command(self) -> bool:
        """Whether the kernel says that it is our own user, or root."""
        try:
            return attest(self.socket).credential.uid in (0, os.geteuid())
        except PeerError:
            return False

    def reply(self, members: dict[str, Any]) -> None:
        """Answer, from any thread."""
        body = _ENCODE(members)
        self._reply = framed(body)
        self._door.wake()

    def settle(self) -> None:
        """Begin to send, where there is an answer."""
        reply, self._reply = self._reply, None
        if reply is not None:
            self._out = reply
            self._send()

    def _send(self) -> None:
        try:
            self._out = self._out[self.socket.send(self._out) :]
        except BlockingIOError:
            pass
        except OSError:
            self._out = b""
        if self._out:
            self._door.watch(self, WRITE)
        else:
            self._door.forget(self)


def ask_daemon(path: str, asked: str, *, wait_s: float = STATUS_MS_MAX / 1000) -> dict[str, Any]:
    """Return a daemon's answer to one request, or raise `UnreadableError`."""
    try:
        body = exchange(path, _ENCODE({"ask": asked}), wait_s=wait_s)
        answer = parse_json(body, STATUS_BYTES_MAX)
    except (OSError, MalformedInput) as fault:
        why = fault.strerror if isinstance(fault, OSError) else None
        raise UnreadableError(f"no daemon answers at {quoted(path)}: {why or fault}") from None
    except ValueError:
        raise UnreadableError(f"what answers at {quoted(path)} is no daemon of ours") from None
    except EOFError:
        answer = None
    if not isinstance(answer, dict):
        raise UnreadableError(f"the daemon at {quoted(path)} gave no answer")
    return answer


def exchange(path: str, body: bytes, *, wait_s: float) -> bytes:
    """Send one body to a Unix socket, and return the one that comes back.

    Raises OSError, EOFError where nothing comes back, and ValueError where it is no frame.
    """
    inbound = Inbound()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(wait_s)
        line.connect(path)
        line.sendall(framed(body))
        while received := line.recv(STATUS_BYTES_MAX):
            bodies, fault = inbound.take(received)
            if fault is not None:
                raise ValueError("what answers is no daemon")
            if bodies:
                return bodies[0]
    raise EOFError("the daemon hung up")


def failed(fault: Exception) -> dict[str, Any]:
    """Return the answer to a command that failed; words that are not ours stay inside."""
    return _no(type(fault).__name__, str(fault) if isinstance(fault, Error) else "it failed")


def _no(code: str, message: str) -> dict[str, Any]:
    return {"ok": False, "code": code, "message": message}
