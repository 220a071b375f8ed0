# SPDX-License-Identifier: Apache-2.0
"""A bundle shows the grounds that it holds, and none that it does not."""

from __future__ import annotations

import io
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from tests.posts import lying_bundle, make_bundle

from tallystick.model.post import Commitment, commitment_of
from tallystick.watch.post_grounds import grounds_in


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Commitment]:
    path, made = make_bundle(tmp_path_factory.mktemp("bundle"))
    digest = bytes.fromhex(made.manifest_sha256)
    return path, commitment_of(made.manifest, digest, solver_id=b"\1" * 32, created_at=1)


def kinds(data: bytes, commitment: Commitment) -> list[tuple[str, str]]:
    return [(one.kind, one.member) for one in grounds_in(io.BytesIO(data), commitment)]


def test_an_honest_post(case: tuple[Path, Commitment]) -> None:
    """Nothing holds against it."""
    path, commitment = case
    assert kinds(path.read_bytes(), commitment) == []


@pytest.mark.parametrize(
    ("word", "ground"),
    [
        ("intent_hash", ("contradiction", "intent")),
        ("constraints_hash", ("contradiction", "policy")),
        ("route_hash", ("contradiction", "receipts")),
        ("outcome_hash", ("unopened", "")),
    ],
)
def test_each_word(case: tuple[Path, Commitment], word: str, ground: tuple[str, str]) -> None:
    """A word that the manifest contradicts is a ground; an outcome must be opened first."""
    path, commitment = case
    lie = msgspec.structs.replace(commitment, **{word: b"\7" * 32})
    assert kinds(path.read_bytes(), lie) == [ground]


def test_a_size_that_the_bytes_have_not(tmp_path: Path) -> None:
    """An entry that its own artefact contradicts is a ground, with the bytes that prove it."""
    path, honest = make_bundle(tmp_path)
    made = lying_bundle(path, honest)
    digest = bytes.fromhex(made.manifest_sha256)
    commitment = commitment_of(made.manifest, digest, solver_id=b"\1" * 32, created_at=1)
    (ground,) = grounds_in(io.BytesIO(path.read_bytes()), commitment)
    assert (ground.kind, ground.index) == ("artifact", 0)
    assert made.manifest.artifacts is not None
    assert sha256(ground.artifact).hexdigest() == made.manifest.artifacts[0].sha256


def test_another_bundle_or_none(case: tuple[Path, Commitment]) -> None:
    """The wrong bundle, a cut-off one and rubbish are as good as none."""
    path, commitment = case
    other = msgspec.structs.replace(commitment, evidence_hash=b"\7" * 32)
    assert kinds(path.read_bytes(), other) == [("unavailable", "")]
    for data in (b"", b"rubbish", path.read_bytes()[:700]):
        assert kinds(data, commitment) == [("unavailable", "")]
