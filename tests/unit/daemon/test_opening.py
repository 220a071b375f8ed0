# SPDX-License-Identifier: Apache-2.0
"""Opening the ledger: what is looked at first, and that a refusal leaves no trace and no lock."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from tests.ledgers import Home

from tallystick.errors import Error, KeyFileError, SettingError, StoreError


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A folder with a key and no store."""
    return Home(tmp_path)


def test_a_missing_key_is_never_made(home: Home) -> None:
    """A start without a key is refused, as a new key would be a new issuer; it leaves nothing."""
    home.key.unlink()
    before = sorted(home.folder.iterdir())
    with pytest.raises(KeyFileError, match="does not exist; `tally daemon init` makes a key"):
        home.open()
    assert sorted(home.folder.iterdir()) == before


def test_a_refusal_lets_go_of_everything(home: Home) -> None:
    """After a fault is put right, the same process can open the ledger."""
    home.key.chmod(0o644)
    for _ in range(3):
        with pytest.raises(KeyFileError):
            home.open()
    descriptors = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    home.key.chmod(0o600)
    home.open().close()
    if descriptors:
        assert len(os.listdir("/proc/self/fd")) <= descriptors


def test_a_start_without_heads_is_told(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    """Who removes the file of heads accepts a rollback; it is said, once, and kept again."""
    ledger = home.open()
    ledger.commit([home.frame()])
    ledger.close()
    home.heads.unlink()
    with caplog.at_level(logging.WARNING, logger="tallystick.daemon"):
        home.open().close()
    assert "rollback could not be seen" in caplog.text


def test_damaged_heads_name_what_to_move_away(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    """The advice can be followed: the file is moved, and the next start says what that gave up."""
    ledger = home.open()
    ledger.commit([home.frame()])
    ledger.close()
    home.heads.write_text("garbage\n")
    with pytest.raises(StoreError, match=f"Nothing was changed.*move {home.heads} away"):
        home.open()
    home.heads.rename(home.folder / "evidence")
    with caplog.at_level(logging.WARNING, logger="tallystick.daemon"):
        home.open().close()
    assert "rollback could not be seen" in caplog.text


@pytest.mark.parametrize("name", ["a/agent/b", "\n"])
def test_a_name_that_no_chain_may_have(home: Home, name: str) -> None:
    """A fixed chain id that can't be one is refused before anything is made."""
    with pytest.raises(SettingError):
        home.open(chain_id=name)
    assert not home.db.exists()


def test_a_folder_that_is_not_there(home: Home) -> None:
    """Where the store can't be made, the error names it."""
    home.db = home.folder / "none" / "db"
    with pytest.raises(Error, match="none/db"):
        home.open()
