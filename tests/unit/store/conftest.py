# SPDX-License-Identifier: Apache-2.0
"""A store on each engine, for tests that hold for both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.postgres_server import PostgresServer, running_postgres
from tests.stores import Place, PostgresLog, SqliteLog


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server for all tests of this process."""
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """An empty store on each engine."""
    if request.param == "sqlite":
        path = tmp_path / "store.db"
        found = Place(lambda clock: SqliteLog(path, clock_ms=clock), "sqlite")
    else:
        url = request.getfixturevalue("postgres").new_database()
        found = Place(lambda clock: PostgresLog(url, clock_ms=clock), "postgres")
    yield found
    found.close()
