# SPDX-License-Identifier: Apache-2.0
"""The judge of evidence against a log: anybody, offline, with the log's public key alone.

Convicted is whoever holds the log key: an honest log can't be framed, because

1. the key comes from the judge, never from the file; every part is opened under it, or under the
   keys that its sheet binds, and all are of one origin;
2. size and root come from one signed checkpoint; an index from a signed range or from a path whose
   length is exact; a leaf is what the entry's bytes hash to. So two answers for one index, or for
   one beginning, need a collision of SHA-256;
3. a time is the log's own. No witness's clock convicts anybody;
4. every comparison favours the log: times are floored to seconds, a checkpoint's time counts as the
   last moment of its second where that helps, and the whole delay is slack.

What is malformed proves nothing. The judge answers, and never raises for what a file holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from tallystick.crypto.merkle import leaf_hash, verify_consistency, verify_inclusion
from tallystick.crypto.note import VerifierKey
from tallystick.errors import LogFormatError
from tallystick.model.checkpoint import SignedCheckpoint, open_checkpoint
from tallystick.model.fraud import Evidence, FraudLeaf, Prefix, parse_evidence
from tallystick.model.log_entry import Entry, parse_entry
from tallystick.model.promise import SignedPromise, open_promise
from tallystick.model.sheet import Sheet, parse_sheet

Outcome: TypeAlias = Literal["proven", "not proven", "malformed"]


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What a judge finds: proven or not, and why."""

    outcome: Outcome
    kind: str  # "" where the file does not even say one that we know
    reason: str

    @property
    def is_proven(self) -> bool:
        """Whether the log contradicted itself. Malformed evidence proves nothing."""
        return self.outcome == "proven"


class _Leaf(msgspec.Struct, frozen=True, kw_only=True):
    index: int
    hash: bytes
    entry: Entry | None


