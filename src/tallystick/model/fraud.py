# SPDX-License-Identifier: Apache-2.0
"""Evidence against a log: one JSON object that holds the log's own signed words.

The schema is closed. Each kind has its parts, and no others; what each kind convicts for stands in
`tallystick.verify.fraud`. A file says nothing about whom to trust: the log's public key comes from
whoever judges.

    {"type": "tally-fraud/v1", "kind": "broken/position", "sheet": "<note>",
     "promises": ["<promise file>"], "promised": ["<base64 leaf hash>"],
     "checkpoints": ["<note>"],
     "leaves": [{"checkpoint": 0, "index": 5, "hash": "<base64>", "path": ["<base64>", …]}]}

A leaf has its `entry` (base64) instead of `hash` where the time inside counts; `fork/prefix` has
`"prefix": {"root": "<base64>", "path": […]}`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from tallystick.crypto.multibase import b64_decode, b64_encode
from tallystick.crypto.strict import parse_json
from tallystick.errors import EncodingError, LogFormatError, MalformedInput
from tallystick.limits import FRAUD_BYTES_MAX
from tallystick.model.log_text import hash_in, number_in, path_from

EVIDENCE_TYPE: Final = "tally-fraud/v1"


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What a kind of evidence is made of."""

    checkpoints: int = 0
    promises: int = 0
    promised: int = 0
    leaves: tuple[int, ...] = ()  # for each leaf, the checkpoint that it is in
    has_entries: bool = False  # leaves are given by their entries, not by their hashes
    has_prefix: bool = False


KINDS: Final[Mapping[str, Parts]] = {
    "fork/same-size": Parts(checkpoints=2),
    "fork/prefix": Parts(checkpoints=2, has_prefix=True),
    "fork/leaf": Parts(checkpoints=2, leaves=(0, 1)),
    "broken/position": Parts(promises=1, promised=1, checkpoints=1, leaves=(0,)),
    "broken/overdue": Parts(promises=1, checkpoints=1),
    "double-promise": Parts(promises=2, promised=2),
    "rollback": Parts(checkpoints=2),
    "backdated": Parts(checkpoints=2, leaves=(1,), has_entries=True),
    "postdated": Parts(checkpoints=1, leaves=(0,), has_entries=True),
    "disorder": Parts(checkpoints=1, leaves=(0, 0), has_entries=True),
}


class FraudLeaf(msgspec.Struct, frozen=True, kw_only=True):
    """A leaf with its path to the root of one of the checkpoints."""

    checkpoint: int
    index: int
    path: tuple[bytes, ...]
    hash: bytes | None = None
    entry: bytes | None = None


