# SPDX-License-Identifier: Apache-2.0
"""A change is shown without secrets, then made or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tallystick.channels.config_file import ConfigChange
from tallystick.cli.config_changes import carry_out

TOKEN = "ghp_" + "a1B2" * 9


def test_secrets_are_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Tokens that stand near a change are hidden; long lines are cut."""
    path = tmp_path / "c"
    before = f'{{"token": "{TOKEN}", "x": "{"y" * 2000}"}}'.encode()
    path.write_bytes(before)
    change = ConfigChange(path=str(path), before=before, after=before + b"\n{}")
    assert carry_out(change, dry_run=True)
    shown = capsys.readouterr().out
    assert TOKEN not in shown
    assert max(map(len, shown.splitlines())) < 600
    assert path.read_bytes() == before


def test_nothing_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    """An empty change says so."""
    assert not carry_out(ConfigChange(path="c", before=b"", after=b""), dry_run=False)
    assert "nothing to do" in capsys.readouterr().out


def test_a_file_is_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where undoing leaves nothing, the file goes."""
    path = tmp_path / "c"
    path.write_bytes(b"{}")
    change = ConfigChange(path=str(path), before=b"{}", after=None)
    carry_out(change, dry_run=False, undo=True)
    assert not path.exists()
    assert "removed" in capsys.readouterr().out
