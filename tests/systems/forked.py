# SPDX-License-Identifier: Apache-2.0
"""A child that forks from a process whose signer is connected already."""

from __future__ import annotations

import multiprocessing
import socket
from threading import Event
from typing import Any

from tests.systems.http_service import Answer, HttpService, Request

from tallystick.ports import Signer


def _sign(signer: Signer, found: Any) -> None:
    found.put(signer.sign(b"x"))


def sign_in_child(signer: Signer) -> bytes:
    """Return what a forked child signs with the signer of its parent."""
    context = multiprocessing.get_context("fork")
    found = context.Queue()
    child = context.Process(target=_sign, args=(signer, found))
    child.start()
    signature: bytes = found.get(timeout=20)
    child.join(20)
    assert child.exitcode == 0
    return signature


def signs_by_a_connection_of_its_own(service: HttpService, signer: Signer) -> None:
    """Have parent, child and parent sign, and look at who the service hears from."""
    peers: list[object] = []

    def note(request: Request, connection: socket.socket, _stop: Event) -> Answer:
        peers.append(connection.getpeername())
        return service.answer(request)

    signer.get_public_key()
    service.tricks.extend([note] * 3)
    mine = signer.sign(b"x")
    assert sign_in_child(signer) == mine
    assert signer.sign(b"x") == mine
    before, child, after = peers
    assert before == after != child
