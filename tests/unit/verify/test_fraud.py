# SPDX-License-Identifier: Apache-2.0
"""The judge: the published evidence, random assemblies from honest logs, and broken files."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.honest_log import SHEET_NOTE, HonestLog
from tests.logs import LOG_KEY, ORIGIN, needs_vectors, vectors

from tallystick.crypto.ed25519 import SigningKey
from tallystick.crypto.merkle import leaf_hash
from tallystick.crypto.note import PLAIN, NoteKey, VerifierKey
from tallystick.limits import FRAUD_BYTES_MAX
from tallystick.model.fraud import KINDS, Evidence, FraudLeaf, Prefix, parse_evidence
from tallystick.model.log_entry import encode_entry
from tallystick.verify.fraud import Judgement, judge

LOG = LOG_KEY.verifier
START_MS = 1_700_000_000_000


# ---- the published evidence


@needs_vectors
def test_published_evidence() -> None:
    """All 11 convictions and all 29 framing attempts are judged as published."""
    rows = vectors()["fraud"]
    assert len(rows) == 40
    found: Counter[str] = Counter()
    for row in rows:
        judgement = judge(json.dumps(row["proof"]).encode(), LOG)
        assert judgement.outcome == row["expect"], (row["name"], judgement)
        assert judgement.is_proven is (row["expect"] == "proven")
        assert judgement.kind in (row["proof"]["kind"], "")
        assert judgement.reason
        found[judgement.outcome] += 1
    assert found == {"proven": 11, "not proven": 20, "malformed": 9}


@needs_vectors
def test_published_evidence_under_another_key() -> None:
    """Evidence convicts the log of the judge's key alone; the file can't name another."""
    stranger = NoteKey(ORIGIN, PLAIN, SigningKey(seed=b"s" * 32)).verifier
    namesake = VerifierKey("other.example/log", PLAIN, LOG.public_key)
    for row in vectors()["fraud"]:
        for key in (stranger, namesake):
            assert judge(json.dumps(row["proof"]).encode(), key).outcome == "malformed"


# ---- an honest log can't be framed


def grown_log(chance: random.Random) -> HonestLog:
    """Return an honest log after some batches, outages, clock steps and re-signed checkpoints."""
    log = HonestLog()
    clock_ms = START_MS
    for _ in range(chance.randrange(6, 14)):
        clock_ms += chance.choice([0, 1, 300, 999, 1000, 5000, 20_000, -3000, -60_000])
        if chance.random() < 0.6:
            log.place(clock_ms, chance.randrange(1, 6))
        else:
            log.sign(clock_ms)
    log.place(clock_ms, 2)
    log.sign(clock_ms)
    log.sign(clock_ms + chance.choice([0, 10_000]))
    return log


def assembled(log: HonestLog, chance: random.Random) -> Evidence:
    """Return evidence of a random kind, put together from what the log has really said."""
    kind = chance.choice(list(KINDS))
    parts = KINDS[kind]
    chosen = [chance.choice(log.checkpoints) for _ in range(parts.checkpoints)]
    notes = [note for _, _, note in chosen]
    if notes and chance.random() < 0.1:
        time_s = chance.randrange(1, 2**40)
        notes[-1] = log.witnessed(log.checkpoints.index(chosen[-1]), time_s)
    elif notes and chance.random() < 0.1:
        notes[-1] = with_all_times(log, chosen[-1][1], chance)
    promised = [chance.randrange(len(log.leaves)) for _ in range(parts.promises)]
    if chance.random() < 0.5:
        promised = promised[:1] * parts.promises
    wanted = promised[0] if promised and chance.random() < 0.7 else None
    if kind == "fork/leaf":
        wanted = chance.randrange(len(log.leaves))
    shown = [chance.choice(log.leaves), log.leaves[promised[0]]] if promised else []
    return Evidence(
        kind=kind,
        sheet=SHEET_NOTE,
        promises=tuple(log.promise(index) for index in promised),
        promised=tuple(
            chance.choice([log.leaves[index], chance.choice(shown)])
            for index in promised[: parts.promised]
        ),
        checkpoints=tuple(notes),
        leaves=tuple(
            any_leaf(log, chance, at, chosen[at][1], wanted, is_entry=parts.has_entries)
            for at in parts.leaves
        ),
        prefix=any_prefix(log, chance, chosen) if parts.has_prefix else None,
    )


def with_all_times(log: HonestLog, size: int, chance: random.Random) -> bytes:
    """Return a checkpoint with the signature lines of every time at which it was re-signed."""
    notes = [note for _, other, note in log.checkpoints if other == size]
    lines = [line for note in notes for line in note[note.index(b"\n\n") + 2 :].splitlines(True)]
    chance.shuffle(lines)
    return notes[0][: notes[0].index(b"\n\n") + 2] + b"".join(lines)


def any_leaf(
    log: HonestLog, chance: random.Random, at: int, size: int, wanted: int | None, *, is_entry: bool
) -> FraudLeaf:
    """Return a leaf of the log, now and then with the index, size or bytes of another."""
    size = size or 1
    index = wanted if wanted is not None and wanted < size else chance.randrange(size)
    leaf = log.leaf(at, index, size, is_entry=is_entry)
    if chance.random() < 0.8:
        return leaf
    other = chance.randrange(size)
    changes: list[dict[str, Any]] = [
        {"index": other},
        {"path": log.path(other, size)},
        {"path": log.path(other % len(log.leaves), len(log.leaves))},
        {"entry": log.entries[other]} if is_entry else {"hash": log.leaves[other]},
    ]
    return msgspec.structs.replace(leaf, **chance.choice(changes))


def any_prefix(
    log: HonestLog, chance: random.Random, chosen: list[tuple[int, int, bytes]]
) -> Prefix:
    """Return a true beginning of the second checkpoint, or of another size."""
    old, new = sorted(size for _, size, _ in chosen)
    if chance.random() < 0.3:
        old = chance.randrange(len(log.leaves) + 1)
        new = chance.randrange(old, len(log.leaves) + 1)
    prefix = log.prefix(old, new)
    if chance.random() < 0.3:
        return msgspec.structs.replace(prefix, root=log.root(chance.randrange(len(log.leaves))))
    return prefix


def check_framing(assemblies: int, seed: int) -> Counter[str]:
    """Judge random assemblies from many honest logs; return how often each answer was given."""
    chance = random.Random(seed)
    found: Counter[str] = Counter()
    log = grown_log(chance)
    for number in range(assemblies):
        if number % 40 == 0:
            log = grown_log(chance)
        evidence = assembled(log, chance)
        judgement = judge(evidence.encode(), LOG)
        assert not judgement.is_proven, (seed, number, judgement, evidence)
        found[judgement.outcome] += 1
    return found


def test_no_assembly_frames_an_honest_log() -> None:
    """What honest logs have really said, in any combination, proves nothing against them."""
    found = check_framing(1500, seed=1)
    assert found["not proven"] > 500
    assert found["malformed"] > 50


@pytest.mark.soak
def test_no_assembly_frames_an_honest_log_long() -> None:
    """The same, for as many assemblies as the format was fuzzed with when it was made."""
    check_framing(171_300, seed=2)


# ---- a log that breaks a rule is convicted


class Forked(HonestLog):
    """Shows some a tree in which one entry is another."""

    def grow(self) -> None:
        """Sign one size twice, with different trees, and go on from the second."""
        self.place(START_MS, 6)
        self.sign(START_MS + 1000)
        self.leaves[3] = leaf_hash(b"other")
        self.sign(START_MS + 1000)
        self.place(START_MS + 2000, 3)
        self.sign(START_MS + 3000)


class Shrunk(HonestLog):
    """Goes back to an older state."""

    def grow(self) -> None:
        """Sign 6 entries, then 4."""
        self.place(START_MS, 4)
        self.place(START_MS, 2)
        self.sign_size(6, START_MS // 1000 + 1)
        self.sign_size(4, START_MS // 1000 + 2)


class Late(HonestLog):
    """Goes on signing without what it promised."""

    def grow(self) -> None:
        """Promise 4 entries, and sign the empty tree after the whole delay."""
        self.place(START_MS, 4)
        self.sign_size(0, START_MS // 1000 + 5)


class Backdated(HonestLog):
    """Writes an old time into a new entry, and a future one into the next."""

    def grow(self) -> None:
        """Sign, add, sign."""
        self.place(START_MS, 2)
        self.sign(START_MS + 10_000)
        self.add(encode_entry(START_MS + 1, bytes(32), bytes(32)))
        self.add(encode_entry(START_MS + 99_000, bytes(32), bytes(32)))
        self.add(encode_entry(START_MS + 10_000, bytes(32), bytes(32)))
        self.batches.append((2, 5, START_MS + 10_000))
        self.sign(START_MS + 12_000)


class Greedy(HonestLog):
    """Promises one index to two."""

    def grow(self) -> None:
        """Promise, forget, promise again."""
        self.place(START_MS, 3)
        self.sign(START_MS)
        self.forgotten = [(self.promise(index), self.leaves[index]) for index in range(3)]
        for index in range(3):
            self.leaves[index] = leaf_hash(b"another %d" % index)


@pytest.mark.parametrize(
    ("rogue", "kinds"),
    [
        (Forked(), {"fork/same-size", "fork/prefix", "fork/leaf", "broken/position"}),
        (Shrunk(), {"rollback"}),
        (Late(), {"broken/overdue"}),
        (Backdated(), {"backdated", "postdated", "disorder"}),
    ],
)
def test_a_rogue_log_is_convicted(rogue: Any, kinds: set[str]) -> None:
    """The same random assemblies find every kind of proof against a log that breaks a rule."""
    rogue.grow()
    chance = random.Random(3)
    found = set()
    for _ in range(800):
        judgement = judge(rogue_evidence(rogue, chance).encode(), LOG)
        if judgement.is_proven:
            found.add(judgement.kind)
    assert found == kinds


def rogue_evidence(log: HonestLog, chance: random.Random) -> Evidence:
    """Return an assembly; a rogue's old tree is that in which entry 3 is still the first one."""
    evidence = assembled(log, chance)
    if isinstance(log, Forked) and evidence.leaves and not KINDS[evidence.kind].has_entries:
        before = HonestLog()
        before.place(START_MS, 6)
        leaves = [
            before.leaf(leaf.checkpoint, leaf.index, 6, is_entry=False)
            if leaf.index < 6 and chance.random() < 0.5
            else leaf
            for leaf in evidence.leaves
        ]
        return msgspec.structs.replace(evidence, leaves=tuple(leaves))
    return evidence


