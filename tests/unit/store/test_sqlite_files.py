# SPDX-License-Identifier: Apache-2.0
"""The files of a database: whose they are, what others may do with them, and which is which."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tallystick.errors import StoreError
from tallystick.store.sqlite_files import prepare_files


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(("mode_max", "made"), [(None, 0o600), (0o640, 0o640)])
def test_a_new_file_has_its_mode_whatever_the_umask(
    tmp_path: Path, mode_max: int | None, made: int
) -> None:
    """Nobody can read the file in the moment between its making and its mode."""
    before = os.umask(0o077 if mode_max else 0o000)
    try:
        prepare_files(str(tmp_path / "db"), mode_max)
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "db") == made


def test_files_that_are_there_are_tightened_where_that_is_asked_for(tmp_path: Path) -> None:
    """An operator's choice is kept where there is no bound; a bound takes, and never adds."""
    names = ["db", "db-wal", "db-shm", "db-journal"]
    for name in names:
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o604)
    prepare_files(str(tmp_path / "db"), None)
    assert mode_of(tmp_path / "db") == 0o604
    prepare_files(str(tmp_path / "db"), 0o640)
    assert [mode_of(tmp_path / name) for name in names] == [0o600] * 4


@pytest.mark.parametrize("name", ["db", "db-wal", "db-shm", "db-journal"])
def test_links_are_refused_where_modes_count(tmp_path: Path, name: str) -> None:
    """A link that somebody planted would have another file written, and opened to readers."""
    (tmp_path / "target").write_text("mine")
    (tmp_path / name).symlink_to(tmp_path / "target")
    with pytest.raises(StoreError, match="symbolic link"):
        prepare_files(str(tmp_path / "db"), 0o640)
