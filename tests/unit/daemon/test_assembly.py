# SPDX-License-Identifier: Apache-2.0
"""Folders, modes and the ledger, as a daemon's settings say."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from tallystick.daemon.assembly import (
    heads_path,
    ledger_of,
    prepare_key_folder,
    prepare_store_folder,
    set_umask,
    system_clock_ns,
)
from tallystick.daemon.key_file import make_keys
from tallystick.daemon.settings import Settings, load_settings
from tallystick.daemon.statements import Statements
from tallystick.errors import SettingError, StoreLockedError


def settings_of(home: Path, **flags: str) -> Settings:
    given: Any = flags
    environ = {"XDG_DATA_HOME": str(home), "XDG_RUNTIME_DIR": "/run/user/7"}
    return load_settings(given, environ=environ, platform="linux")[0]


def test_a_ledger_is_opened_once(tmp_path: Path) -> None:
    """Folders are made, the heads lie beside the key, and a second one is refused."""
    tmp_path.chmod(0o700)
    settings = settings_of(tmp_path)
    prepare_key_folder(settings)
    make_keys(settings.key, settings.public_key)
    ledger = ledger_of(settings, Statements(settings))
    with pytest.raises(StoreLockedError):
        ledger_of(settings, Statements(settings))
    ledger.close()
    assert Path(settings.db).stat().st_mode & 0o137 == 0
    assert Path(heads_path(settings)).exists()
    assert Path(settings.db).parent.stat().st_mode & 0o777 == 0o750


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a folder to a group needs root")
def test_the_readers_group_may_look_in(tmp_path: Path) -> None:
    """The folder belongs to them, and so will the files that are made in it."""
    settings = settings_of(tmp_path, read_group="54321")
    prepare_store_folder(settings)
    found = Path(settings.db).parent.stat()
    assert (found.st_gid, found.st_mode & 0o7777) == (54321, 0o2750)


def test_an_unknown_group_is_a_fault_of_the_settings(tmp_path: Path) -> None:
    """And it is told before anything runs."""
    with pytest.raises(SettingError, match=r"^read_group: there is no group"):
        prepare_store_folder(settings_of(tmp_path, read_group="nobody-has-this"))


def test_the_umask_keeps_others_out() -> None:
    """What is made from here on is closed to others."""
    before = os.umask(0)
    try:
        set_umask()
        assert os.umask(0) == 0o027
    finally:
        os.umask(before)


def test_the_clock_is_the_systems() -> None:
    """Nanoseconds since 1970."""
    assert abs(system_clock_ns() - time.time_ns()) < 10_000_000_000
