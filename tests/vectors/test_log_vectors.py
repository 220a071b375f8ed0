# SPDX-License-Identifier: Apache-2.0
"""Our own vectors of logs: what files show about a receipt, a promise, a history."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from tallystick.crypto.ed25519 import SigningKey
from tallystick.crypto.note import PLAIN, NoteKey, VerifierKey
from tallystick.verify.fraud import judge
from tallystick.verify.log import LogReport, verify_checkpoints, verify_logged

ROOT = Path(__file__).resolve().parents[2] / "vectors"
FOLDER = ROOT / "log"
COUNT = 62
EVIDENCE_COUNT = 36
FILES = {"expect.json", "receipt.json", "proof", "promise", "sheet", "checkpoint"}
HISTORY_FILES = {"expect.json", "old", "new", "consistency", "sheet"}


class Expectation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `expect.json` holds."""

    why: str
    verdict: Literal["verified", "refused", "unchecked"]
    codes: list[str]
    vkey: str
    index: int | None = None
    time_ms: int | None = None
    size: int | None = None


class Vector(msgspec.Struct, frozen=True, kw_only=True):
    """One case, as it was read."""

    name: str
    expected: Expectation
    files: dict[str, bytes]


@cache
def vectors() -> tuple[Vector, ...]:
    """Return all of them."""
    return tuple(
        Vector(
            name=folder.name,
            expected=msgspec.json.decode((folder / "expect.json").read_bytes(), type=Expectation),
            files={path.name: path.read_bytes() for path in folder.iterdir()},
        )
        for folder in sorted(FOLDER.iterdir())
    )


def judged(vector: Vector) -> LogReport:
    """Return the report on a case."""
    files, key = vector.files, VerifierKey.parse(vector.expected.vkey)
    if "receipt.json" in files:
        return verify_logged(
            files["receipt.json"],
            key,
            proof=files.get("proof"),
            promise=files.get("promise"),
            sheet=files.get("sheet"),
            checkpoint=files.get("checkpoint"),
        )
    return verify_checkpoints(
        files["old"], files["new"], key, proof=files.get("consistency"), sheet=files.get("sheet")
    )


def test_all_vectors_were_loaded() -> None:
    """As many as we know of, with the files that the README names."""
    assert len(vectors()) == COUNT
    for vector in vectors():
        wanted = FILES if "receipt.json" in vector.files else HISTORY_FILES
        assert set(vector.files) <= wanted, vector.name


@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: vector.name)
def test_vector(vector: Vector) -> None:
    """Each case gets its verdict, exactly its codes, and its place in the log."""
    expected, report = vector.expected, judged(vector)
    assert expected.why.endswith(".")
    assert (str(report.verdict), sorted(report.codes())) == (expected.verdict, expected.codes)
    if expected.verdict == "verified":
        place = (report.index, report.time_ms, report.size)
        assert place == (expected.index, expected.time_ms, expected.size)
    elif expected.index is not None:
        assert report.index == expected.index


def test_the_log_key_decides() -> None:
    """No case is verified under a key that is not the log's."""
    signing_key = SigningKey(seed=bytes(32))
    stranger = NoteKey("log.example/1", PLAIN, signing_key).verifier.encode()
    for vector in vectors():
        foreign = msgspec.structs.replace(vector.expected, vkey=stranger)
        report = judged(msgspec.structs.replace(vector, expected=foreign))
        assert not report.verified, vector.name


# ---- evidence


class Outcome(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `expect.json` holds beside evidence."""

    why: str
    outcome: Literal["proven", "not proven", "malformed"]
    vkey: str


EVIDENCE = sorted((ROOT / "evidence").iterdir())


def test_all_evidence_was_loaded() -> None:
    """As much as we know of: each kind convicts at least once."""
    assert len(EVIDENCE) == EVIDENCE_COUNT


@pytest.mark.parametrize("folder", EVIDENCE, ids=lambda folder: folder.name)
def test_evidence(folder: Path) -> None:
    """Each is judged as expected."""
    expected = msgspec.json.decode((folder / "expect.json").read_bytes(), type=Outcome)
    key = VerifierKey.parse(expected.vkey)
    judgement = judge((folder / "evidence.json").read_bytes(), key)
    assert judgement.outcome == expected.outcome, judgement
    assert {path.name for path in folder.iterdir()} == {"expect.json", "evidence.json"}
