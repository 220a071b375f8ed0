# SPDX-License-Identifier: Apache-2.0
"""Manifests: one form, every member there, and nothing that contradicts itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.crypto.canonical import canonicalize
from tallystick.errors import ManifestError
from tallystick.limits import MANIFEST_BYTES_MAX
from tallystick.model.artifact import artifacts_root, outcome_hash
from tallystick.model.manifest import (
    check_manifest,
    encode_manifest,
    fit_text,
    manifest_sha256,
    manifest_statement,
    parse_manifest,
)

VECTORS = Path(__file__).resolve().parents[3] / "vectors" / "bundle"


def sample(case: str = "run") -> bytes:
    """Return the canonical bytes of a vector's manifest."""
    data = (VECTORS / case / "input.tally").read_bytes()
    return data[512 : 512 + int(data[124:135], 8) - 1]


def changed(pointer: str, value: Any) -> bytes:
    """Return a manifest with one member changed, in canonical form."""
    told = json.loads(sample())
    *steps, last = pointer.split("/")[1:]
    inner = told
    for step in steps:
        inner = inner[int(step)] if isinstance(inner, list) else inner[step]
    inner[last] = value
    return canonicalize(told)


def test_manifests_are_read_and_written_alike() -> None:
    """Parse and encode are inverse; the hash is over the bytes without a newline."""
    for case in ("run", "run-listed", "refusal", "failure", "folder"):
        data = sample(case)
        manifest = parse_manifest(data)
        assert encode_manifest(manifest) == data
        assert manifest_sha256(data).encode() in (VECTORS / case / "input.tally").read_bytes()
        assert manifest.outcome == outcome_hash(manifest.artifact_count, manifest.root)
        if manifest.artifacts is not None:
            assert artifacts_root(manifest.artifacts) == manifest.root


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/manifestVersion", "2.0.0"),
        ("/origin", "other"),
        ("/number", 0),
        ("/number", True),
        ("/number", 1.5),
        ("/number", None),
        ("/intentId", "A" * 64),
        ("/runId", "0" * 63),
        ("/intentHash", "0" * 64),
        ("/artifactsRoot", "sha256:" + "F" * 64),
        ("/artifactCount", -1),
        ("/artifactCount", 10**9),
        ("/createdAt", "2026-02-30T00:00:00Z"),
        ("/createdAt", "2026-01-02T03:00:04+00:00"),
        ("/jobType", "a\nb"),
        ("/jobType", ""),
        ("/solver/service", "x" * 200),
        ("/solver/more", 1),
        ("/environment/sandbox", {"ratio": 0.5}),
        ("/environment/sandbox", {"bad name": 1}),
        ("/environment/sandbox", {f"n{number}": 1 for number in range(17)}),
        ("/executionSummary/details", {"x": "y" * 129}),
        ("/executionSummary/details", {"x": [1]}),
        ("/executionSummary/details", {"x": 2**60}),
        ("/executionSummary/error", "e" * 513),
        ("/executionSummary/startedAt", "yesterday"),
        ("/policyDecision/codes", ["A"]),
        ("/policyDecision/decidedAt", ""),
        ("/receiptChain/head", "0" * 64),
        ("/receiptChain/length", 0),
        ("/receiptChain/chainId", ""),
        ("/artifacts/0/path", "artifacts/../x"),
        ("/artifacts/0/bytes", "1"),
        ("/artifacts", {}),
        ("/previousManifestHash", "sha256:" + "0" * 64),
    ],
)
def test_values_that_no_manifest_has(pointer: str, value: Any) -> None:
    """Each is refused, and the place is named."""
    with pytest.raises(ManifestError):
        parse_manifest(changed(pointer, value))


def test_texts_are_bounded_in_bytes_and_without_controls() -> None:
    """A reason of 256 bytes fits, one more does not; a control character never does."""
    told = json.loads(sample("refusal"))
    for text, is_right in (("ü" * 128, True), ("ü" * 129, False), ("a\tb", False)):
        told["policyDecision"]["reasons"] = [text]
        if is_right:
            parse_manifest(canonicalize(told))
        else:
            with pytest.raises(ManifestError):
                parse_manifest(canonicalize(told))


def test_every_member_must_be_there() -> None:
    """A member that is left out is refused at any depth: absent and null are not two spellings."""
    told = json.loads(sample())
    for name in told:
        with pytest.raises(ManifestError):
            parse_manifest(canonicalize({key: told[key] for key in told if key != name}))
    for part in ("solver", "environment", "executionSummary", "policyDecision", "receiptChain"):
        for name in told[part]:
            inner = {key: told[part][key] for key in told[part] if key != name}
            with pytest.raises(ManifestError):
                parse_manifest(canonicalize(told | {part: inner}))


@given(st.data())
def test_any_changed_byte_is_refused_or_another_manifest(data: st.DataObject) -> None:
    """No second spelling: what still parses is written as it was read, with another hash."""
    right = sample()
    at = data.draw(st.integers(0, len(right) - 1))
    wrong = right[:at] + bytes([data.draw(st.integers(0, 255))]) + right[at + 1 :]
    try:
        manifest = parse_manifest(wrong)
    except ManifestError:
        return
    assert encode_manifest(manifest) == wrong
    assert (manifest_sha256(wrong) == manifest_sha256(right)) is (wrong == right)


def test_a_manifest_over_the_limit_is_refused() -> None:
    """Bytes over 16 KiB are neither read nor written."""
    with pytest.raises(ManifestError):
        parse_manifest(b" " * (MANIFEST_BYTES_MAX + 1))
    manifest = parse_manifest(sample())
    assert manifest.artifacts is not None
    many = msgspec.structs.replace(manifest, artifacts=manifest.artifacts * 30)
    with pytest.raises(ManifestError, match="over the limit"):
        encode_manifest(many)


def test_structs_are_held_to_their_types() -> None:
    """Who builds a manifest by hand gets no bytes for what could not be read again."""
    manifest = parse_manifest(sample())
    wrong = msgspec.structs.replace(manifest, origin="other")
    with pytest.raises(ManifestError):
        encode_manifest(wrong)
    check_manifest(manifest)


def test_the_statement_begins_like_nothing_else() -> None:
    """A line that says what it is, then the hash: a shell can write it."""
    assert manifest_statement("0" * 64) == b"tally-manifest/v1\n" + b"0" * 64 + b"\n"


@given(text=st.text(), most=st.integers(8, 60))
def test_texts_are_cut_to_fit(text: str, most: int) -> None:
    """The cut text fits, has no controls, and is the text itself where that does."""
    cut = fit_text(text, most)
    assert len(cut.encode()) <= most
    assert fit_text(cut, most) == cut
    if text.isprintable() and len(text.encode()) <= most:
        assert cut == text
