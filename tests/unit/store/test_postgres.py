# SPDX-License-Identifier: Apache-2.0
"""The PostgreSQL engine: migrations, what it refuses, and unknown outcomes."""

from __future__ import annotations

import threading

import psycopg
import pytest
from tests.postgres_server import PostgresServer

from tallystick.errors import StoreCorruptError, StoreError
from tallystick.store.postgres import PostgresEngine


def test_processes_may_start_at_once(postgres: PostgresServer) -> None:
    """Several engines on an empty database: the schema is made once, and none fails."""
    url = postgres.new_database()
    engines: list[PostgresEngine] = []
    threads = [
        threading.Thread(target=lambda: engines.append(PostgresEngine(url))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(engines) == 4
    for engine in engines:
        with engine.reading() as access:
            assert access.rows("SELECT version FROM schema_version") == [(1,)]
        assert engine.size_bytes() > 0
        assert engine.integrity() == []
        engine.close()


def test_a_newer_schema_is_left_alone(postgres: PostgresServer) -> None:
    """A database of a newer version is refused."""
    url = postgres.new_database()
    PostgresEngine(url).close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE schema_version SET version = 99")
    with pytest.raises(StoreCorruptError, match="newer version"):
        PostgresEngine(url)


def test_an_error_in_the_block_leaves_nothing(postgres: PostgresServer) -> None:
    """An error of ours or of the database undoes the transaction; the next one goes."""
    engine = PostgresEngine(postgres.new_database())

    def work(error: Exception | None) -> None:
        with engine.writing() as access:
            access.run("UPDATE probe SET count = 9")
            if error is not None:
                raise error
            access.run("UPDATE missing SET x = 1")

    with pytest.raises(KeyError):
        work(KeyError("ours"))
    with pytest.raises(StoreError, match="missing") as caught:
        work(None)
    assert not caught.value.is_transient
    with engine.writing() as access:
        assert access.rows("SELECT count FROM probe") == [(0,)]
        assert abs(engine.clock_ms(access) - engine.clock_ms(access)) < 1000
    engine.close()


def test_a_warning_at_the_commit_is_an_unknown_outcome(postgres: PostgresServer) -> None:
    """A COMMIT that waits for a standby and is cancelled "succeeds" with a warning: not for us."""
    url = postgres.new_database()
    engine = PostgresEngine(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        connection.execute("SELECT pg_reload_conf()")
    try:
        failures: list[BaseException] = []

        def work() -> None:
            try:
                with engine.writing() as access:
                    access.run("UPDATE probe SET count = count + 1")
            except StoreError as error:
                failures.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        with psycopg.connect(url, autocommit=True) as connection:
            for _ in range(200):
                rows = connection.execute(
                    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity "
                    "WHERE wait_event = 'SyncRep'"
                ).fetchall()
                thread.join(0.05)
                if rows and not thread.is_alive():
                    break
        thread.join(10)
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SET synchronous_commit = local")
            connection.execute("ALTER SYSTEM RESET synchronous_standby_names")
            connection.execute("SELECT pg_reload_conf()")
    assert [error.is_transient for error in failures if isinstance(error, StoreError)] == [True]
    assert "not known" in str(failures[0])
    engine.close()
