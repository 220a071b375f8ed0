# SPDX-License-Identifier: Apache-2.0
"""Which receipts a log can speak of, and what of it a bundle holds."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.evidence_making import RECEIPTS, bundle_of_folder, bundle_of_run, make_run, make_tree

from tallystick.deliver.logged import Logged
from tallystick.errors import BundleError, RefusedInput
from tallystick.model import bundle
from tallystick.model.bundle import BundleReader
from tallystick.model.bundle_head import read_head
from tallystick.model.manifest import Manifest
from tallystick.solver.log_members import bound_receipts, members_of
from tallystick.verify.log import LogReport
from tallystick.verify.report import Verdict


def manifest_of(path: Path) -> Manifest:
    """Return the manifest of a bundle."""
    return read_head(BundleReader(io.BytesIO(path.read_bytes()).read)).manifest


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """Return the manifest of a run."""
    bundle_of_run(make_run(tmp_path / "run"), tmp_path / "b.tally")
    return manifest_of(tmp_path / "b.tally")


def test_the_last_receipt_is_the_bound_head(manifest: Manifest) -> None:
    """The lines come as they are, one for each receipt of the chain."""
    lines = bound_receipts(manifest, RECEIPTS)
    assert b"".join(line + b"\n" for line in lines) == RECEIPTS
    assert manifest.receipt_chain is not None
    assert len(lines) == manifest.receipt_chain.length


def test_other_receipts_are_refused(manifest: Manifest) -> None:
    """None, too few, some of another chain, and what is no receipt: each would log a stranger's."""
    first = RECEIPTS.split(b"\n")[0] + b"\n"
    for data in (None, b""):
        with pytest.raises(BundleError, match="is not there"):
            bound_receipts(manifest, data)
    with pytest.raises(BundleError, match="does not end with the head"):
        bound_receipts(manifest, first)
    assert manifest.receipt_chain is not None
    changes: list[dict[str, Any]] = [
        {"chain_id": "other"},
        {"length": 3},
        {"head": "sha256:" + "0" * 64},
    ]
    for change in changes:
        other = msgspec.structs.replace(manifest.receipt_chain, **change)
        with pytest.raises(BundleError, match="does not end with the head"):
            bound_receipts(msgspec.structs.replace(manifest, receipt_chain=other), RECEIPTS)
    for data in (b"{}\n", b"\n", RECEIPTS + b"garbage\n"):
        with pytest.raises(RefusedInput):
            bound_receipts(manifest, data)


def test_receipts_that_nothing_names_are_refused(manifest: Manifest) -> None:
    """The log's word on the last one says nothing of what was slipped in, or left out, before."""
    lines = RECEIPTS.splitlines(keepends=True)
    first, *others = lines
    for slipped in ([first, *lines], lines[1:], [*others, first], [*lines, lines[-1]]):
        with pytest.raises(BundleError, match="are not one chain"):
            bound_receipts(manifest, b"".join(slipped))


def test_folders_have_none(tmp_path: Path) -> None:
    """What nobody recorded no log can speak of."""
    bundle_of_folder(make_tree(tmp_path / "f", {"a": b"1"}), tmp_path / "b.tally")
    with pytest.raises(BundleError, match="binds no receipts"):
        bound_receipts(manifest_of(tmp_path / "b.tally"), RECEIPTS)


def test_members_have_the_names_of_the_format() -> None:
    """What a collector gave out stands where a verifier looks for it."""
    report = LogReport(
        verdict=Verdict.VERIFIED, findings=(), chains=(), receipts=1, unlisted=0, origin="o"
    )
    members = members_of(Logged(sheet=b"s", promise=b"p", proof=b"q", report=report))
    assert members == {
        bundle.LOG_SHEET: b"s",
        bundle.LOG_PROMISE: b"p",
        bundle.LOG_PROOF: b"q",
    }
    assert set(members) < set(bundle.OF_A_LOG)
