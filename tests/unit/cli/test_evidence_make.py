# SPDX-License-Identifier: Apache-2.0
"""`tally evidence make`."""

from __future__ import annotations

import stat
from pathlib import Path

from tests.command import tally


def test_a_folder_becomes_a_bundle() -> None:
    """Signed by the key, readable by its owner alone, verified under the public key."""
    assert tally("evidence", "make", "results", "--out", "r.tally", "--key", "agent.key").code == 0
    assert stat.S_IMODE(Path("r.tally").stat().st_mode) == 0o600
    answer = tally("evidence", "verify", "r.tally", "--key", "agent.pub")
    assert answer.code == 0
    assert answer.out.startswith("evidence_no_decision ")
    assert tally("evidence", "verify", "r.tally", "--key", "other.pub").code == 1


def test_keys_that_cannot_sign_are_wrong_usage() -> None:
    """A public key, a key that is none, a file that is not there, a key itself."""
    text = Path("agent.key").read_text()
    for key in ("agent.pub", "garbage.json", "nowhere", text, "pkcs11:", "http://x"):
        answer = tally("evidence", "make", "results", "--out", "r.tally", "--key", key)
        assert (answer.code, answer.out) == (2, "")
        assert "PRIVATE KEY-----\nM" not in answer.err
    assert not Path("r.tally").exists()


def test_a_bundle_lies_outside_of_its_folder() -> None:
    """Within, it would be a file that it does not list, however the path is spelled."""
    Path("link").symlink_to("results")
    for out in ("results/r.tally", "link/r.tally", "results/../results/r.tally"):
        answer = tally("evidence", "make", "results", "--out", out, "--key", "agent.key")
        assert (answer.code, "--out lies in DIR" in answer.err) == (2, True)
    assert not Path("results/r.tally").exists()
    beside = tally("evidence", "make", "results", "--out", "results.tally", "--key", "agent.key")
    assert beside.code == 0


def test_links_and_runs_are_refused() -> None:
    """What no manifest takes in, and what has evidence of its own: exit code 1, nothing written."""
    Path("results/link").symlink_to("/etc/passwd")
    answer = tally("evidence", "make", "results", "--out", "r.tally", "--key", "agent.key")
    assert answer.code == 1
    assert "link: is a symbolic link" in answer.err
    Path("results/link").unlink()
    Path("results/states.jsonl").write_bytes(b"")
    assert tally("evidence", "make", "results", "--out", "r.tally", "--key", "agent.key").code == 1
    assert not Path("r.tally").exists()
