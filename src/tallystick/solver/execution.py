# SPDX-License-Identifier: Apache-2.0
"""Runs one program to its end, within bounds of time and output, and leaves nothing behind.

The program and its children are one process group, which is killed when the time is up, when too
much was written, and also when the program has ended: what it left running does not go on. In
namespaces of its own, nothing can leave that group.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import IO, Any, BinaryIO

import msgspec

from tallystick.limits import (
    RUNNER_LINGER_MS_MAX,
    RUNNER_OUTPUT_BYTES_MAX,
    RUNNER_STATUS_BYTES_MAX,
)
from tallystick.solver.sandbox import LAUNCHER, Cell, Kind, facts_of, order_of

_CHUNK_BYTES = 64 * 1024


class Executed(msgspec.Struct, frozen=True, kw_only=True):
    """How a program ended."""

    exit_code: int | None
    fault: str | None = None  # why it did not begin, or was ended by us
    duration_ms: int = 0
    sandbox: dict[str, str | int | bool] = {}


class _Streams:
    """Copies the program's output into files, each up to a bound."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._selector = selectors.DefaultSelector()
        self._room: dict[str, int] = {}
        self.fault: str | None = None

    def add(self, name: str, source: IO[bytes], sink: BinaryIO | None) -> None:
        os.set_blocking(source.fileno(), False)
        self._room[name] = self._limit
        self._selector.register(source, selectors.EVENT_READ, (name, sink))

    @property
    def is_open(self) -> bool:
        return bool(self._selector.get_map())

    def copy(self, wait_s: float) -> None:
        for key, _ in self._selector.select(wait_s):
            name, sink = key.data
            try:
                chunk = os.read(key.fd, _CHUNK_BYTES)
            except BlockingIOError:
                continue
            kept = chunk[: self._room[name]]
            self._room[name] -= len(kept)
            if sink is not None:
                sink.write(kept)
            if len(kept) < len(chunk):
                self.fault = f"{name} is over {self._limit} bytes"
            if not chunk:
                self._selector.unregister(key.fileobj)

    def close(self) -> None:
        self._selector.close()


def execute(
    argv: list[str],
    env: dict[str, str],
    cell: Cell,
    *,
    kind: Kind,
    stdin: bytes,
    timeout_ms: int,
    stdout: BinaryIO | None = None,
    stderr: BinaryIO | None = None,
    output_bytes: int = RUNNER_OUTPUT_BYTES_MAX,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Executed:
    """Run a program in a cell and return how it ended; its output goes into the given files."""
    started = time.monotonic()
    # What the launcher says goes into a file, and no pipe: nobody has to read while it runs.
    with tempfile.TemporaryFile() as inputs, tempfile.TemporaryFile() as told:
        inputs.write(stdin)
        inputs.seek(0)
        process = _launch(order_of(argv, env, cell, kind, told.fileno()), inputs, told)
        assert process.stdout is not None
        assert process.stderr is not None
        streams = _Streams(output_bytes)
        try:
            streams.add("stdout", process.stdout, stdout)
            streams.add("stderr", process.stderr, stderr)
            fault = _watch(process, streams, started + timeout_ms / 1000, timeout_ms, is_cancelled)
        finally:
            _kill(process)
            streams.close()
            process.stdout.close()
            process.stderr.close()
        said = _read_told(told)
    if kind == "bubblewrap" and process.returncode > 0 and "exit-code" not in said:
        said.setdefault("fault", "bubblewrap did not start it, and its error output says why")
    return Executed(
        exit_code=process.returncode,
        fault=fault or said.get("fault"),
        duration_ms=round((time.monotonic() - started) * 1000),
        sandbox=facts_of(said, cell, kind),
    )


def _launch(order: dict[str, Any], inputs: IO[bytes], told: IO[bytes]) -> subprocess.Popen[bytes]:
    reader, writer = os.pipe()
    try:
        process = subprocess.Popen(  # noqa: S603  # the launcher; what it starts is the operator's
            [sys.executable, "-I", "-S", "-B", LAUNCHER, str(reader), str(told.fileno())],
            stdin=inputs,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={},
            cwd="/",
            pass_fds=(reader, told.fileno()),
            start_new_session=True,
        )
    except BaseException:
        os.close(writer)
        raise
    finally:
        os.close(reader)
    try:
        with os.fdopen(writer, "wb") as orders:
            orders.write(json.dumps(order).encode())
    except BrokenPipeError:
        pass  # the launcher ended before it read: its exit code tells
    return process


def _watch(
    process: subprocess.Popen[bytes],
    streams: _Streams,
    deadline: float,
    timeout_ms: int,
    is_cancelled: Callable[[], bool],
) -> str | None:
    """Copy output until the program ends; return why it had to be ended, if so."""
    while process.poll() is None:
        left = deadline - time.monotonic()
        if left <= 0:
            return f"it ran longer than {timeout_ms} ms"
        if is_cancelled():
            return "it was ended because the solver stops"
        if streams.is_open:
            streams.copy(min(left, 0.1))
        else:
            _wait(process, min(left, 0.1))
        if streams.fault is not None:
            return streams.fault
    _kill(process)  # before the rest is read: what it left running may hold the pipes
    end = time.monotonic() + RUNNER_LINGER_MS_MAX / 1000
    while streams.is_open and time.monotonic() < end:
        streams.copy(0.05)
    return streams.fault


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        pass


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # all of it is gone
    process.wait()


def _read_told(told: IO[bytes]) -> dict[str, Any]:
    told.seek(0)
    lines = told.read(RUNNER_STATUS_BYTES_MAX).splitlines()
    found: dict[str, Any] = {}
    for line in lines:
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict):
            found |= said
    if not found:
        found["fault"] = "the launcher ended before it could say what is in force"
    return found
