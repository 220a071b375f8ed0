# SPDX-License-Identifier: Apache-2.0
"""Evidence files: a closed schema, and for each kind exactly its parts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.logs import needs_vectors, vectors

from tallystick.crypto.multibase import b64_encode
from tallystick.errors import LogFormatError
from tallystick.limits import FRAUD_BYTES_MAX
from tallystick.model.fraud import KINDS, Evidence, parse_evidence

HASH = b64_encode(bytes(32))
ENTRY = b64_encode(b"entry")


def whole(kind: str) -> dict[str, Any]:
    """Return a file of a kind with all of its parts, and nothing behind them."""
    parts = KINDS[kind]
    made: dict[str, Any] = {"type": "tally-fraud/v1", "kind": kind, "sheet": "sheet"}
    if parts.checkpoints:
        made["checkpoints"] = ["note"] * parts.checkpoints
    if parts.promises:
        made["promises"] = ["file"] * parts.promises
    if parts.promised:
        made["promised"] = [HASH] * parts.promised
    if parts.leaves:
        what = {"entry": ENTRY} if parts.has_entries else {"hash": HASH}
        made["leaves"] = [
            {"checkpoint": at, "index": 5, "path": [HASH], **what} for at in parts.leaves
        ]
    if parts.has_prefix:
        made["prefix"] = {"root": HASH, "path": [HASH]}
    return made


def read(value: Any) -> Evidence:
    """Parse a value as a file."""
    return parse_evidence(json.dumps(value).encode())


@needs_vectors
def test_published_files_both_ways() -> None:
    """Each published file that is in the schema is written again as it was."""
    read_back = 0
    for row in vectors()["fraud"]:
        evidence = read(row["proof"])
        assert json.loads(evidence.encode()) == row["proof"], row["name"]
        read_back += 1
    assert read_back == 40


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_its_parts(kind: str) -> None:
    """All parts of a kind are needed, in their number; parts of other kinds are refused."""
    good = whole(kind)
    assert json.loads(read(good).encode()) == good
    for name in good:
        with pytest.raises(LogFormatError):
            read({other: value for other, value in good.items() if other != name})
        with pytest.raises(LogFormatError):
            read({**good, name: None})
    for name in ("checkpoints", "promises", "promised", "leaves"):
        if name in good:
            for wrong in (good[name][1:], good[name] + good[name][:1]):
                with pytest.raises(LogFormatError):
                    read({**good, name: wrong})
        else:
            with pytest.raises(LogFormatError):
                read({**good, name: []})
    if "prefix" not in good:
        with pytest.raises(LogFormatError):
            read({**good, "prefix": {"root": HASH, "path": []}})
    with pytest.raises(LogFormatError):
        read({**good, "note": "x"})


def changed(kind: str, change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """Return a file of a kind after one change."""
    made = whole(kind)
    change(made)
    return made


@pytest.mark.parametrize(
    "value",
    [
        [],
        None,
        "tally-fraud/v1",
        changed("rollback", lambda one: one.update(type="tally-fraud/v2")),
        changed("rollback", lambda one: one.update(kind="rollback ")),
        changed("rollback", lambda one: one.update(kind="Rollback")),
        changed("rollback", lambda one: one.update(sheet=5)),
        changed("rollback", lambda one: one.update(checkpoints={"0": "note", "1": "note"})),
        changed("fork/leaf", lambda one: one["leaves"].reverse()),
        changed("fork/leaf", lambda one: one["leaves"][1].update(checkpoint=2)),
        changed("fork/leaf", lambda one: one["leaves"][0].update(checkpoint=False)),
        changed("fork/leaf", lambda one: one["leaves"][0].update(index=-1)),
        changed("fork/leaf", lambda one: one["leaves"][0].update(index=2**53)),
        changed("fork/leaf", lambda one: one["leaves"][0].update(index=5.0)),
        changed("fork/leaf", lambda one: one["leaves"][0].update(index="5")),
        changed("fork/leaf", lambda one: one["leaves"][0].update(index=True)),
        changed("fork/leaf", lambda one: one["leaves"][0].update(more=1)),
        changed("fork/leaf", lambda one: one["leaves"][0].update(entry=ENTRY)),
        changed("fork/leaf", lambda one: one["leaves"][0].pop("hash")),
        changed("fork/leaf", lambda one: one["leaves"][0].update(hash=None)),
        changed("fork/leaf", lambda one: one["leaves"][0].update(hash=HASH[:-4])),
        changed("fork/leaf", lambda one: one["leaves"][0].update(path=HASH)),
        changed("fork/leaf", lambda one: one["leaves"][0].update(path=[HASH] * 65)),
        changed("fork/leaf", lambda one: one["leaves"][0].update(path=["AB=="])),
        changed("disorder", lambda one: one["leaves"][0].update(hash=HASH)),
        changed("disorder", lambda one: one["leaves"][0].update(entry="AB==")),
        changed("double-promise", lambda one: one["promised"].__setitem__(0, "x")),
        changed("fork/prefix", lambda one: one["prefix"].update(root="x")),
        changed("fork/prefix", lambda one: one["prefix"].update(more=1)),
        changed("fork/prefix", lambda one: one["prefix"].pop("path")),
    ],
)
def test_other_values_are_no_evidence(value: Any) -> None:
    """Another type, order, spelling or member."""
    with pytest.raises(LogFormatError):
        read(value)


def test_bytes_that_are_no_evidence() -> None:
    """Strict JSON of a stated size."""
    good = json.dumps(whole("rollback")).encode()
    assert parse_evidence(good + b" " * (FRAUD_BYTES_MAX - len(good))).kind == "rollback"
    for data in (
        good + b" " * FRAUD_BYTES_MAX,
        good + b"x",
        good.replace(b'"kind"', b'"kind":"rollback","kind"'),
        b"\xff",
        b"",
    ):
        with pytest.raises(LogFormatError):
            parse_evidence(data)
