# SPDX-License-Identifier: Apache-2.0
"""Makes what a log gives out: entries, paths, notes.

The tree is RFC 6962's definition, recursive and slow; notes are signed with libsodium. Nothing here
imports tallystick.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import rfc8785
from tools.corpus.making import Json, Key, draft, sign, spell, verdict_of

ORIGIN: Final = "log.example/1"
LOG, TIME, PROMISE = Key("log"), Key("time"), Key("promise")
STRANGER: Final = Key("stranger")
MAX_DELAY_MS: Final = 5000
START_MS: Final = 1_767_323_045_000

UNSHOWN: Final = frozenset({"LOG_ENTRY_MISSING", "LOG_PROOF_MISSING", "LOG_PROMISE_PENDING"})


@dataclass(frozen=True, kw_only=True)
class LogCase:
    """One question about a log: its files, and what they show."""

    kind: str = "log"
    name: str
    why: str
    files: dict[str, bytes]
    codes: tuple[str, ...] = ()
    vkey: str = ""
    place: Json = field(default_factory=dict)

    def contents(self) -> dict[str, bytes]:
        """Return all files of the case's folder."""
        decisive = set(self.codes) - UNSHOWN
        verdict = verdict_of(decisive) if decisive or not self.codes else "unchecked"
        told: Json = {"why": self.why, "verdict": verdict, "codes": sorted(self.codes)}
        told |= {"vkey": self.vkey or key_text(ORIGIN, 1, LOG), **self.place}
        text = json.dumps(told, indent=2, ensure_ascii=False) + "\n"
        return {"expect.json": text.encode(), **self.files}


def b64(data: bytes) -> str:
    """Return standard base64."""
    return b64encode(data).decode()


def sha(data: bytes) -> bytes:
    """Return a SHA-256."""
    return hashlib.sha256(data).digest()


def key_id(name: str, kind: int, key: Key) -> bytes:
    """Return the four bytes that name a key in a note."""
    return sha(name.encode() + b"\n" + bytes([kind]) + key.raw)[:4]


def key_text(name: str, kind: int, key: Key) -> str:
    """Return a public note key as text."""
    return f"{name}+{key_id(name, kind, key).hex()}+{b64(bytes([kind]) + key.raw)}"


def note(text: str, *signers: tuple[str, int, Key], time_s: int = 0) -> bytes:
    """Return the signed note of a text."""
    made = text + "\n"
    for name, kind, key in signers:
        message, stamp = text.encode(), b""
        if kind == 4:
            message = f"cosignature/v1\ntime {time_s}\n{text}".encode()
            stamp = time_s.to_bytes(8, "big")
        made += f"\u2014 {name} {b64(key_id(name, kind, key) + stamp + key.sign(message))}\n"
    return made.encode()


def root(leaves: Sequence[bytes]) -> bytes:
    """Return the head over leaf hashes."""
    if len(leaves) < 2:
        return leaves[0] if leaves else sha(b"")
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sha(b"\1" + root(leaves[:split]) + root(leaves[split:]))


def path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return an inclusion path (RFC 6962, §2.1.1)."""
    if len(leaves) < 2:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return [*path(leaves[:split], index), root(leaves[split:])]
    return [*path(leaves[split:], index - split), root(leaves[:split])]


def between(leaves: Sequence[bytes], old: int, *, is_whole: bool = True) -> list[bytes]:
    """Return a consistency path (RFC 6962, §2.1.2)."""
    if old == len(leaves):
        return [] if is_whole else [root(leaves)]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if old <= split:
        return [*between(leaves[:split], old, is_whole=is_whole), root(leaves[split:])]
    return [*between(leaves[split:], old - split, is_whole=False), root(leaves[:split])]


@cache
def receipts() -> tuple[Json, ...]:
    """Return the receipts that the log took."""
    return tuple(sign(draft("log", number)) for number in range(1, 12))


def entry(receipt: Json, time_ms: int) -> bytes:
    """Return the entry of a receipt."""
    digests = sha(rfc8785.dumps(receipt)) + sha(receipt["id"].encode())
    return b"tally-entry/v1\n" + time_ms.to_bytes(8, "big") + digests


# Entries 0 to 3 in one batch, 4 to 7 in the next, 8 to 10 in the last.
BATCHES: Final = ((0, 4, START_MS), (4, 8, START_MS + 1000), (8, 11, START_MS + 2000))


@cache
def entries() -> tuple[bytes, ...]:
    """Return the entries of the log."""
    return tuple(
        entry(receipts()[index], time_ms)
        for start, stop, time_ms in BATCHES
        for index in range(start, stop)
    )


@cache
def leaves() -> tuple[bytes, ...]:
    """Return the leaf hashes of the log."""
    return tuple(sha(b"\0" + one) for one in entries())


def sheet(key: Key = LOG, /, **changes: str) -> bytes:
    """Return the log's sheet."""
    told = {
        "log": ORIGIN,
        "promise-key": key_text(f"{ORIGIN}/promise", 1, PROMISE),
        "time-key": key_text(ORIGIN, 4, TIME),
        "max-delay-ms": str(MAX_DELAY_MS),
        "entry-format": "tally-entry/v1",
    } | changes
    text = "tally-log/v1\n" + "".join(f"{name} {value}\n" for name, value in told.items())
    return note(text, (ORIGIN, 1, key))


def checkpoint(
    size: int, *, time_s: int = 0, key: Key = LOG, origin: str = ORIGIN, head: bytes = b""
) -> bytes:
    """Return a checkpoint, with the log's time where one is given."""
    text = f"{origin}\n{size}\n{b64(head or root(leaves()[:size]))}\n"
    timed = [(ORIGIN, 4, TIME)] if time_s else []
    return note(text, (ORIGIN, 1, key), *timed, time_s=time_s)


def promise(
    index: int,
    *,
    key: Key = PROMISE,
    by_ms: int = MAX_DELAY_MS,
    hole: int = 0,
    tree: Sequence[bytes] = (),
) -> bytes:
    """Return the promise file of an entry; `hole` shifts the index that it names."""
    start, stop, time_ms = next(one for one in BATCHES if one[0] <= index < one[1])
    own = (tree or leaves())[start:stop]
    text = (
        f"tally-promise/v1\nlog {ORIGIN}\nrange {start} {stop}\nroot {b64(root(own))}\n"
        f"time {time_ms}\nby {time_ms + by_ms}\n"
    )
    head = f"tally-promise-proof/v1\nindex {index + hole}\n"
    hashes = "".join(f"{b64(one)}\n" for one in path(own, index - start))
    return f"{head}{hashes}\n".encode() + note(text, (f"{ORIGIN}/promise", 1, key))


def proof(
    index: int,
    size: int,
    *,
    extra: bytes | None = None,
    own: bytes | None = None,
    hashes: Sequence[bytes] | None = None,
) -> bytes:
    """Return a `.tlog-proof` file."""
    if hashes is None:
        hashes = path(leaves()[:size], index)
    lines = ["c2sp.org/tlog-proof@v1", f"index {index}", *map(b64, hashes)]
    if extra is not None:
        lines.insert(1, f"extra {b64(extra)}")
    above = "".join(f"{line}\n" for line in lines)
    return f"{above}\n".encode() + (own or checkpoint(size))


def consistency(old: int, new: int, **changes: Any) -> bytes:
    """Return what a log answers about two sizes."""
    told = {"from": old, "to": new, "path": [b64(one) for one in between(leaves()[:new], old)]}
    return spell(told | changes) + b"\n"
