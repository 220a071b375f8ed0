# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL as the database that several collectors share, with nothing between them but it.

A lost connection during COMMIT leaves the outcome open: the caller hears of it and acknowledges
nothing; the next call connects again and reads what there is. A failed fsync is the server's own
affair: PostgreSQL panics and recovers from its log.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from tallystick.errors import (
    MissingExtraError,
    StoreCorruptError,
    StoreError,
    StoreStoppedError,
    how_to_install,
)
from tallystick.limits import (
    POSTGRES_CONNECT_MS,
    POSTGRES_IDLE_MS,
    POSTGRES_LOCK_MS,
    POSTGRES_READERS_MAX,
)
from tallystick.store.sql import Access, Row, schema_text

try:
    import psycopg
    from psycopg.types.numeric import Int8BinaryDumper
    from psycopg_pool import ConnectionPool, PoolTimeout
except ImportError as error:  # pragma: no cover - the environment of the tests has it
    raise MissingExtraError(
        f"PostgreSQL needs {error.name}; {how_to_install('postgres')}"
    ) from error

MIGRATIONS: Final = ("postgres_001",)

# What this process locks while it changes the schema: any number that others don't use.
_MIGRATION_LOCK: Final = 0x7461_6C6C_7973_7469

# What the server's own settings must say, where it knows them, so that a COMMIT is what it says.
_MUST_BE_ON: Final = ("fsync", "full_page_writes")

_Connection = psycopg.Connection[Row]


class PostgresAccess:
    """One connection to PostgreSQL. Rows go over as one array for each column."""

    # Statements as written, and as psycopg wants them: values and rows in binary.
    _texts: dict[str, bytes] = {}  # noqa: RUF012 - shared on purpose: the statements are few

    def __init__(self, connection: _Connection) -> None:
        self._cursor = connection.cursor(binary=True)

    def rows(self, statement: str, values: Sequence[object] = (), /) -> list[Row]:
        """Return all rows that a statement yields."""
        return self._cursor.execute(self._text(statement), values).fetchall()

    def lookup(
        self, select: str, columns: Sequence[str], keys: Sequence[Sequence[object]], /
    ) -> list[Row]:
        """Ask for all keys in one statement."""
        if not keys:
            return []
        word = "AND" if " WHERE " in select else "WHERE"
        names = ", ".join(columns)
        given = [*zip(*keys, strict=True)]
        return self.rows(
            f"{select} {word} ({names}) IN (SELECT * FROM {_unnest(given)})", [*map(list, given)]
        )

    def run(self, statement: str, values: Sequence[object] = (), /) -> int:
        """Run a statement that yields no rows, and return how many it changed."""
        return self._cursor.execute(self._text(statement), values).rowcount

    def insert(self, head: str, rows: Sequence[Sequence[object]], tail: str = "", /) -> None:
        """Insert all rows by one statement."""
        self.insert_columns(head, [*zip(*rows, strict=True)], tail)

    def insert_columns(
        self, head: str, columns: Sequence[Sequence[object]], tail: str = "", /
    ) -> None:
        """Insert all rows, given by their columns."""
        if columns and columns[0]:
            statement = f"{head} SELECT * FROM {_unnest(columns)} {tail}"
            self._cursor.execute(self._text(statement), [*map(list, columns)])

    def update(
        self, table: str, columns: Sequence[str], keys: Sequence[str], rows: Sequence[Row], /
    ) -> None:
        """Update all rows by one statement."""
        given = [*zip(*rows, strict=True)]
        if given:
            names = ", ".join(f"new_{name}" for name in (*columns, *keys))
            values = ", ".join(f"{name} = new_{name}" for name in columns)
            where = " AND ".join(f"{table}.{name} = new_{name}" for name in keys)
            self.run(
                f"UPDATE {table} SET {values} FROM {_unnest(given)} AS n ({names}) WHERE {where}",
                [*map(list, given)],
            )

    def _text(self, statement: str) -> bytes:
        text = self._texts.get(statement)
        if text is None:
            assert "%" not in statement
            text = self._texts[statement] = statement.replace("?", "%b").encode()
        return text