class _Case(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of evidence, every signature and path checked."""

    sheet: Sheet
    checkpoints: tuple[SignedCheckpoint, ...]
    promises: tuple[SignedPromise, ...]
    promised: tuple[bytes, ...]
    leaves: tuple[_Leaf, ...]
    prefix: Prefix | None


def judge(data: bytes, log_key: VerifierKey) -> Judgement:
    """Return the judgement on an evidence file about the log of this key."""
    kind = ""
    try:
        evidence = parse_evidence(data)
        kind = evidence.kind
        case = _open(evidence, log_key)
    except LogFormatError as fault:
        return Judgement(outcome="malformed", kind=kind, reason=str(fault))
    is_proven, reason = _JUDGES[kind](case)
    return Judgement(outcome="proven" if is_proven else "not proven", kind=kind, reason=reason)


def _open(evidence: Evidence, log_key: VerifierKey) -> _Case:
    sheet = parse_sheet(evidence.sheet, log_key)
    checkpoints = tuple(
        open_checkpoint(note, log_key, sheet.time_key) for note in evidence.checkpoints
    )
    return _Case(
        sheet=sheet,
        checkpoints=checkpoints,
        promises=tuple(open_promise(file, sheet) for file in evidence.promises),
        promised=evidence.promised,
        leaves=tuple(_open_leaf(leaf, checkpoints[leaf.checkpoint]) for leaf in evidence.leaves),
        prefix=evidence.prefix,
    )


def _open_leaf(leaf: FraudLeaf, checkpoint: SignedCheckpoint) -> _Leaf:
    entry = None if leaf.entry is None else parse_entry(leaf.entry)
    found = leaf.hash if leaf.entry is None else leaf_hash(leaf.entry)
    assert found is not None
    if not verify_inclusion(found, leaf.index, checkpoint.size, leaf.path, checkpoint.root):
        raise LogFormatError(
            f"leaf {leaf.index} is not shown to be in the checkpoint of size {checkpoint.size}"
        )
    return _Leaf(index=leaf.index, hash=found, entry=entry)


# ---- one judge for each kind: whether it is proven, and why


_Answer: TypeAlias = tuple[bool, str]
_UNTIMED: Final = (False, "a checkpoint without the log's own time says nothing about time")


def _same_size(case: _Case) -> _Answer:
    one, other = case.checkpoints
    if one.size != other.size:
        return False, f"the sizes {one.size} and {other.size} differ, so the roots may"
    if one.root == other.root:
        return False, f"both checkpoints of size {one.size} have one root"
    return True, f"two roots were signed for size {one.size}"


def _prefix(case: _Case) -> _Answer:
    (one, other), prefix = case.checkpoints, case.prefix
    assert prefix is not None
    if not 0 < one.size < other.size:
        return False, f"size {one.size} is not a beginning of size {other.size}"
    if prefix.root == one.root:
        return False, f"the larger tree begins with the root that was signed for size {one.size}"
    if not verify_consistency(one.size, other.size, prefix.root, other.root, prefix.path):
        return False, f"the path does not lead to the root that was signed for size {other.size}"
    return True, f"the tree of size {other.size} begins with another one of size {one.size}"


def _two_leaves(case: _Case) -> _Answer:
    one, other = case.leaves
    if one.index != other.index:
        return False, f"the indexes {one.index} and {other.index} differ"
    if one.hash == other.hash:
        return False, f"both checkpoints hold one leaf at index {one.index}"
    return True, f"two checkpoints hold different leaves at index {one.index}"


def _position(case: _Case) -> _Answer:
    (promise,), (promised,), (leaf,) = case.promises, case.promised, case.leaves
    if not promise.holds(promised):
        return False, f"this leaf was not promised at index {promise.index}"
    if leaf.index != promise.index:
        return False, f"index {promise.index} was promised, and {leaf.index} is shown"
    if leaf.hash == promised:
        return False, f"the promised leaf stands at index {leaf.index}"
    return True, f"another leaf stands where one was promised, at index {leaf.index}"


def _overdue(case: _Case) -> _Answer:
    (promise,), (checkpoint,) = case.promises, case.checkpoints
    time_s, by_ms, stop = checkpoint.time_s, promise.promise.by_ms, promise.promise.stop
    if time_s is None:
        return _UNTIMED
    if checkpoint.size >= stop:
        return False, f"size {checkpoint.size} covers what was promised up to {stop}"
    if 1000 * time_s < by_ms:
        return False, f"at {time_s} s the promise was not due: it is by {by_ms} ms"
    return True, f"at {time_s} s the size was {checkpoint.size}, with {stop} due by {by_ms} ms"


def _double_promise(case: _Case) -> _Answer:
    (one, other), (first, second) = case.promises, case.promised
    if not one.holds(first) or not other.holds(second):
        return False, "a leaf is not the one that its promise was given for"
    if one.index != other.index:
        return False, f"the indexes {one.index} and {other.index} differ"
    if first == second:
        return False, f"both promises are about one leaf at index {one.index}"
    return True, f"index {one.index} was promised to two leaves"


def _rollback(case: _Case) -> _Answer:
    one, other = case.checkpoints
    if one.time_s is None or other.time_s is None:
        return _UNTIMED
    if one.time_s >= other.time_s:
        return False, f"{one.time_s} s is not before {other.time_s} s"
    if one.size <= other.size:
        return False, f"the size did not fall: {one.size}, then {other.size}"
    return True, (
        f"the size fell from {one.size} at {one.time_s} s to {other.size} at {other.time_s} s"
    )


def _backdated(case: _Case) -> _Answer:
    (before, _), (leaf,) = case.checkpoints, case.leaves
    assert leaf.entry is not None
    if before.time_s is None:
        return _UNTIMED
    if leaf.index < before.size:
        return False, f"index {leaf.index} was there at size {before.size} already"
    said_ms = leaf.entry.time_ms
    if said_ms + case.sheet.max_delay_ms > 1000 * before.time_s:
        return False, f"{said_ms} ms is within the allowed delay of {before.time_s} s"
    return True, (
        f"entry {leaf.index} says {said_ms} ms, and was not there at {before.time_s} s, "
        "the delay allowed for"
    )


def _postdated(case: _Case) -> _Answer:
    (checkpoint,), (leaf,) = case.checkpoints, case.leaves
    assert leaf.entry is not None
    if checkpoint.time_s is None:
        return _UNTIMED
    said_ms = leaf.entry.time_ms
    if said_ms < 1000 * (checkpoint.time_s + 1):
        return False, f"{said_ms} ms is not after the second {checkpoint.time_s}"
    return True, f"entry {leaf.index} says {said_ms} ms, and was there at {checkpoint.time_s} s"


def _disorder(case: _Case) -> _Answer:
    one, other = case.leaves
    assert one.entry is not None and other.entry is not None
    if one.index >= other.index:
        return False, f"index {one.index} is not before {other.index}"
    if one.entry.time_ms <= other.entry.time_ms:
        return False, f"the times of {one.index} and {other.index} are in order"
    return True, (
        f"entry {one.index} says {one.entry.time_ms} ms, "
        f"and {other.index} after it {other.entry.time_ms} ms"
    )


_JUDGES: Final[Mapping[str, Callable[[_Case], _Answer]]] = {
    "fork/same-size": _same_size,
    "fork/prefix": _prefix,
    "fork/leaf": _two_leaves,
    "broken/position": _position,
    "broken/overdue": _overdue,
    "double-promise": _double_promise,
    "rollback": _rollback,
    "backdated": _backdated,
    "postdated": _postdated,
    "disorder": _disorder,
}
