# SPDX-License-Identifier: Apache-2.0
"""A collector on a real socket for programs under test: keeps bodies byte for byte, 201 and 409."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from typing import Any, Self

from tests import misbehaving
from tests.misbehaving import Behaviour, Exchange, answer


class StoringCollector(misbehaving.Collector):
    """Stores each receipt once, in order of arrival: 201 the first time, 409 after that.

    `is_down` and `is_up` switch it; what arrives while it is down is answered 503 and not kept.
    """

    def __init__(self) -> None:
        super().__init__(self.store)
        self.stored: dict[str, bytes] = {}
        self._open: set[socket.socket] = set()

    @property
    def lines(self) -> bytes:
        """What was stored, as JSON Lines."""
        return b"".join(body + b"\n" for body in list(self.stored.values()))

    @property
    def outcomes(self) -> list[str]:
        """The status of each stored receipt's action, in order of arrival."""
        return [_subject(body)["outcome"]["status"] for body in list(self.stored.values())]

    @property
    def sequences(self) -> list[int]:
        """The place in its chain of each stored receipt, in order of arrival."""
        return [_subject(body)["chain"]["sequence"] for body in list(self.stored.values())]

    @property
    def chains(self) -> dict[str, bytes]:
        """The chains by their ids, each as JSON Lines."""
        found: dict[str, bytes] = {}
        for body in list(self.stored.values()):
            chain_id = _subject(body)["chain"]["chain_id"]
            found[chain_id] = found.get(chain_id, b"") + body + b"\n"
        return found

    def is_down(self) -> None:
        """Answer 503 from now on."""
        self.then(answer(503))

    def is_up(self) -> None:
        """Store from now on."""
        self.then(self.store)

    def does(self, *script: Behaviour) -> None:
        """Do these once each, and then store again."""
        self.then(*script, self.store)

    def drop_connections(self) -> None:
        """Close every open connection, as a load balancer does with idle ones."""
        for connection in list(self._open):
            connection.shutdown(socket.SHUT_RDWR)

    def holds(self, count: int, within_s: float = 20) -> Self:
        """Wait until so many receipts are stored."""
        wait_for(lambda: len(self.stored) >= count, within_s)
        return self

    def was_asked(self, times: int, within_s: float = 20) -> Self:
        """Wait until so many requests have come in, whatever became of them."""
        wait_for(lambda: len(self.requests) >= times, within_s)
        return self

    def store(self, exchange: Exchange) -> bool:
        """Store what came in, and say so: the behaviour of one that is up."""
        if self._keep(exchange):
            return answer(201)(exchange)
        return answer(409, body=b'{"error":"receipt id already exists"}')(exchange)

    def store_silently(self, exchange: Exchange) -> bool:
        """Store what came in, and never say so."""
        self._keep(exchange)
        return misbehaving.silent(exchange)

    def store_and_drop(self, exchange: Exchange) -> bool:
        """Store what came in, and close the connection instead of saying so."""
        self._keep(exchange)
        return False

    def _keep(self, exchange: Exchange) -> bool:
        body = exchange.request.body
        receipt_id: str = json.loads(body)["id"]
        return self.stored.setdefault(receipt_id, body) is body

    def _serve(self, accepted: socket.socket) -> None:
        self._open.add(accepted)
        try:
            super()._serve(accepted)
        finally:
            self._open.discard(accepted)


def wait_for(condition: Callable[[], bool], within_s: float = 20) -> None:
    """Wait for a condition; fail when it does not come true."""
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "what was waited for did not happen"
        time.sleep(0.005)


def _subject(body: bytes) -> dict[str, dict[str, Any]]:
    subject: dict[str, dict[str, Any]] = json.loads(body)["credentialSubject"]
    return subject