class PostgresEngine:
    """A database: one connection that writes, and a pool that reads."""

    for_update = " FOR UPDATE"
    is_exclusive = False

    def __init__(self, url: str, *, clock_ms: Callable[[], int] | None = None) -> None:
        self._url = url
        self._clock_ms = clock_ms
        self._writing = threading.Lock()
        self._connection: _Connection | None = None
        self._is_closed = False
        self._warnings: list[str] = []
        _check_url(url)
        with _told("could not be opened"):
            with psycopg.connect(url, autocommit=True, **_CONNECT) as connection:
                self._begin = _begin(connection)
                _migrate(connection)
            self._pool: ConnectionPool[_Connection] = ConnectionPool(
                url,
                min_size=1,
                max_size=POSTGRES_READERS_MAX,
                timeout=POSTGRES_CONNECT_MS / 1000,
                kwargs={"autocommit": True, **_CONNECT},
                check=ConnectionPool.check_connection,
                configure=_configure,
                name="tally-read",
                open=True,
            )

    @contextmanager
    def writing(self) -> Iterator[Access]:
        """Run a transaction; after any error the connection is given up."""
        with self._writing:
            if self._is_closed:
                raise StoreStoppedError("the store is closed")
            try:
                with _told("could not be written"):
                    connection = self._connection or self._connect()
                    connection.execute(self._begin)
                    # No pipeline mode: between its syncs the server does not count a process that
                    # hangs as idle, and would leave the log's head to it.
                    yield PostgresAccess(connection)
                    self._warnings.clear()
                    done = connection.execute("COMMIT")
                    if done.statusmessage != "COMMIT":
                        raise StoreError(f"the transaction ended as {done.statusmessage}")
                    if self._warnings:  # a cancelled wait for the standby, for one
                        raise StoreError(
                            f"whether it is stored is not known: {self._warnings[0]}",
                            is_transient=True,
                        )
            except BaseException:
                self._drop()
                raise

    @contextmanager
    def reading(self) -> Iterator[Access]:
        """Lend a connection of the pool."""
        if self._is_closed:
            raise StoreStoppedError("the store is closed")
        with _told("could not be read"), self._pool.connection() as connection:
            yield PostgresAccess(connection)

    def clock_ms(self, access: Access, /) -> int:
        """Return the database's time: one clock for all collectors, read in its own statement."""
        if self._clock_ms is not None:
            return self._clock_ms()
        found = access.rows("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")[0][0]
        assert isinstance(found, int)
        return found

    def size_bytes(self) -> int:
        """Return what the database takes on disk, all its tables."""
        with self.reading() as access:
            found = access.rows("SELECT pg_database_size(current_database())")[0][0]
        assert isinstance(found, int)
        return found

    def integrity(self) -> list[str]:
        """Return nothing: PostgreSQL's own checks (`pg_amcheck`) are run on its host."""
        return []

    def close(self) -> None:
        """Close all connections; again does nothing."""
        with self._writing:
            if not self._is_closed:
                self._is_closed = True
                self._drop()
                self._pool.close()

    def _connect(self) -> _Connection:
        connection = psycopg.connect(self._url, autocommit=True, **_CONNECT)
        _configure(connection)
        connection.add_notice_handler(self._noticed)
        self._connection = connection
        return connection

    def _noticed(self, notice: psycopg.errors.Diagnostic) -> None:
        if notice.severity_nonlocalized == "WARNING":
            self._warnings.append(notice.message_primary or "a warning")

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


