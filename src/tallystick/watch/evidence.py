# SPDX-License-Identifier: Apache-2.0
"""Puts evidence together that anybody can judge offline, with the log's public key alone.

Each maker has a try at one kind. What it made counts only where the judge, ours and everybody's,
calls it proven: a monitor never accuses on its own word.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from tallystick.crypto.merkle import verify_consistency, verify_inclusion
from tallystick.crypto.multibase import b64_encode
from tallystick.crypto.note import VerifierKey
from tallystick.errors import UnreadableError
from tallystick.verify.fraud import judge
from tallystick.watch.served import LogReader, ServedTree
from tallystick.watch.spoken import Spoken

# Index, leaf hash and path, as they stand in the tree of one checkpoint.
FoundLeaf: TypeAlias = tuple[int, bytes, list[bytes]]


class Fraud(msgspec.Struct, frozen=True, kw_only=True):
    """One proven contradiction of a log with itself."""

    kind: str
    reason: str
    evidence: bytes


class Prosecutor:
    """Makes evidence about one log."""

    def __init__(self, sheet: bytes, log_key: VerifierKey) -> None:
        """Take the sheet that the log signed, and the key that is trusted."""
        self._sheet = sheet
        self._log_key = log_key

    def contradiction(self, kind: str, older: Spoken, newer: Spoken) -> Fraud | None:
        """Return what two checkpoints alone prove: fork/same-size or rollback."""
        return self._proven(kind, checkpoints=(older, newer))

    def other_beginning(
        self, older: Spoken, newer: Spoken, root: bytes, path: Sequence[bytes]
    ) -> Fraud | None:
        """Return the proof that a larger tree begins with another root than the one signed."""
        prefix = {"root": b64_encode(root), "path": [b64_encode(one) for one in path]}
        return self._proven("fork/prefix", checkpoints=(older, newer), prefix=prefix)

    def broken_position(
        self, promise: bytes, promised: bytes, spoken: Spoken, found: FoundLeaf
    ) -> Fraud | None:
        """Return the proof that another leaf stands where this one was promised."""
        index, leaf, path = found
        return self._proven(
            "broken/position",
            promises=(promise,),
            promised=(promised,),
            checkpoints=(spoken,),
            leaves=[_leaf(0, index, path, hash=leaf)],
        )

    def overdue(self, promise: bytes, spoken: Spoken) -> Fraud | None:
        """Return the proof that a checkpoint came out too late without what was promised."""
        return self._proven("broken/overdue", promises=(promise,), checkpoints=(spoken,))

    def double_promise(self, one: tuple[bytes, bytes], other: tuple[bytes, bytes]) -> Fraud | None:
        """Return the proof that one index was promised to two leaves; pairs are (file, leaf)."""
        promises, promised = zip(one, other, strict=True)
        return self._proven("double-promise", promises=promises, promised=promised)

    def wrong_times(
        self,
        kind: str,
        spoken: Sequence[Spoken],
        entries: Sequence[tuple[int, bytes]],
        paths: Sequence[Sequence[bytes]],
    ) -> Fraud | None:
        """Return the proof that entries of the last checkpoint lie about their time."""
        last = len(spoken) - 1
        leaves = [
            _leaf(last, index, path, entry=entry)
            for (index, entry), path in zip(entries, paths, strict=True)
        ]
        return self._proven(kind, checkpoints=spoken, leaves=leaves)

    def _proven(
        self,
        kind: str,
        *,
        checkpoints: Sequence[Spoken] = (),
        promises: Sequence[bytes] = (),
        promised: Sequence[bytes] = (),
        leaves: Sequence[dict[str, Any]] = (),
        prefix: dict[str, Any] | None = None,
    ) -> Fraud | None:
        parts: dict[str, Any] = {
            "promises": [one.decode() for one in promises],
            "promised": [b64_encode(one) for one in promised],
            "checkpoints": [one.note.decode() for one in checkpoints],
            "leaves": list(leaves),
            "prefix": prefix,
        }
        whole = {"type": "tally-fraud/v1", "kind": kind, "sheet": self._sheet.decode()}
        whole |= {name: part for name, part in parts.items() if part}
        evidence = json.dumps(whole, ensure_ascii=False, indent=1).encode() + b"\n"
        judgement = judge(evidence, self._log_key)
        if not judgement.is_proven:
            return None
        return Fraud(kind=kind, reason=judgement.reason, evidence=evidence)


def served_beginning(size: int, newer: Spoken, reader: LogReader) -> tuple[bytes, list[bytes]]:
    """Return the first `size` entries' root in a larger tree, with the path that proves it."""
    tree = ServedTree(reader, newer.size)
    root, path = tree.root(size), tree.consistency(size)
    if not verify_consistency(size, newer.size, root, newer.root, path):
        raise UnreadableError(
            f"the tiles of size {newer.size} do not lead to the root that was signed for it"
        )
    return root, path


def served_leaf(index: int, spoken: Spoken, tree: ServedTree) -> tuple[bytes, list[bytes]]:
    """Return a leaf hash out of the tiles, with the path that proves it."""
    leaf, path = tree.leaf(index), tree.inclusion(index)
    if not verify_inclusion(leaf, index, spoken.size, path, spoken.root):
        raise UnreadableError(
            f"the tiles of size {spoken.size} do not lead to the root that was signed for it"
        )
    return leaf, path


def _leaf(checkpoint: int, index: int, path: Sequence[bytes], **what: bytes) -> dict[str, Any]:
    encoded = {name: b64_encode(value) for name, value in what.items()}
    place = {"checkpoint": checkpoint, "index": index}
    return place | encoded | {"path": [b64_encode(one) for one in path]}