class Prefix(msgspec.Struct, frozen=True, kw_only=True):
    """Another root for the size of the first checkpoint, and its path to the second one's."""

    root: bytes
    path: tuple[bytes, ...]


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of one piece of evidence. Nothing checked but their number."""

    kind: str
    sheet: bytes
    promises: tuple[bytes, ...] = ()
    promised: tuple[bytes, ...] = ()
    checkpoints: tuple[bytes, ...] = ()
    leaves: tuple[FraudLeaf, ...] = ()
    prefix: Prefix | None = None

    def encode(self) -> bytes:
        """Return the bytes of the file."""
        whole: dict[str, Any] = {
            "type": EVIDENCE_TYPE,
            "kind": self.kind,
            "sheet": self.sheet.decode(),
            "promises": [one.decode() for one in self.promises],
            "promised": [b64_encode(one) for one in self.promised],
            "checkpoints": [one.decode() for one in self.checkpoints],
            "leaves": [_leaf_text(leaf) for leaf in self.leaves],
        }
        whole = {name: part for name, part in whole.items() if part}
        if self.prefix is not None:
            path = [b64_encode(one) for one in self.prefix.path]
            whole["prefix"] = {"root": b64_encode(self.prefix.root), "path": path}
        return json.dumps(whole, ensure_ascii=False, indent=1).encode() + b"\n"


class _Leaf(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    checkpoint: int
    index: int
    path: list[str]
    hash: str | UnsetType = UNSET
    entry: str | UnsetType = UNSET


class _Prefix(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    root: str
    path: list[str]


class _File(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    type: str
    kind: str
    sheet: str
    promises: list[str] | UnsetType = UNSET
    promised: list[str] | UnsetType = UNSET
    checkpoints: list[str] | UnsetType = UNSET
    leaves: list[_Leaf] | UnsetType = UNSET
    prefix: _Prefix | UnsetType = UNSET


def parse_evidence(data: bytes) -> Evidence:
    """Return the parts of an evidence file, in the number that its kind has."""
    try:
        file = msgspec.convert(parse_json(data, FRAUD_BYTES_MAX), _File)
    except MalformedInput as fault:
        raise LogFormatError(f"evidence is not strict JSON: {fault}") from None
    except msgspec.ValidationError as fault:
        raise LogFormatError(f"evidence is not of the schema: {fault}") from None
    if file.type != EVIDENCE_TYPE:
        raise LogFormatError(f"evidence is not of type {EVIDENCE_TYPE}")
    parts = KINDS.get(file.kind)
    if parts is None:
        raise LogFormatError("evidence is of no kind that we know")
    leaves = _counted(file.leaves, len(parts.leaves), "leaves")
    if [leaf.checkpoint for leaf in leaves] != list(parts.leaves):
        raise LogFormatError("a leaf is in another checkpoint than this kind of evidence needs")
    if (file.prefix is not UNSET) is not parts.has_prefix:
        raise LogFormatError("prefix belongs to evidence of the kind fork/prefix, and to no other")
    promised = _counted(file.promised, parts.promised, "promised")
    return Evidence(
        kind=file.kind,
        sheet=file.sheet.encode(),
        promises=tuple(one.encode() for one in _counted(file.promises, parts.promises, "promises")),
        promised=tuple(hash_in(one, "promised leaf") for one in promised),
        checkpoints=tuple(
            one.encode() for one in _counted(file.checkpoints, parts.checkpoints, "checkpoints")
        ),
        leaves=tuple(_leaf(leaf, has_entry=parts.has_entries) for leaf in leaves),
        prefix=None if file.prefix is UNSET else _prefix(file.prefix),
    )


def _counted(part: list[Any] | UnsetType, count: int, name: str) -> list[Any]:
    """Return a part that has so many items; one that must not be there is absent, not empty."""
    if part is UNSET:
        part = []
    elif count == 0:
        raise LogFormatError(f"evidence of this kind has no {name}")
    if len(part) != count:
        raise LogFormatError(f"evidence of this kind has {count} {name}, not {len(part)}")
    return part


def _leaf(leaf: _Leaf, *, has_entry: bool) -> FraudLeaf:
    wanted, other = (leaf.entry, leaf.hash) if has_entry else (leaf.hash, leaf.entry)
    if wanted is UNSET or other is not UNSET:
        name = "entry" if has_entry else "hash"
        raise LogFormatError(f"a leaf in evidence of this kind is given by its {name} alone")
    # JSON has no integers above 2^53 that all read alike, and strict.parse_json takes none.
    index = number_in(str(leaf.index), "index of a leaf")
    path = path_from(leaf.path, "evidence")
    if not has_entry:
        leaf_hash = hash_in(wanted, "hash of a leaf")
        return FraudLeaf(checkpoint=leaf.checkpoint, index=index, path=path, hash=leaf_hash)
    try:
        entry = b64_decode(wanted)
    except EncodingError as fault:
        raise LogFormatError(f"entry of a leaf is {fault}") from None
    return FraudLeaf(checkpoint=leaf.checkpoint, index=index, path=path, entry=entry)


def _prefix(prefix: _Prefix) -> Prefix:
    path = path_from(prefix.path, "evidence")
    return Prefix(root=hash_in(prefix.root, "root of the prefix"), path=path)


def _leaf_text(leaf: FraudLeaf) -> dict[str, Any]:
    path: Sequence[str] = [b64_encode(one) for one in leaf.path]
    whole: dict[str, Any] = {"checkpoint": leaf.checkpoint, "index": leaf.index, "path": path}
    if leaf.hash is not None:
        whole["hash"] = b64_encode(leaf.hash)
    if leaf.entry is not None:
        whole["entry"] = b64_encode(leaf.entry)
    return whole