_CONNECT: Final[dict[str, Any]] = {
    "connect_timeout": max(1, POSTGRES_CONNECT_MS // 1000),
    "application_name": "tallystick",
    "keepalives_idle": 30,
    "tcp_user_timeout": POSTGRES_IDLE_MS,
}


def _check_url(url: str) -> None:
    """Refuse a URL of which a part of the password would be taken, and quoted, for something else.

    libpq's own words quote the URL.
    """
    try:
        parts = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        parts = None
    if (
        parts is None
        or any("@" in one[1:] for one in str(parts.get("host", "")).split(","))
        or not all(one.isdecimal() or not one for one in str(parts.get("port", "")).split(","))
    ):
        raise StoreError(
            "the database's URL is none: in a user name or password, characters like @ : / and % "
            "are percent-encoded"
        ) from None


def _configure(connection: _Connection) -> None:
    # Integers always as int8: a statement is then prepared once, not once for each size.
    connection.adapters.register_dumper(int, Int8BinaryDumper)


def _begin(connection: _Connection) -> bytes:
    """Return what begins a durable transaction here, or refuse a server that forgets."""
    for name in _MUST_BE_ON:
        row = connection.execute("SELECT current_setting(%s, true)", (name,)).fetchone()
        if row is not None and row[0] == "off":
            raise StoreError(f"the database runs with {name} = off: a crash would lose receipts")
    row = connection.execute("SELECT current_setting('synchronous_commit', true)").fetchone()
    mode = "remote_apply" if row is not None and row[0] == "remote_apply" else "on"
    return (
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; "
        f"SET LOCAL synchronous_commit = {mode}; "
        f"SET LOCAL lock_timeout = {POSTGRES_LOCK_MS}; "
        # A collector that is stopped while it holds the log's head would stop all others.
        f"SET LOCAL idle_in_transaction_session_timeout = {POSTGRES_IDLE_MS}"
    ).encode()


def _migrate(connection: _Connection) -> None:
    """Bring the schema to this version; several processes may start at once."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_MIGRATION_LOCK,))
        connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_version "
            "(one smallint PRIMARY KEY CHECK (one = 1), version bigint NOT NULL)"
        )
        row = connection.execute("SELECT version FROM schema_version WHERE one = 1").fetchone()
        version = 0 if row is None else row[0]
        if version > len(MIGRATIONS):
            raise StoreCorruptError(
                f"the database was written by a newer version of us (schema {version}, "
                f"ours is {len(MIGRATIONS)})"
            )
        for number in range(version, len(MIGRATIONS)):
            connection.execute(schema_text(MIGRATIONS[number]).encode())
            connection.execute(
                "INSERT INTO schema_version VALUES (1, %s) "
                "ON CONFLICT (one) DO UPDATE SET version = excluded.version",
                (number + 1,),
            )
        if version == 0:
            _set_tripwires(connection)


def _set_tripwires(connection: _Connection) -> None:
    """Add what only PostgreSQL itself has; an engine without triggers does without."""
    try:
        with connection.transaction():
            connection.execute(schema_text("postgres_tripwires").encode())
    except (psycopg.errors.FeatureNotSupported, psycopg.errors.SyntaxError):
        pass


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Say what went wrong in our words, and whether asking again may help."""
    try:
        yield
    except (psycopg.IntegrityError, psycopg.errors.RaiseException) as error:
        raise StoreCorruptError(f"the database {what}: {_line(error)}") from error
    except (psycopg.ProgrammingError, psycopg.DataError, psycopg.NotSupportedError) as error:
        raise StoreError(f"the database {what}: {_line(error)}") from error
    except (psycopg.Error, PoolTimeout) as error:  # lost, timed out, shut down, or full
        raise StoreError(f"the database {what}: {_line(error)}", is_transient=True) from error


def _line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _unnest(columns: Sequence[Sequence[object]]) -> str:
    types = ", ".join(
        "?::bigint[]" if isinstance(column[0], int) else "?::bytea[]" for column in columns
    )
    return f"unnest({types})"
