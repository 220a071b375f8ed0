# SPDX-License-Identifier: Apache-2.0
"""`tally daemon run`: options, and what it prints before it serves."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.command import tally

from tallystick.daemon.variables import DAEMON


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let nothing of this machine's own settings in."""
    for one in DAEMON:
        monkeypatch.delenv(one.environment, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    return tmp_path


def test_each_setting_is_an_option() -> None:
    """The help names every setting with its variable."""
    text = " ".join(tally("daemon", "run", "--help").out.split())
    for one in DAEMON:
        assert one.flag in text
        if one.kind != "flag":
            assert one.environment in text


def test_the_settings_can_be_printed(bare: Path) -> None:
    """What would be used, and from where, as TOML; nothing is started."""
    done = tally("daemon", "run", "--issuer-id", "did:x:y", "--print-config")
    assert done.code == 0, done.err
    assert 'issuer_id = "did:x:y"  # --issuer-id' in done.out
    assert f'db = "{bare}/agent-receipts/receipts.db"  # default' in done.out


def test_settings_that_contradict_each_other_are_usage(bare: Path) -> None:
    """Exit code 2, one line, and no key in it."""
    done = tally("daemon", "run", "--parameter-disclosure", "all")
    assert (done.code, "forensic_public_key" in done.err) == (2, True)
    assert tally("daemon", "run", "--config", str(bare / "none.toml")).code == 3


def test_without_a_key_it_does_not_start() -> None:
    """No key is ever made at a start: exit code 3 and what to do."""
    done = tally("daemon", "run")
    assert done.code == 3
    assert "signing.key" in done.err
