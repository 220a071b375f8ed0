# SPDX-License-Identifier: Apache-2.0
"""Carries questions to a node over HTTP for web3: what a node sends is bounded, and leads nowhere.

web3's own carrier follows redirects, takes any number of bytes for any time, and asks further
addresses that a node's answer names (EIP-3668); none of that is for nodes that may be hostile.
"""

from __future__ import annotations

import weakref
from base64 import b64encode
from importlib import import_module
from threading import Lock
from typing import Any, Final
from urllib.parse import SplitResult, unquote

import msgspec

from tallystick.errors import NodeError
from tallystick.limits import NODE_ANSWER_BYTES_MAX, NODE_ANSWER_SECONDS_MAX
from tallystick.onchain.exchange import Bounds, Connection, Oversized, Request, receive

_BOUNDS: Final = Bounds(bytes_max=NODE_ANSWER_BYTES_MAX, seconds_max=NODE_ANSWER_SECONDS_MAX)
_OK: Final = 200
# With these, some servers send the error of a question that they did answer: a revert, above all.
_FAULTS: Final = (400, 500)
# Errors of JSON-RPC that say "later": of the server itself, and of its limits.
_LATER: Final = (-32603, -32005)


class _Fault(msgspec.Struct):
    code: int
    message: str = ""


class _Refusal(msgspec.Struct):
    error: _Fault


class Transport:
    """Connections to one node, kept open between questions; any thread may ask."""

    def __init__(self, parts: SplitResult, bounds: Bounds = _BOUNDS) -> None:
        """`parts` is the node's address; its user and password go into a header."""
        self._host = parts.hostname or ""
        self._tls = parts.scheme == "https"
        self._port = parts.port or (443 if self._tls else 80)
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._bounds = bounds
        self._headers = {"Content-Type": "application/json"}
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        self._idle: list[Connection] = []
        self._lock = Lock()
        weakref.finalize(self, _close, self._idle)

    def ask(self, body: bytes) -> bytes:
        """Return the answer to a question, or raise NodeError."""
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is not None:
            try:
                return self._asked(connection, body)
            except NodeError:
                pass  # it was idle for too long, maybe
        return self._asked(Connection(self._host, self._port, tls=self._tls), body)

    def _asked(self, connection: Connection, body: bytes) -> bytes:
        taken = bytearray()
        request = Request(path=self._path, headers=self._headers, body=body, also=_FAULTS)
        try:
            status = receive(connection, request, taken.extend, self._bounds)
        except Oversized:
            raise NodeError(f"it sent more than {self._bounds.bytes_max} bytes") from None
        except NodeError as fault:
            why = f"it can't be reached or is busy ({fault})"
            raise NodeError(why, is_transient=True) from None
        if status in _FAULTS and _is_final(bytes(taken)):
            return bytes(taken)
        if status != _OK:
            raise NodeError(f"it answered with HTTP {status}", is_transient=True)
        with self._lock:
            self._idle.append(connection)
        return bytes(taken)


def _is_final(body: bytes) -> bool:
    """Whether a body is an error of JSON-RPC that another try would not mend."""
    try:
        fault = msgspec.json.decode(body, type=_Refusal).error
    except (msgspec.MsgspecError, RecursionError):
        return False
    return fault.code not in _LATER or "revert" in fault.message.lower()


def _close(idle: list[Connection]) -> None:
    for connection in idle:
        connection.close()


def provider(transport: Transport) -> Any:
    """Return what web3 asks through a transport."""
    base = import_module("web3.providers.base").JSONBaseProvider

    class Provider(base):  # type: ignore[misc, valid-type]  # loaded late
        global_ccip_read_enabled = False

        def make_request(self, method: Any, params: Any) -> Any:
            return self.decode_rpc_response(transport.ask(self.encode_rpc_request(method, params)))

    return Provider()
