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
from tests.framing import assembled, check_framing, grown_log
from tests.honest_log import SHEET_NOTE, HonestLog
from tests.logs import LOG_KEY, ORIGIN, needs_vectors, vectors

from tallystick.crypto.ed25519 import SigningKey
from tallystick.crypto.merkle import leaf_hash
from tallystick.crypto.note import PLAIN, NoteKey, VerifierKey
from tallystick.limits import FRAUD_BYTES_MAX
from tallystick.model.fraud import KINDS, Evidence, parse_evidence
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


def test_no_assembly_frames_an_honest_log() -> None:
    """What honest logs have really said, in any combination, proves nothing against them."""
    found = check_framing(1500, seed=1)
    assert found["not proven"] > 500
    assert found["malformed"] > 50


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