def test_a_broken_or_double_promise_convicts() -> None:
    """A promise for one leaf, with another at its index, in a checkpoint or in a promise."""
    log = Greedy()
    log.grow()
    note = log.sign(START_MS + 1000)
    for index, (promise, leaf) in enumerate(log.forgotten):
        position = Evidence(
            kind="broken/position",
            sheet=SHEET_NOTE,
            promises=(promise,),
            promised=(leaf,),
            checkpoints=(note,),
            leaves=(log.leaf(0, index, 3, is_entry=False),),
        )
        assert judge(position.encode(), LOG).is_proven
        double = Evidence(
            kind="double-promise",
            sheet=SHEET_NOTE,
            promises=(promise, log.promise(index)),
            promised=(leaf, log.leaves[index]),
        )
        assert judge(double.encode(), LOG).is_proven
        same = msgspec.structs.replace(double, promises=(promise, promise), promised=(leaf, leaf))
        assert judge(same.encode(), LOG).outcome == "not proven"


# ---- whatever it is given, the judge answers


@needs_vectors
@given(st.data())
def test_changed_evidence(data: st.DataObject) -> None:
    """A conviction with one part exchanged, removed or repeated is judged, and never raises."""
    rows = [row["proof"] for row in vectors()["fraud"]]
    proof = json.loads(json.dumps(data.draw(st.sampled_from(rows))))
    other = data.draw(st.sampled_from(rows))
    name = data.draw(st.sampled_from(sorted({*proof, *other, "more"})))
    junk = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    value = data.draw(st.sampled_from([other.get(name), [], {}, ""]) | junk | st.lists(junk))
    if value is None and data.draw(st.booleans()):
        proof.pop(name, None)
    else:
        proof[name] = value
    judgement = judge(json.dumps(proof).encode(), LOG)
    assert isinstance(judgement, Judgement)
    if judgement.is_proven:
        assert set(proof) == set(other) or proof["kind"] == judgement.kind


