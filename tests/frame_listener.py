# SPDX-License-Identifier: Apache-2.0
"""A Unix socket that takes frames as the daemon does: parses them strictly, answers who asks.

It signs and stores nothing: for what an emitter does, not for what becomes of a frame.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from tallystick.errors import FrameRefused
from tallystick.model.frame import (
    Acknowledgement,
    Frame,
    Refusal,
    encode_acknowledgement,
    parse_frame,
)
from tallystick.model.framing import body_bytes, framed

RECEIPT = "urn:receipt:00000000-0000-4000-8000-000000000000"


class FrameListener:
    """Listens until it is left; `frames` holds what came, in order."""

    def __init__(self, path: str | None = None, *, backlog: int = 64, reads: bool = True) -> None:
        # Not below pytest's own folder: its paths are longer than a socket's may be.
        self._folder = None if path else tempfile.mkdtemp(prefix="tally-")
        self.path = path or f"{self._folder}/events.sock"
        self.frames: list[Frame] = []
        self.refused: list[str] = []
        self.connections = 0
        self.is_mute = False
        self._reads = reads
        self._backlog = backlog
        self._came = threading.Condition()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        Path(self.path).unlink(missing_ok=True)
        self._listening.bind(self.path)
        self._listening.listen(self._backlog)
        if self._reads:
            self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        if self._folder is not None:
            shutil.rmtree(self._folder)

    def stop(self) -> None:
        """End all connections, and listen no more; the path goes, too."""
        for one in [self._listening, *self._open]:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self._threads:
            thread.join(timeout=10)
        for one in [self._listening, *self._open]:
            one.close()
        if os.path.exists(self.path):
            os.unlink(self.path)

    def wait(self, count: int) -> list[Frame]:
        """Return the frames once there are so many."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.frames) >= count, timeout=20), self.frames
        return self.frames

    def accept_one(self) -> socket.socket:
        """Accept by hand, where `reads` is False."""
        one, _ = self._listening.accept()
        self._open.append(one)
        return one

    def _start(self, work: object, *given: object) -> None:
        thread = threading.Thread(target=work, args=given, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                one, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(one)
            self._start(self._serve, one)

    def _serve(self, one: socket.socket) -> None:
        try:
            with one.makefile("rb") as stream:
                while header := stream.read(4):
                    self._take(one, stream.read(body_bytes(header)))
        except OSError:
            pass

    def _take(self, one: socket.socket, body: bytes) -> None:
        answer: Acknowledgement | Refusal
        try:
            frame = parse_frame(body)
        except FrameRefused as fault:
            self.refused.append(fault.code)
            answer = Refusal(code=fault.code, message=fault.message)
            wants = b'"ack":true' in body
        else:
            with self._came:
                self.frames.append(frame)
                count = len(self.frames)
                self._came.notify_all()
            answer = Acknowledgement(
                id=RECEIPT, chain_id="chain:a", sequence=count, hash="sha256:" + "0" * 64
            )
            wants = frame.ack
        if wants and not self.is_mute:
            one.sendall(framed(encode_acknowledgement(answer)))
