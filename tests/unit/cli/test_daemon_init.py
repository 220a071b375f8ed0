# SPDX-License-Identifier: Apache-2.0
"""`tally daemon init`: keys are made once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.command import tally


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let everything lie in a folder of the test."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    return tmp_path / "agent-receipts"


def modes(folder: Path) -> dict[str, int]:
    return {one.name: one.stat().st_mode & 0o777 for one in folder.iterdir()}


def test_keys_and_folders_are_made(bare: Path) -> None:
    """The private half for the daemon alone, the public one for all."""
    done = tally("daemon", "init", "--forensic")
    assert done.code == 0, done.err
    assert modes(bare) == {
        "signing.key": 0o600,
        "signing.key.pub": 0o644,
        "forensic.key": 0o600,
        "forensic.key.pub": 0o644,
    }
    assert bare.stat().st_mode & 0o777 == 0o750
    assert "fingerprint" in done.out


def test_its_umask_is_left_to_nobody() -> None:
    """The verb narrows that of its process; tests that come after it in this one have their own."""
    before = os.umask(0o022)
    try:
        assert tally("daemon", "init").code == 0
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)


def test_a_key_needs_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the daemon is going to listen is looked at when it does."""
    monkeypatch.setenv("AGENTRECEIPTS_SOCKET", "/srv/agent/events.sock")
    assert tally("daemon", "init").code == 0
    refused = tally("daemon", "run")
    assert refused.code == 2
    assert "--unsafe-socket-path" in refused.err


def test_what_is_there_is_not_touched(bare: Path) -> None:
    """A second time it refuses, and so it does for a planted link."""
    assert tally("daemon", "init").code == 0
    before = (bare / "signing.key").read_bytes()
    assert tally("daemon", "init").code == 3
    assert (bare / "signing.key").read_bytes() == before
    (bare / "link").symlink_to(bare / "elsewhere")
    assert tally("daemon", "init", "--key", str(bare / "link")).code == 3
    assert not (bare / "elsewhere").exists()
