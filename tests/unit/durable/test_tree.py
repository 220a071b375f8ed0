# SPDX-License-Identifier: Apache-2.0
"""Syncing all below a directory: one call to the system, and its failure is told."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from tallystick.durable.tree import sync_filesystem
from tallystick.errors import DurableError


def test_it_returns_when_all_is_written(tmp_path: Path) -> None:
    """A directory with files in it is synced without a word, and nothing stays open."""
    (tmp_path / "file").write_bytes(bytes(100_000))
    before = os.listdir("/dev/fd")
    sync_filesystem(tmp_path)
    assert set(os.listdir("/dev/fd")) <= set(before)


def test_a_failed_write_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the system says of lost writes does not get lost here."""
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: SimpleNamespace(syncfs=lambda _: -1))
    monkeypatch.setattr(ctypes, "get_errno", lambda: 5)
    with pytest.raises(DurableError, match="Input/output error"):
        sync_filesystem(tmp_path)
    assert ctypes.get_errno() == 5


def test_other_systems_sync_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no call for one file system, all are synced."""
    calls: list[str] = []
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: SimpleNamespace())
    monkeypatch.setattr(os, "sync", lambda: calls.append("sync"))
    sync_filesystem(tmp_path)
    assert calls == ["sync"]


def test_what_is_no_directory_is_told(tmp_path: Path) -> None:
    """A path that is not there, and one of a file."""
    (tmp_path / "file").touch()
    for name in ("none", "file"):
        with pytest.raises(DurableError, match="can't be synced"):
            sync_filesystem(tmp_path / name)
