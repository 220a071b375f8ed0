# SPDX-License-Identifier: Apache-2.0
"""A log in memory that keeps all rules of an honest one, however its clock jumps."""

from __future__ import annotations

from hashlib import sha256

from tests.logs import LOG_KEY, ORIGIN, PROMISE_KEY, SHEET, TIME_KEY, WITNESS_KEY, lookup

from tallystick.crypto.merkle import (
    consistency,
    inclusion,
    leaf_hash,
    path_in,
    tree_root,
    tree_rows,
)
from tallystick.crypto.note import sign_note
from tallystick.model.checkpoint import Checkpoint
from tallystick.model.fraud import FraudLeaf, Prefix
from tallystick.model.log_entry import encode_entry
from tallystick.model.log_proof import LogProof
from tallystick.model.promise import Promise, encode_promise_file

SHEET_NOTE = sign_note(SHEET.encode(), [LOG_KEY])


class HonestLog:
    """Sequences, promises and signs as the rules say; a subclass may break one of them."""

    def __init__(self) -> None:
        self.last_ms = 0
        self.entries: list[bytes] = []
        self.leaves: list[bytes] = []
        self.batches: list[tuple[int, int, int]] = []
        # (time in seconds, size, note) of each checkpoint
        self.checkpoints: list[tuple[int, int, bytes]] = []

    def place(self, clock_ms: int, count: int) -> None:
        """Take so many receipts in one durable commit."""
        self.last_ms = max(clock_ms, self.last_ms)
        start = len(self.entries)
        for number in range(start, start + count):
            self.add(encode_entry(self.last_ms, _hash(f"receipt {number}"), _hash(f"{number}")))
        self.batches.append((start, start + count, self.last_ms))

    def place_receipt(self, clock_ms: int, digest: bytes, id_hash: bytes) -> int:
        """Take one receipt, and return its index."""
        self.last_ms = max(clock_ms, self.last_ms)
        index = len(self.entries)
        self.add(encode_entry(self.last_ms, digest, id_hash))
        self.batches.append((index, index + 1, self.last_ms))
        return index

    def add(self, entry: bytes) -> None:
        """Append one entry."""
        self.entries.append(entry)
        self.leaves.append(leaf_hash(entry))

    def sign(self, clock_ms: int) -> bytes:
        """Release a checkpoint of all entries; its time is fenced like that of an entry."""
        self.last_ms = max(clock_ms, self.last_ms)
        return self.sign_size(len(self.leaves), self.last_ms // 1000)

    def sign_size(self, size: int, time_s: int) -> bytes:
        """Release a checkpoint of a size, at a time."""
        note = sign_note(self.text(size), [LOG_KEY, TIME_KEY], time_s=time_s)
        self.checkpoints.append((time_s, size, note))
        return note

    def text(self, size: int) -> str:
        """Return the text of a checkpoint."""
        return Checkpoint(origin=ORIGIN, size=size, root=self.root(size)).encode()

    def root(self, size: int) -> bytes:
        """Return the head at a size."""
        return tree_root(self.leaves[:size])

    def promise(self, index: int) -> bytes:
        """Return the promise file of an entry: the same bytes each time."""
        start, stop, time_ms = next(one for one in self.batches if one[0] <= index < one[1])
        leaves = self.leaves[start:stop]
        promise = Promise(
            origin=ORIGIN,
            start=start,
            stop=stop,
            root=tree_root(leaves),
            time_ms=time_ms,
            by_ms=time_ms + SHEET.max_delay_ms,
        )
        note = sign_note(promise.encode(), [PROMISE_KEY])
        return encode_promise_file(index, path_in(tree_rows(leaves), index - start), note)

    def path(self, index: int, size: int) -> tuple[bytes, ...]:
        """Return an inclusion path."""
        return tuple(inclusion(lookup(self.leaves), index, size))

    def leaf(self, checkpoint: int, index: int, size: int, *, is_entry: bool) -> FraudLeaf:
        """Return a leaf as evidence shows it."""
        path = self.path(index, size)
        if is_entry:
            entry = self.entries[index]
            return FraudLeaf(checkpoint=checkpoint, index=index, path=path, entry=entry)
        leaf = self.leaves[index]
        return FraudLeaf(checkpoint=checkpoint, index=index, path=path, hash=leaf)

    def prefix(self, old: int, new: int) -> Prefix:
        """Return the head at a size, with its path to that of a larger one."""
        path = tuple(consistency(lookup(self.leaves), old, new))
        return Prefix(root=self.root(old), path=path)

    def proof(self, index: int, note: bytes, size: int) -> bytes:
        """Return the `.tlog-proof` of an entry under a checkpoint."""
        entry = self.entries[index]
        return LogProof(index=index, path=self.path(index, size), note=note, extra=entry).encode()

    def witnessed(self, at: int, time_s: int) -> bytes:
        """Return a checkpoint whose only time is a witness's, and whose clock may be anywhere."""
        _, size, _ = self.checkpoints[at]
        return sign_note(self.text(size), [LOG_KEY, WITNESS_KEY], time_s=time_s)


def _hash(text: str) -> bytes:
    return sha256(text.encode()).digest()
