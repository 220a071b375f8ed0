# SPDX-License-Identifier: Apache-2.0
"""Proofs of single artefacts: made from a bundle's head, one form, nothing believed."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from tallystick.crypto.canonical import canonicalize
from tallystick.crypto.merkle import verify_inclusion
from tallystick.errors import ManifestError
from tallystick.model.artifact import entry_leaf
from tallystick.model.artifact_proof import parse_proof, prove
from tallystick.model.bundle import BundleReader, exactly
from tallystick.model.bundle_head import BundleHead, read_head
from tallystick.model.manifest_signature import parse_signatures

VECTORS = Path(__file__).resolve().parents[3] / "vectors" / "bundle"


def head() -> BundleHead:
    """Return the head of a run's bundle."""
    stream = io.BytesIO((VECTORS / "run-listed" / "input.tally").read_bytes())
    return read_head(BundleReader(exactly(stream.read)))


def test_every_artifact_can_be_proven() -> None:
    """Each path leads from its entry to the manifest's root; the file reads back as it was."""
    bundle = head()
    for index, entry in enumerate(bundle.entries):
        proof = prove(bundle, entry.path)
        assert proof.index == index
        size, root = len(bundle.entries), bundle.manifest.root
        assert verify_inclusion(entry_leaf(entry), index, size, proof.hashes(), root)
        assert parse_proof(proof.encode()) == proof
        file = proof.signature_file()
        assert file is not None
        assert parse_signatures(file) == bundle.signatures


def test_what_is_not_listed_has_no_proof() -> None:
    """A path that the manifest lacks."""
    with pytest.raises(ManifestError, match="lists no"):
        prove(head(), "artifacts/nowhere")


def test_proofs_of_another_form_are_refused() -> None:
    """Blanks, unknown members, other formats, bad entries and hashes."""
    right = prove(head(), "artifacts/empty").encode()
    told = json.loads(right)

    def changed(**changes: Any) -> bytes:
        return canonicalize(told | changes) + b"\n"

    for wrong in (
        right.replace(b":", b": ", 1),
        changed(more=1),
        changed(format="tally-artifact-proof/v2"),
        changed(index=-1),
        changed(path=["0" * 63]),
        changed(path=["0" * 64] * 65),
        changed(entry=told["entry"] | {"path": "artifacts/.."}),
        changed(signatures=told["signatures"] * 17),
        b"",
        b"[]\n",
    ):
        with pytest.raises(ManifestError):
            parse_proof(wrong)
