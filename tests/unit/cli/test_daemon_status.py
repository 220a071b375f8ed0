# SPDX-License-Identifier: Apache-2.0
"""`tally daemon status` and `rotate` where no daemon runs; the rest is in tests/systems."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.command import tally
from tests.privileges import unprivileged


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let everything lie in a folder of the test."""
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    return tmp_path / "agent-receipts"


def test_nobody_answers() -> None:
    """Exit code 3, and where it was asked."""
    done = tally("daemon", "status")
    assert done.code == 3
    assert "status.sock" in done.err


@pytest.mark.parametrize(("folder", "mode"), [(0o700, 0o666), (0o755, 0o600)])
def test_who_may_not_ask_hears_how_to(
    folder: int, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon that runs need not be started: its group has to be joined."""
    assert tally("daemon", "status").code == 3  # so that all of it is loaded
    with TemporaryDirectory() as made, socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.setenv("XDG_RUNTIME_DIR", made)
        place = Path(made) / "agentreceipts"
        place.mkdir()
        listening.bind(str(place / "status.sock"))
        (place / "status.sock").chmod(mode if os.geteuid() == 0 else 0)
        place.chmod(folder)
        Path(made).chmod(0o755)
        with unprivileged():
            done = tally("daemon", "status")
    assert done.code == 3
    assert "Permission denied; add the user to the emitters' group, and log in anew" in done.err
    assert "daemon run" not in done.err


def test_a_key_is_rotated_without_a_daemon(bare: Path) -> None:
    """The store's lock is taken for it; without a key there is nothing to rotate."""
    refused = tally("daemon", "rotate")
    assert refused.code == 3
    assert "`tally daemon init` makes a key" in refused.err
    assert not (bare / "receipts.db").exists()
    assert tally("daemon", "init").code == 0
    before = (bare / "signing.key.pub").read_bytes()
    done = tally("daemon", "rotate")
    assert done.code == 0, done.err
    first, *_ = done.out.splitlines()
    assert first.startswith("no daemon answers at ") and first.endswith(": rotated here")
    assert (bare / "signing.key.pub").read_bytes() != before
    assert len(list(bare.glob("signing.key.pub.rotated-*"))) == 1
