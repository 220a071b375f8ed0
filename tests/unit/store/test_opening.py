# SPDX-License-Identifier: Apache-2.0
"""Which store a setting names."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.postgres_server import PostgresServer

from tallystick.errors import SettingError, StoreError
from tallystick.store.opening import now_ms, open_log_store
from tallystick.store.postgres import PostgresEngine
from tallystick.store.sqlite import SqliteEngine


def test_a_path_is_a_file(tmp_path: Path) -> None:
    """Any path is a SQLite file, made for its owner alone; a folder that is not there is told."""
    store = open_log_store(str(tmp_path / "db"))
    assert isinstance(store.engine, SqliteEngine)
    store.close()
    assert (tmp_path / "db").stat().st_mode & 0o777 == 0o600
    with pytest.raises(StoreError, match="No such file"):
        open_log_store(str(tmp_path / "missing" / "db"))


def test_an_address_is_a_database(postgres: PostgresServer) -> None:
    """`postgresql://` is PostgreSQL."""
    store = open_log_store(postgres.new_database())
    assert isinstance(store.engine, PostgresEngine)
    store.close()


@pytest.mark.parametrize("db", ["", ":memory:", "file:x?mode=memory"])
def test_what_is_not_durable_is_refused(db: str) -> None:
    """A store in memory would acknowledge what it forgets."""
    with pytest.raises(SettingError, match="durable"):
        open_log_store(db)


def test_time_is_the_machine_s() -> None:
    """Milliseconds since 1970."""
    assert abs(now_ms() - time.time() * 1000) < 5000


def test_what_can_not_be_opened_leaves_no_lock(tmp_path: Path) -> None:
    """After a refused opening the file can be opened once its fault is gone."""
    (tmp_path / "db").write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError):
        open_log_store(str(tmp_path / "db"))
    (tmp_path / "db").unlink()
    open_log_store(str(tmp_path / "db")).close()
