# SPDX-License-Identifier: Apache-2.0
"""The head of a bundle: what it says, and that its list is the manifest's."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tallystick.errors import BundleError, ManifestError
from tallystick.model.bundle import BundleReader, exactly
from tallystick.model.bundle_head import BundleHead, read_head

VECTORS = Path(__file__).resolve().parents[3] / "vectors" / "bundle"


def head_of(case: str) -> BundleHead:
    """Return the head of a vector."""
    stream = io.BytesIO((VECTORS / case / "input.tally").read_bytes())
    return read_head(BundleReader(exactly(stream.read)))


def test_lists_inside_and_outside_say_the_same() -> None:
    """Where the list lies makes no difference to who reads it."""
    inside, outside = head_of("run"), head_of("run-listed")
    assert inside.entries == outside.entries
    assert inside.manifest.artifacts_root == outside.manifest.artifacts_root
    assert inside.first is not None
    assert head_of("detached").first is None
    assert len(inside.signatures) == 1
    assert head_of("unsigned").signatures == ()


@pytest.mark.parametrize(
    "case",
    ["archive-manifest-missing", "manifest-spelled", "manifest-without-newline", "list-missing",
     "list-shortened", "list-spelled", "root-wrong", "count-wrong"],
)  # fmt: skip
def test_what_contradicts_itself_is_refused(case: str) -> None:
    """Nobody is shown a list that the manifest does not commit to."""
    with pytest.raises((BundleError, ManifestError)):
        head_of(case)
