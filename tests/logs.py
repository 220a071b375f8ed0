# SPDX-License-Identifier: Apache-2.0
"""Logs for tests: the published vectors, test keys, and trees by definition."""

from __future__ import annotations

import os
from binascii import a2b_base64
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest

from tallystick.crypto.ed25519 import SigningKey
from tallystick.crypto.merkle import HashAt
from tallystick.crypto.note import PLAIN, TIMED, NoteKey
from tallystick.crypto.strict import parse_json
from tallystick.model.sheet import Sheet
from tallystick.model.submission import Placed

ROOT: Final = Path(__file__).resolve().parent.parent
SHARED: Final = Path(os.environ.get("TALLY_SHARED") or ROOT.parent / "shared")
FILE: Final = SHARED / "vectors" / "tlog" / "tlog_vectors.json"

needs_vectors = pytest.mark.skipif(
    not FILE.is_file(), reason=f"shared vectors not found at {FILE}; set TALLY_SHARED"
)

ORIGIN: Final = "collector.example/log1"

# The keys of the published vectors: seeds that count upward.
LOG_KEY: Final = NoteKey(ORIGIN, PLAIN, SigningKey(seed=bytes(range(32))))
TIME_KEY: Final = NoteKey(ORIGIN, TIMED, SigningKey(seed=bytes(range(0x20, 0x40))))
PROMISE_KEY: Final = NoteKey(f"{ORIGIN}/promise", PLAIN, SigningKey(seed=bytes(range(0x40, 0x60))))
WITNESS_KEY: Final = NoteKey("witness.example/w1", TIMED, SigningKey(seed=bytes(range(0x60, 0x80))))

SHEET: Final = Sheet(
    origin=ORIGIN,
    promise_key=PROMISE_KEY.verifier,
    time_key=TIME_KEY.verifier,
    max_delay_ms=5000,
)


@cache
def vectors() -> Any:
    """Return the published vectors, read by our own strict parser."""
    return parse_json(FILE.read_bytes(), 4 * 1024 * 1024)


def leaf(data: bytes) -> bytes:
    """Return a leaf hash, by definition."""
    return sha256(b"\0" + data).digest()


def node(left: bytes, right: bytes) -> bytes:
    """Return a node's hash, by definition."""
    return sha256(b"\1" + left + right).digest()


def root_by_definition(leaves: Sequence[bytes]) -> bytes:
    """Return the head over leaf hashes, straight from RFC 6962: recursive and slow."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node(root_by_definition(leaves[:split]), root_by_definition(leaves[split:]))


def lookup(leaves: Sequence[bytes]) -> HashAt:
    """Return the roots of a tree's perfect subtrees, computed once each."""
    known: dict[tuple[int, int], bytes] = {}

    def hash_at(level: int, index: int) -> bytes:
        if level == 0:
            return leaves[index]
        found = known.get((level, index))
        if found is None:
            found = node(hash_at(level - 1, 2 * index), hash_at(level - 1, 2 * index + 1))
            known[level, index] = found
        return found

    return hash_at


def path_of(placed: Placed) -> list[bytes]:
    """Return the hashes that the path of a place spells."""
    return [a2b_base64(line) for line in placed.path_lines.splitlines()]


def numbered(count: int) -> list[bytes]:
    """Return the leaf hashes of the published log: entry i is `leaf<i>`."""
    return [leaf(b"leaf%d" % number) for number in range(count)]
