# SPDX-License-Identifier: Apache-2.0
"""Kills a collector under many clients, over and over, and then looks whether anything is missing.

    python -m tests.faults.log_kill_loop FOLDER KILLS SEED [DB|forgetful]   prints what it saw


On PostgreSQL two collectors at a time share the database, and one of them, or both, are killed.

This process has everything imported and forks collectors on one listening socket, so that clients
whose connection breaks find the next one. Each collector gets a clock of its own that may be a
minute behind the last one's. 64 clients in another process post until they are told to end, and
post again what was not acknowledged; one more follows the log as a monitor does, and keeps every
checkpoint that it was ever shown. With `forgetful` each collector has a store of its own, which
must lose receipts: the loop shows that it would notice.
"""

from __future__ import annotations

import asyncio
import gc
import http.client
import importlib
import json
import mmap
import os
import random
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from tests.posting import Bodies, request_of

from tallystick.collector.app import CollectorApp
from tallystick.collector.guard import Guard
from tallystick.collector.log_keys import LogKeys, create_log_keys, load_log_keys
from tallystick.collector.log_view import LogView
from tallystick.collector.meters import METERS
from tallystick.collector.service import LogService
from tallystick.crypto.merkle import leaf_hash, verify_consistency, verify_inclusion
from tallystick.crypto.multibase import b64_decode
from tallystick.model.checkpoint import SignedCheckpoint, open_checkpoint
from tallystick.model.promise import open_promise
from tallystick.model.sheet import Sheet, parse_sheet
from tallystick.ports import LogStore
from tallystick.serve.access import Gate
from tallystick.serve.metrics import Meters
from tallystick.serve.server import Server, bound_socket
from tallystick.store.fsck import check_store
from tallystick.store.opening import open_log_store
from tallystick.watch.monitor import Monitor
from tallystick.watch.remote_log import RemoteLog

ORIGIN: Final = "kills.example/log1"
CLIENTS: Final = 64
# Of them the first posts so many at once: enough to be parsed, stored and answered as a batch.
BATCH: Final = 80
# Of ten collectors, two are killed while they start, and the others at work.
STARTING_MS_MAX: Final = 60.0
WORKING_MS_MAX: Final = 150.0
CLOCK_STEPS_S: Final = (-60, 3)
# What collectors would import one by one, instead of serving.
LAZY_MODULES: Final = (
    "anyio._backends._asyncio",
    "encodings.idna",
    "importlib.resources.readers",
    "prometheus_client",
    "psycopg_pool",
    "starlette.applications",
    "starlette.concurrency",
    "uvicorn.lifespan.off",
    "uvicorn.loops.uvloop",
    "zipfile",
)
# Checkpoints come faster than in the field, so that kills hit them as often as commits.
GROWING_S: Final = 0.03
FORGETFUL: Final = "forgetful"
ENDING, READY = range(2)  # places in the shared memory; one READY for each collector


def opened(db: str, step_s: float) -> LogStore:
    """Open the store with a clock that is off by so much, where the clock is this process's."""
    if db.startswith("postgresql:"):
        return open_log_store(db)
    from tests.stores import SqliteLog

    return SqliteLog(db, clock_ms=lambda: int(1000 * (time.time() + step_s)))


def live(
    folder: Path, db: str, listener: socket.socket, view: memoryview, *, step_s: float, slot: int
) -> None:
    """Be a collector until killed."""
    released = folder / f"released{slot}"
    if db == FORGETFUL:
        db, released = str(folder / f"{os.getpid()}.db"), folder / f"{os.getpid()}.released"
    store = opened(db, step_s)
    keys = load_log_keys(folder / "log")
    service = LogService(store, keys, released, growing_s=GROWING_S, idle_s=0.5)
    service.start()
    app = CollectorApp(service, Gate(is_open=True), Meters(METERS))

    def ready() -> None:
        view[READY + slot] = os.getpid()

    Server(app, listener, on_ready=ready, posts=app.posts).run()


