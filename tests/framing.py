# SPDX-License-Identifier: Apache-2.0
"""Random evidence out of what honest logs have really said: none of it may convict."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import msgspec
from tests.honest_log import SHEET_NOTE, HonestLog
from tests.logs import LOG_KEY

from tallystick.model.fraud import KINDS, Evidence, FraudLeaf, Prefix
from tallystick.verify.fraud import judge

START_MS = 1_700_000_000_000


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
        judgement = judge(evidence.encode(), LOG_KEY.verifier)
        assert not judgement.is_proven, (seed, number, judgement, evidence)
        found[judgement.outcome] += 1
    return found
