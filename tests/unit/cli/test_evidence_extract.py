# SPDX-License-Identifier: Apache-2.0
"""`tally evidence extract`."""

from __future__ import annotations

from pathlib import Path

from tests.command import tally


def test_a_bundle_becomes_a_folder() -> None:
    """From a file or standard input; what comes out can be compared with the bundle again."""
    assert tally("evidence", "extract", "solved.tally", "--out", "a").code == 0
    data = Path("solved.tally").read_bytes()
    assert tally("evidence", "extract", "-", "--out", "b", stdin=data).code == 0
    answer = tally(
        "evidence", "verify", "detached.tally", "--key", "solver.pub", "--artifacts", "b/artifacts"
    )
    assert answer.code == 0
    assert "not in the bundle" in tally("evidence", "extract", "detached.tally", "--out", "c").out


def test_unsound_bundles_leave_nothing() -> None:
    """Changed files and members that lead out: exit code 1, and no folder."""
    for name in ("changed", "escaping"):
        assert tally("evidence", "extract", f"{name}.tally", "--out", "out").code == 1
    assert not Path("out").exists()
    assert not Path("../x").exists()
