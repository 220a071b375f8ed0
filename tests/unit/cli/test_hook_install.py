# SPDX-License-Identifier: Apache-2.0
"""`tally hook install`: shown, done, undone; refused where the settings are in doubt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.command import tally


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "settings.json"
    path.write_text('{"model": "opus"}\n')
    return path


def test_there_and_back(settings: Path) -> None:
    """The change is shown, made, and taken back."""
    before = settings.read_text()
    done = tally("hook", "install", "claude-code", "--settings", str(settings))
    assert done.code == 0
    assert "+" in done.out
    assert f"wrote {settings}" in done.out
    assert ".before-tally" in done.out
    assert set(json.loads(settings.read_text())["hooks"]) >= {"PreToolUse", "PostToolUseFailure"}
    again = tally("hook", "install", "claude-code", "--settings", str(settings))
    assert "nothing to do" in again.out
    assert tally("hook", "install", "claude-code", "--undo", "--settings", str(settings)).code == 0
    assert settings.read_text() == before


def test_a_dry_run_writes_nothing(settings: Path) -> None:
    """The change is shown only."""
    before = settings.read_bytes()
    done = tally("hook", "install", "codex", "--dry-run", "--settings", str(settings))
    assert "nothing was written" in done.out
    assert settings.read_bytes() == before
    assert "trust" in done.out


def test_places_are_in_the_command(settings: Path, tmp_path: Path) -> None:
    """Socket and spool are named, so that the host's environment need not know them."""
    tally(
        "hook", "install", "claude-code", "--settings", str(settings), "--socket", "/run/x.sock",
        "--spool", str(tmp_path / "spool"), "--require-receipt",
    )  # fmt: skip
    text = settings.read_text()
    assert "--socket /run/x.sock" in text
    assert f"--spool {tmp_path}/spool" in text
    assert text.count('"onFailure"') == 1


def test_settings_that_switch_hooks_off(settings: Path) -> None:
    """It says so where the host would call nobody."""
    settings.write_text('{"disableAllHooks": true}')
    done = tally("hook", "install", "claude-code", "--settings", str(settings))
    assert "disableAllHooks" in done.out


def test_refusals(settings: Path) -> None:
    """Settings in doubt are left alone with exit code 1; what Codex can't do is usage."""
    settings.write_text("// mine\n{}")
    done = tally("hook", "install", "claude-code", "--settings", str(settings))
    assert (done.code, settings.read_text()) == (1, "// mine\n{}")
    assert tally("hook", "install", "codex", "--require-receipt").code == 2
    assert tally("hook", "install", "emacs").code == 2