@needs_vectors
@given(st.data())
def test_flipped_evidence(data: st.DataObject) -> None:
    """With one byte changed a file proves what it proved, or nothing; it is never another kind."""
    rows = [row["proof"] for row in vectors()["fraud"]]
    at = data.draw(st.integers(0, len(rows) - 1))
    raw = bytearray(json.dumps(rows[at]).encode())
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    judgement = judge(bytes(raw), LOG)
    if judgement.is_proven:
        assert vectors()["fraud"][at]["expect"] == "proven"
        assert judgement.kind == rows[at]["kind"]


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_bytes(data: bytes) -> None:
    """What is no evidence is malformed."""
    assert judge(data, LOG).outcome == "malformed"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'"' + b"x" * FRAUD_BYTES_MAX + b'"',
        b"\xff\xfe{}",
        b'{"type":"tally-fraud/v1","type":"tally-fraud/v1"}',
        b'{"type":"tally-fraud/v1","kind":"\\ud800","sheet":""}',
    ],
)
def test_bytes_that_are_no_evidence(data: bytes) -> None:
    """Nor are too many bytes, too deep ones, or a key twice."""
    assert judge(data, LOG).outcome == "malformed"


def test_a_key_of_a_witness_judges_nothing() -> None:
    """A judge who was given the wrong type of key convicts nobody with it."""
    log = Shrunk()
    log.grow()
    notes = tuple(note for _, _, note in log.checkpoints)
    evidence = Evidence(kind="rollback", sheet=SHEET_NOTE, checkpoints=notes)
    assert judge(evidence.encode(), LOG).is_proven
    timed = VerifierKey(ORIGIN, 0x04, LOG.public_key)
    assert judge(evidence.encode(), timed).outcome == "malformed"


def test_evidence_both_ways() -> None:
    """What is assembled is written and read again, each kind."""
    chance = random.Random(4)
    log = grown_log(chance)
    kinds = set()
    for _ in range(100):
        evidence = assembled(log, chance)
        assert parse_evidence(evidence.encode()) == evidence
        kinds.add(evidence.kind)
    assert kinds == set(KINDS)
