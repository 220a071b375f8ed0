# SPDX-License-Identifier: Apache-2.0
"""The PostgreSQL engine: migrations, what it refuses, and unknown outcomes.

And a store on it where tables are partitioned, and where two processes share it.
"""

from __future__ import annotations

import re
import threading
import time

import psycopg
import pytest
from tests.postgres_server import PostgresServer
from tests.stores import PostgresLog
from tests.submissions import note_of, submission, submissions

from tallystick.errors import StoreCorruptError, StoreError
from tallystick.store.fsck import check_engine
from tallystick.store.postgres import PostgresEngine
from tallystick.store.sql import schema_text


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
            # The server takes a new setting up when it comes to it: commits before that succeed.
            end_s = time.monotonic() + 8
            while not failures and time.monotonic() < end_s:
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


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:secr%et@h/n",
        "postgresql://u:secret@[::1/n",
        "postgresql://u:secret/x@h/n",
        "postgresql://u:p@secret:x@h/n",
        "postgresql://h:secret/n",
    ],
)
def test_a_url_that_means_something_else_is_not_quoted(url: str) -> None:
    """Where a password holds what belongs percent-encoded, no message holds any of it."""
    with pytest.raises(StoreError, match="percent-encoded") as caught:
        PostgresEngine(url)
    assert "secr" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_stores_on_one_database_know_each_other_s_entries(postgres: PostgresServer) -> None:
    """What one has placed is old to the other, at once, whichever of them is asked."""
    url = postgres.new_database()
    stores = [PostgresLog(url), PostgresLog(url)]
    for turn in range(20):
        placing, other = stores[turn % 2], stores[1 - turn % 2]
        sent = submissions(3, start=3 * turn)
        placed = placing.place(sent)
        assert [one.index for one in placed] == [4 * turn, 4 * turn + 1, 4 * turn + 2]
        again = other.place(sent)
        assert [(one.index, one.is_new, one.path_lines) for one in again] == [
            (one.index, False, one.path_lines) for one in placed
        ]
        shared = other.place([submission(str(3 * turn), note=f"x{turn}")])[0]
        assert shared.shares_id
        assert other.next_index() == placing.next_index()
    intent = stores[0].advance()
    assert stores[1].advance() == intent
    stores[1].release(intent.number, note_of(intent))
    stores[0].release(intent.number, note_of(intent))
    assert stores[0].released() == stores[1].released()
    assert check_engine(stores[0].engine).faults == []
    for store in stores:
        store.close()


def test_tables_may_be_partitioned(postgres: PostgresServer) -> None:
    """By tenant, and the log by ranges of its index: the store takes the tables that it finds."""
    url = postgres.new_database()
    text = schema_text("postgres_001")
    for table, by in (
        ("chain", "HASH (tenant)"),
        ("body", "HASH (tenant)"),
        ("entry", "RANGE (idx)"),
    ):
        text = re.sub(
            rf"(CREATE TABLE {table} \(.*?\n\));", rf"\1 PARTITION BY {by};", text, flags=re.DOTALL
        )
    # A partial unique index needs the partition's key, which it has: the tenant.
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE schema_version (one smallint PRIMARY KEY, version bigint NOT NULL)"
        )
        connection.execute("INSERT INTO schema_version VALUES (1, 1)")
        connection.execute(text.encode())
        for table in ("chain", "body"):
            for part in range(2):
                connection.execute(
                    f"CREATE TABLE {table}_{part} PARTITION OF {table} "
                    f"FOR VALUES WITH (MODULUS 2, REMAINDER {part})".encode()
                )
        for part in range(2):
            connection.execute(
                f"CREATE TABLE entry_{part} PARTITION OF entry "
                f"FOR VALUES FROM ({part * 100}) TO ({part * 100 + 100})".encode()
            )
    store = PostgresLog(url)
    store.place([submission(str(number), tenant=f"tenant-{number % 5}") for number in range(150)])
    store.place([submission(str(number), tenant="t", sequence=1) for number in range(10)])
    intent = store.advance()
    store.release(intent.number, note_of(intent))
    assert [one.index for one in store.by_id("tenant-2", "urn:receipt:7")] == [7]
    assert len(store.chain("tenant-2", "chain", after=(-1, -1), limit=99)) == 30
    assert check_engine(store.engine).faults == []
    store.close()


def test_a_database_that_goes_back_is_noticed(postgres: PostgresServer) -> None:
    """A standby that was promoted without the last commits gives no place out a second time."""
    url = postgres.new_database()
    store = PostgresLog(url)
    store.place(submissions(3))
    store.place(submissions(2, start=3))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")  # no tripwires
        for statement in (
            "DELETE FROM body WHERE idx >= 3",
            "DELETE FROM entry WHERE idx >= 3",
            "DELETE FROM batch WHERE start >= 3",
            "UPDATE log_head SET next_index = 3",
        ):
            connection.execute(statement)
    for _ in range(2):
        with pytest.raises(StoreCorruptError, match="has gone back"):
            store.place(submissions(1, start=9))
        with pytest.raises(StoreCorruptError, match="has gone back"):
            store.advance()
    assert store.next_index() == 3
    store.close()


@pytest.mark.parametrize("asks", ["place", "advance", "read"])
@pytest.mark.parametrize("count", [2, 6])
def test_a_database_that_goes_back_and_grows_is_noticed(
    postgres: PostgresServer, asks: str, count: int
) -> None:
    """Another process fills the places that were lost, all or more: who knew them stops."""
    url = postgres.new_database()
    store, other = PostgresLog(url), PostgresLog(url)
    store.place(submissions(3))
    other.place(submissions(1, start=3))
    store.place(submissions(1, start=4))
    store.place(submissions(1, start=5))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")  # no tripwires
        for statement in (
            "DELETE FROM body WHERE idx >= 4",
            "DELETE FROM entry WHERE idx >= 4",
            "DELETE FROM batch WHERE start >= 4",
            "UPDATE log_head SET next_index = 4",
        ):
            connection.execute(statement)
    assert other.place(submissions(count, start=10))[0].index == 4
    if asks == "read" and count > 2:
        with pytest.raises(StoreCorruptError, match="has gone back"):
            store.by_id("t", "urn:receipt:1")  # it must not take the new ones for granted
    for _ in range(2):
        with pytest.raises(StoreCorruptError, match="has gone back"):
            store.advance() if asks == "advance" else store.place(submissions(1, start=20))
    assert store.next_index() == 4 + count
    store.close()
    other.close()
