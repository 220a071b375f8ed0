# SPDX-License-Identifier: Apache-2.0
"""Our own vectors of evidence: bundles and proofs, each with its verdict and its reasons."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from tallystick.crypto.note import VerifierKey
from tallystick.crypto.secp256k1 import read_address
from tallystick.model.artifact import ARTIFACTS, ArtifactEntry, media_type
from tallystick.verify.artifact_proof import verify_artifact_proof
from tallystick.verify.evidence import (
    EvidenceQuestion,
    EvidenceReport,
    Predecessor,
    verify_evidence,
)
from tallystick.verify.manifest_signers import Signers
from tallystick.verify.trust import trust_of

FOLDER = Path(__file__).resolve().parents[2] / "vectors" / "bundle"
COUNT = 137


class Expectation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `expect.json` holds."""

    why: str
    verdict: Literal["verified", "refused", "unchecked"]
    codes: list[str]
    keys: list[str]
    folder: dict[str, str] | None = None
    file: str | None = None
    previous: str | None = None
    previous_number: int | None = None
    now: str | None = None
    vkey: str | None = None


class Vector(msgspec.Struct, frozen=True, kw_only=True):
    """One case, as it was read."""

    name: str
    expected: Expectation
    data: bytes
    is_proof: bool


@cache
def vectors() -> tuple[Vector, ...]:
    """Return all of them."""
    return tuple(
        Vector(
            name=folder.name,
            expected=msgspec.json.decode((folder / "expect.json").read_bytes(), type=Expectation),
            data=next(folder.glob("input.*")).read_bytes(),
            is_proof=(folder / "input.proof").exists(),
        )
        for folder in sorted(FOLDER.iterdir())
    )


def signers_of(keys: list[str]) -> Signers:
    """Return whose signatures count."""
    return Signers(
        trust=trust_of([key for key in keys if key.startswith("did:")]),
        addresses=tuple(read_address(key) for key in keys if key.startswith("0x")),
    )


def entries_of(folder: dict[str, str]) -> list[ArtifactEntry]:
    """Return what a scan of such a folder gives."""
    return [
        ArtifactEntry(
            size=len(folder[path].encode()),
            content_type=media_type(path),
            path=ARTIFACTS + path,
            sha256=sha256(folder[path].encode()).hexdigest(),
        )
        for path in sorted(folder, key=str.encode)
    ]


def judged(vector: Vector, signers: Signers | None = None) -> EvidenceReport:
    """Return the report on a case."""
    expected = vector.expected
    signers = signers or signers_of(expected.keys)
    if vector.is_proof:
        found = None
        if expected.file is not None:
            data = expected.file.encode()
            found = sha256(data).hexdigest(), len(data)
        return verify_artifact_proof(vector.data, signers, found=found)
    previous = None
    if expected.previous is not None:
        previous = Predecessor(sha256=expected.previous, number=expected.previous_number)
    question = EvidenceQuestion(
        artifacts=None if expected.folder is None else entries_of(expected.folder),
        previous=previous,
        log_key=None if expected.vkey is None else VerifierKey.parse(expected.vkey),
        now=expected.now,
    )
    return verify_evidence(vector.data, signers, question)


def test_all_vectors_were_loaded() -> None:
    """As many as we know of."""
    assert len(vectors()) == COUNT


@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: vector.name)
def test_vector(vector: Vector) -> None:
    """Each case gets its verdict and exactly its codes."""
    expected, report = vector.expected, judged(vector)
    assert expected.why.endswith(".")
    assert (sorted(report.codes()), str(report.verdict)) == (expected.codes, expected.verdict)
    assert report.verified is bool(report.signers and report.verified)


def test_the_key_decides() -> None:
    """No case is verified under a key that nobody in it has signed with."""
    key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    stranger = Signers(trust=trust_of(bytes.fromhex(key)))
    for vector in vectors():
        assert not judged(vector, stranger).verified, vector.name


def test_bundles_are_ordinary_archives() -> None:
    """What is verified is an archive that any tar reads, with the same files in it."""
    import io
    import tarfile

    for vector in vectors():
        if vector.expected.verdict == "verified" and not vector.is_proof:
            with tarfile.open(fileobj=io.BytesIO(vector.data)) as archive:
                names = archive.getnames()
            assert names[:2] == ["evidence/manifest.json", "evidence/manifest.sha256"]
            assert all(name.startswith(("evidence/", "artifacts/")) for name in names)
