# SPDX-License-Identifier: Apache-2.0
"""`tally evidence show`."""

from __future__ import annotations

from hashlib import sha256

from tests.command import tally


def test_it_shows_and_says_that_it_verifies_nothing() -> None:
    """Facts, artefacts and a stranger's commands; a forged bundle looks as good as any."""
    for name in ("solved", "listed", "stranger", "refusal"):
        shown = tally("evidence", "show", f"{name}.tally")
        assert shown.code == 0
        assert "shown, not verified" in shown.out
    assert "sha256sum -c evidence/SHA256SUMS" in tally("evidence", "show", "solved.tally").out
    assert "SHA256SUMS" not in tally("evidence", "show", "detached.tally").out
    assert "because" in tally("evidence", "show", "refusal.tally").out


def test_the_manifest_comes_as_it_is() -> None:
    """Its bytes hash to what the first line shows."""
    data = tally("evidence", "show", "solved.tally", "--manifest").out.encode()
    digest = sha256(data.rstrip(b"\n")).hexdigest()
    assert f"sha256:{digest}" in tally("evidence", "show", "solved.tally").out
