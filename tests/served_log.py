# SPDX-License-Identifier: Apache-2.0
"""A collector's log that a test holds in its hand: honest, unless it is told to lie.

It has real keys, and signs whatever it is told to, as a malicious operator would. A monitor reads
it through `get`, or over HTTP as `served` shows it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self

import msgspec
from tests import logs

from tallystick.collector.log_keys import LogKeys
from tallystick.crypto.merkle import HASH_BYTES, path_in, tree_root, tree_rows
from tallystick.crypto.multibase import b64_encode
from tallystick.crypto.note import sign_note
from tallystick.model.log_entry import Entry
from tallystick.model.promise import encode_promise_file
from tallystick.model.sheet import Sheet
from tallystick.model.submission import Batch, Intent
from tallystick.model.tile import encode_bundle, parse_tile_path, width_in

MAX_DELAY_MS: Final = 5000
SHEET: Final = Sheet(
    origin=logs.ORIGIN,
    promise_key=logs.PROMISE_KEY.verifier,
    time_key=logs.TIME_KEY.verifier,
    max_delay_ms=MAX_DELAY_MS,
)
KEYS: Final = LogKeys(
    log=logs.LOG_KEY,
    time=logs.TIME_KEY,
    promise=logs.PROMISE_KEY,
    sheet=sign_note(SHEET.encode(), [logs.LOG_KEY]),
    max_delay_ms=MAX_DELAY_MS,
)
VKEY: Final = logs.LOG_KEY.verifier
START_S: Final = 1_700_000_000


class ServedLog:
    """One log. Its clock stands still until it is moved."""

    def __init__(self, now_s: float = START_S) -> None:
        self.now_s = now_s
        self.entries: list[bytes] = []
        self.checkpoint = b""
        self.answers: dict[str, bytes] = {}  # what a client was told, by receipt id
        self.missing: set[str] = set()  # paths that it pretends not to have
        self.instead: dict[str, bytes] = {}  # what it serves under a path in place of the truth
        self.sheet = KEYS.sheet
        self.release()

    def copy(self) -> Self:
        """Return a second log with the same past: what a fork begins with."""
        other = type(self)(self.now_s)
        other.entries, other.checkpoint = list(self.entries), self.checkpoint
        return other

    def passes(self, seconds: float) -> Self:
        """Let time pass."""
        self.now_s += seconds
        return self

    def entry(self, receipt_id: str, time_s: float | None = None) -> bytes:
        """Return the entry of a receipt."""
        time_ms = int(1000 * (self.now_s if time_s is None else time_s))
        digest = sha256(b"receipt " + receipt_id.encode()).digest()
        return Entry(time_ms, digest, sha256(receipt_id.encode()).digest()).encode()

    def promise(self, *receipt_ids: str, at: int | None = None) -> list[bytes]:
        """Return the bodies of the 201s of one commit; nothing is in the log by that."""
        entries = [self.entry(one) for one in receipt_ids]
        leaves = [logs.leaf(one) for one in entries]
        start = len(self.entries) if at is None else at
        time_ms = int(1000 * self.now_s)
        batch = Batch(start, start + len(leaves), time_ms, tree_root(leaves))
        note = KEYS.promise_note(batch)
        bodies = []
        rows = tree_rows(leaves)
        for place, entry in enumerate(entries):
            file = encode_promise_file(start + place, path_in(rows, place), note)
            body = {"id": receipt_ids[place], "entry": b64_encode(entry), "promise": file.decode()}
            bodies.append(msgspec.json.encode(body))
        self.answers |= dict(zip(receipt_ids, bodies, strict=True))
        return bodies

    def take(self, *receipt_ids: str) -> list[bytes]:
        """Take receipts in one commit, honestly; return the bodies of the 201s."""
        bodies = self.promise(*receipt_ids)
        self.entries += [self.entry(one) for one in receipt_ids]
        return bodies

    def fill(self, count: int, name: str = "r") -> Self:
        """Take so many receipts, honestly."""
        self.take(*(f"{name}{len(self.entries) + one}" for one in range(count)))
        return self

    def release(self, time_s: float | None = None) -> bytes:
        """Sign and show a checkpoint of all entries; return it."""
        intent = Intent(
            number=1,
            time_s=int(self.now_s if time_s is None else time_s),
            size=len(self.entries),
            root=self.root(),
        )
        self.checkpoint = KEYS.checkpoint_note(intent)
        return self.checkpoint

    def root(self, size: int | None = None) -> bytes:
        """Return the head of the first entries, or of all."""
        return tree_root(logs.leaf(one) for one in self.entries[:size])

    def get(self, path: str, /) -> bytes | None:
        """Return a resource of the log."""
        if path in self.missing:
            return None
        if path in self.instead:
            return self.instead[path]
        if path == "checkpoint":
            return self.checkpoint
        if path == "sheet":
            return self.sheet
        tile = parse_tile_path(path)
        if tile is None or width_in(tile.level or 0, tile.number, len(self.entries)) < tile.width:
            return None
        start = 256 * tile.number
        if tile.level is None:
            return encode_bundle(self.entries[start : start + tile.width])
        row = [logs.leaf(one) for one in self.entries]
        for _ in range(tile.level):
            row = [tree_root(row[at : at + 256]) for at in range(0, len(row) - 255, 256)]
        data = b"".join(row[start : start + tile.width])
        assert len(data) == tile.width * HASH_BYTES
        return data


@contextmanager
def served(log: Any) -> Iterator[str]:
    """Serve a log over HTTP, and yield the URL of its collector."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = log.get(self.path.removeprefix("/log/"))
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