def forked(work: Callable[[], None]) -> int:
    """Run something in a process of its own."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001  # this process ends here, whatever it was
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return pid


# ------------------------------------------------------------------------------------- clients


async def one_client(number: int, port: int, view: memoryview, kept: Any) -> None:
    """Post receipts of one chain, one or many after the other, until it is time to end."""
    bodies = Bodies(f"chain:{number}")
    step = 1 if number else BATCH
    sequence = 1 - step
    while not view[ENDING]:
        sequence += step
        request = posting(bodies, sequence, step)
        while not view[ENDING]:
            with suppress(OSError, asyncio.IncompleteReadError, ValueError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                try:
                    while True:
                        status, body = await exchange(reader, writer, request)
                        if status in (200, 201, 409):
                            keep(kept, status, sequence, body)
                            sequence += step
                            request = posting(bodies, sequence, step)
                        else:
                            kept.write(b"%d %d -\n" % (status, sequence))
                            await asyncio.sleep(0.01)
                        if view[ENDING]:
                            return
                finally:
                    writer.close()
            await asyncio.sleep(0.002)


def posting(bodies: Bodies, sequence: int, step: int) -> bytes:
    """Return a request that posts so many receipts, from one on."""
    if step == 1:
        return request_of(bodies.body(sequence))
    lines = [bodies.body(at) + b"\n" for at in range(sequence, sequence + step)]
    return request_of(b"".join(lines), b"/receipts/batch")


def keep(kept: Any, status: int, sequence: int, body: bytes) -> None:
    """Write down what was answered of each receipt."""
    if status != 200:
        kept.write(b"%d %d %b\n" % (status, sequence, body))
        return
    for at, line in enumerate(body.splitlines(), start=sequence):
        kept.write(b"%d %d %b\n" % (json.loads(line)["status"], at, line))


async def exchange(reader: Any, writer: Any, request: bytes) -> tuple[int, bytes]:
    """Send one request and return status and body."""
    writer.write(request)
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
    at = head.lower().index(b"content-length:") + 15
    body = await asyncio.wait_for(reader.readexactly(int(head[at:].split(b"\r\n", 1)[0])), 20)
    return int(head[9:12]), body


def clients(folder: Path, port: int, view: memoryview) -> None:
    """Be all clients."""

    async def run() -> None:
        with (folder / "answers").open("wb") as kept:
            await asyncio.gather(*(one_client(at, port, view, kept) for at in range(CLIENTS)))

    asyncio.run(run())


def reader_of_checkpoints(folder: Path, port: int, view: memoryview) -> None:
    """Keep every checkpoint that is shown, by whichever collector answers."""
    shown = b""
    with (folder / "checkpoints").open("wb") as kept:
        while not view[ENDING]:
            with suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                try:
                    connection.request("GET", "/log/checkpoint", headers={"Connection": "close"})
                    answer = connection.getresponse()
                    note = answer.read()
                finally:
                    connection.close()
                if answer.status == 200 and note != shown:
                    shown = note
                    kept.write(b"%d\n" % len(note) + note)
            time.sleep(0.005)


# ------------------------------------------------------------------------------------ the loop


class Collectors:
    """The collectors that are alive, each in its slot."""

    def __init__(
        self, folder: Path, db: str, listener: socket.socket, view: memoryview, count: int
    ) -> None:
        self._folder = folder
        self._db = db
        self._listener = listener
        self._view = view
        self._alive: dict[int, int] = {}
        self._count = count
        self.starting = 0

    def start(self, dice: random.Random) -> None:
        """Fork a collector into each slot that is empty."""
        for slot in range(self._count):
            if slot not in self._alive:
                self._view[READY + slot] = 0
                step_s = dice.uniform(*CLOCK_STEPS_S)
                self._alive[slot] = forked(
                    lambda step_s=step_s, slot=slot: live(  # type: ignore[misc]
                        self._folder, self._db, self._listener, self._view, step_s=step_s, slot=slot
                    )
                )

    def wait(self, slot: int) -> None:
        """Return when one serves."""
        while not self._view[READY + slot]:
            if os.waitpid(self._alive[slot], os.WNOHANG)[0]:
                raise SystemExit("a collector ended by itself")
            time.sleep(0.001)

    def kill_some(self, dice: random.Random) -> int:
        """Let them live for a while, and kill one, or all at once; return how many."""
        self.start(dice)
        slots = dice.sample(range(self._count), self._count)
        if dice.random() < 0.4:
            del slots[1:]
        slot = slots[0]
        if dice.random() < 0.2:
            time.sleep(dice.uniform(0, STARTING_MS_MAX) / 1000)
        else:
            self.wait(slot)
            time.sleep(dice.uniform(0, 1) ** 2 * WORKING_MS_MAX / 1000)
        self.starting += not self._view[READY + slot]
        killed = [self._alive.pop(slot) for slot in slots]
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        for pid in killed:
            if not os.WIFSIGNALED(os.waitpid(pid, 0)[1]):
                raise SystemExit("a collector ended by itself")
        return len(killed)

    def end(self) -> None:
        """End all in order."""
        for pid in self._alive.values():
            os.kill(pid, signal.SIGTERM)
        for pid in self._alive.values():
            if os.waitpid(pid, 0)[1]:
                raise SystemExit("a collector did not end in order")


class Judge:
    """Looks at what is left, and at what was said meanwhile."""

    def __init__(self, folder: Path, store: LogStore, keys: LogKeys, log: LogView) -> None:
        self.wrong: list[str] = []
        self.seen: dict[str, int] = {}
        self._folder = folder
        self._store = store
        self._keys = keys
        self._log = log
        self._sheet: Sheet = parse_sheet(keys.sheet, keys.log.verifier)
        assert log.newest is not None
        assert log.newest.note is not None
        self._newest = self.opened(log.newest.note)

    def opened(self, note: bytes) -> SignedCheckpoint:
        """Return a checkpoint under the keys of this log."""
        return open_checkpoint(note, self._keys.log.verifier, self._keys.time.verifier)

    def check_answers(self) -> None:
        """Every receipt that was acknowledged is there, byte for byte, where it was promised."""
        told: dict[int, str] = {}
        statuses: dict[int, int] = {}
        bodies = {f"chain:{at}": Bodies(f"chain:{at}") for at in range(CLIENTS)}
        by_tail = {one.receipt_id(1)[-12:]: one for one in bodies.values()}
        for line in (self._folder / "answers").read_bytes().splitlines():
            status, sequence, body = line.split(b" ", 2)
            statuses[int(status)] = statuses.get(int(status), 0) + 1
            if body == b"-":
                continue
            answer = json.loads(body)
            wanted = by_tail[answer["id"][-12:]].body(int(sequence))
            entry = b64_decode(answer["entry"])
            promise = open_promise(answer["promise"].encode(), self._sheet)
            if not promise.holds(leaf_hash(entry)):
                self.wrong.append(f"{answer['id']}: the promise is of another entry")
            if told.setdefault(promise.index, answer["id"]) != answer["id"]:
                self.wrong.append(f"index {promise.index} was promised twice")
            self.check_receipt(answer["id"], wanted, promise.index, leaf_hash(entry))
            newest = self._newest
            if newest.time_s is not None and newest.size < promise.promise.stop:
                self.wrong.append(f"index {promise.index} is not under the last checkpoint")
        self.seen |= {f"answered_{status}": count for status, count in statuses.items()}
        self.seen["acknowledged"] = len(told)

    def check_receipt(self, receipt_id: str, body: bytes, index: int, leaf: bytes) -> None:
        """Read one receipt back, and prove that it is in the log."""
        found = self._store.by_id("anonymous", receipt_id)
        if [(one.index, one.body, one.leaf_hash) for one in found] != [(index, body, leaf)]:
            self.wrong.append(f"{receipt_id}: {len(found)} found, not the one at {index}")
        size, root = self._newest.size, self._newest.root
        if index >= size or not verify_inclusion(
            leaf, index, size, self._log.inclusion(index, size), root
        ):
            self.wrong.append(f"{receipt_id}: not proven to be in the log at {index}")

    def check_checkpoints(self) -> None:
        """All checkpoints that were ever shown are of one log, whose time and size only grow."""
        data = (self._folder / "checkpoints").read_bytes()
        notes: list[SignedCheckpoint] = []
        while data:
            length, _, rest = data.partition(b"\n")
            notes.append(self.opened(rest[: int(length)]))
            data = rest[int(length) :]
        notes.append(self._newest)
        for older, newer in pairwise(notes):
            assert older.time_s is not None
            assert newer.time_s is not None
            if older.size > newer.size or older.time_s > newer.time_s:
                self.wrong.append(f"size or time went back after {older.size}")
            elif newer.size > self._log.size:
                self.wrong.append(f"size {newer.size} was shown, and is gone")
            elif older.size and not verify_consistency(
                older.size,
                newer.size,
                older.root,
                newer.root,
                self._log.consistency(older.size, newer.size),
            ):
                self.wrong.append(f"sizes {older.size} and {newer.size} are of different trees")
        self.seen["checkpoints"] = len(notes)


def monitored(url: str, keys: LogKeys) -> list[str]:
    """Return what a monitor finds wrong with the log over its whole length."""
    monitor = Monitor(
        RemoteLog(url),
        keys.log.verifier,
        save=lambda _seen: None,
        clock_s=time.time,
        silent_after_s=10**6,  # clocks were up to a minute off
    )
    look = monitor.look()
    return [one.kind for one in look.frauds] + list(look.alarms)


def main(folder_name: str, kills: str, seed: str, db: str = "") -> None:
    """Run until there are enough kills, and print what was seen."""
    folder, dice = Path(folder_name), random.Random(int(seed))
    began = time.monotonic()
    db = db or str(folder / "collector.db")
    keys = create_log_keys(folder / "log", ORIGIN)
    is_shared = db.startswith("postgresql:")
    if is_shared:  # a second machine is given the record of the first along with the keys
        store = opened(db, 0)
        for slot in range(2):
            Guard(folder / f"released{slot}", ORIGIN).check(store)
        store.close()
    listener = bound_socket("127.0.0.1", 0)
    port = listener.getsockname()[1]
    view = memoryview(mmap.mmap(-1, 64)).cast("q")
    for module in LAZY_MODULES:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    helpers = [
        forked(lambda: clients(folder, port, view)),
        forked(lambda: reader_of_checkpoints(folder, port, view)),
    ]
    collectors = Collectors(folder, db, listener, view, 2 if is_shared else 1)
    killed = 0
    while killed < int(kills):
        killed += collectors.kill_some(dice)
    collectors.start(dice)
    collectors.wait(0)
    time.sleep(0.3)
    view[ENDING] = 1
    for pid in helpers:
        if os.waitpid(pid, 0)[1]:
            raise SystemExit("a client ended with an error")
    wrong = monitored(f"http://127.0.0.1:{port}", keys)
    collectors.end()
    db = str(folder / "other.db") if db == FORGETFUL else db
    store = opened(db, 4.0)
    released = folder / ("other" if db.endswith("other.db") else "released0")
    service = LogService(store, keys, released)
    service.start()
    service.drain()
    judge = Judge(folder, store, keys, service.log)
    judge.check_answers()
    judge.check_checkpoints()
    store.close()
    report = check_store(db, keys=(keys.log.verifier, keys.time.verifier))
    wrong += judge.wrong + report.faults
    seen = {
        "kills": killed,
        "starting": collectors.starting,
        **judge.seen,
        "wrong": wrong[:8],
        "seconds": round(time.monotonic() - began, 1),
    }
    sys.stdout.write(json.dumps(seen) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
