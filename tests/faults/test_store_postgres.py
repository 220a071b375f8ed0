# SPDX-License-Identifier: Apache-2.0
"""The store on PostgreSQL: several processes, killed at random, on a server that is killed, too."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psycopg
import pytest
from tests.faults.store_writer import receipt
from tests.faults.test_store_sqlite import ROOT, WRITER, acknowledged, check
from tests.postgres_server import PostgresServer, running_postgres
from tests.stores import PostgresLog
from tests.submissions import note_of, submission, submissions

from tallystick.errors import StoreCorruptError, StoreError, StoreStoppedError
from tallystick.model.submission import Placed
from tallystick.store.fsck import check_engine, check_store

KILLS: Final = int(os.environ.get("TALLY_KILLS", "4"))


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server of our own: others would not like to see it killed."""
    with running_postgres() as one:
        yield one


def test_processes_killed_at_random_keep_one_log(server: PostgresServer, tmp_path: Path) -> None:
    """Three writers on one database, one killed and replaced at a time: one log, nothing lost."""
    url = server.new_database()
    dice = random.Random(7)
    outputs: list[Path] = []

    def start() -> subprocess.Popen[bytes]:
        output = tmp_path / f"output-{len(outputs)}"
        outputs.append(output)
        with output.open("wb") as stream:
            return subprocess.Popen(
                [*WRITER, url, str(len(outputs) * 100_000)], stdout=stream, stderr=stream, cwd=ROOT
            )

    def has_begun() -> None:
        until = time.monotonic() + 30
        while not all(output.stat().st_size for output in outputs):
            assert time.monotonic() < until, "a writer says nothing"
            time.sleep(0.01)

    writers = [start() for _ in range(3)]
    has_begun()
    for _ in range(KILLS):
        time.sleep(dice.uniform(0.05, 0.3))
        at = dice.randrange(3)
        writers[at].kill()
        writers[at].wait()
        writers[at] = start()
        has_begun()
    for writer in writers:
        writer.kill()
        writer.wait()
    told: dict[int, tuple[int, str]] = {}
    for output in outputs:
        text = output.read_text()
        assert "Traceback" not in text, text
        told |= acknowledged(text.split("\n")[:-1])
    assert len({index for index, _ in told.values()}) == len(told) > 100
    check(url, told)


def test_a_server_killed_mid_commit_loses_nothing(server: PostgresServer) -> None:
    """All its processes end at once, again and again, while two stores write: each hears of it,
    acknowledges nothing that is unknown, and goes on by itself when the server is back."""
    url = server.new_database()
    stores = [PostgresLog(url), PostgresLog(url)]
    told: dict[int, tuple[int, str]] = {}
    troubles: list[StoreError] = []
    failures: list[BaseException] = []
    is_done = threading.Event()

    def write(store: PostgresLog, at: int) -> None:
        try:
            while not is_done.is_set():
                numbers = range(at, at + 7)
                try:
                    placed = store.place([receipt(number) for number in numbers])
                    for number, one in zip(numbers, placed, strict=True):
                        told[number] = (one.index, one.leaf_hash.hex())
                    intent = store.advance()
                    store.release(intent.number, note_of(intent))
                    at += 7
                except StoreError as error:
                    troubles.append(error)
                    time.sleep(0.02)
        except BaseException as error:  # noqa: BLE001 - shown below, whatever it is
            failures.append(error)

    threads = [
        threading.Thread(target=write, args=(store, base))
        for store, base in zip(stores, (0, 100_000), strict=True)
    ]
    for thread in threads:
        thread.start()
    dice = random.Random(9)
    for _ in range(max(2, KILLS // 2)):
        before = len(told)
        until = time.monotonic() + 20
        while len(told) < before + 20 and time.monotonic() < until:
            time.sleep(0.005)
        time.sleep(dice.uniform(0, 0.05))
        server.kill()
        server.start()
    time.sleep(0.3)
    is_done.set()
    for thread in threads:
        thread.join()
    for store in stores:
        store.close()
    assert not failures
    assert troubles
    assert all(error.is_transient for error in troubles)
    check(url, told)


def test_a_frozen_process_does_not_stop_the_others(server: PostgresServer) -> None:
    """Who holds the log's head and hangs is thrown out by the server: its commit can only fail."""
    url = server.new_database()
    fast, slow = PostgresLog(url), PostgresLog(url)
    slow.engine._begin = slow.engine._begin.replace(b"10000", b"300")  # type: ignore[attr-defined]

    def freeze() -> None:
        with slow.engine.writing() as access:
            begun = time.monotonic()
            access.rows("SELECT next_index FROM log_head WHERE one = 1 FOR UPDATE")
            assert fast.place([submission("1")])[0].index == 0
            assert 0.2 < time.monotonic() - begun < 8
            access.run("UPDATE log_head SET next_index = 99 WHERE one = 1")

    with pytest.raises(StoreError) as caught:
        freeze()
    assert caught.value.is_transient
    assert slow.place([submission("2")])[0].index == 1
    fast.close()
    slow.close()
    assert check_store(url).faults == []


def test_the_clock_is_read_after_the_lock(server: PostgresServer) -> None:
    """A process that waited for the log's head takes the time at which it got it, not before."""
    url = server.new_database()
    one, other = PostgresLog(url), PostgresLog(url)
    placed: list[Placed] = []
    with one.engine.writing() as access:
        access.rows("SELECT next_index FROM log_head WHERE one = 1 FOR UPDATE")
        thread = threading.Thread(target=lambda: placed.extend(other.place([submission("1")])))
        thread.start()
        time.sleep(0.4)
        released_ms = one.engine.clock_ms(access)
    thread.join()
    assert placed[0].batch.time_ms >= released_ms
    one.close()
    other.close()


def test_a_role_cannot_weaken_the_commit(server: PostgresServer) -> None:
    """A role that says synchronous_commit = off: our transactions say on, each for itself."""
    url = server.new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER ROLE tally SET synchronous_commit = off")
    try:
        store = PostgresLog(url)
        with store.engine.writing() as access:
            assert access.rows("SELECT current_setting('synchronous_commit')") == [("on",)]
        store.close()
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ALTER ROLE tally RESET synchronous_commit")


def test_a_server_that_forgets_is_refused() -> None:
    """fsync = off: the store does not open on it."""
    with (
        running_postgres({"fsync": "off"}) as server,
        pytest.raises(StoreError, match="fsync = off"),
    ):
        PostgresLog(server.new_database())


def test_no_place_without_a_server(server: PostgresServer) -> None:
    """No database at the address: a transient error in one line; a closed store says so."""
    with pytest.raises(StoreError, match="could not be opened") as caught:
        PostgresLog(server.url("nothing-here"))
    assert caught.value.is_transient
    assert "\n" not in str(caught.value)
    store = PostgresLog(server.new_database())
    store.close()
    store.close()
    for work in (lambda: store.place(submissions(1)), store.ping):
        with pytest.raises(StoreStoppedError, match="closed"):
            work()


TAMPERING: Final = (
    "UPDATE entry SET sequence = 9",
    "DELETE FROM entry WHERE idx = 0",
    "UPDATE body SET body = ''",
    "DELETE FROM batch",
    "UPDATE tile SET root = root",
    "TRUNCATE entry",
    "TRUNCATE body, chain",
    "DELETE FROM head",
    "UPDATE log_head SET next_index = 0",
    "UPDATE log_head SET last_ms = 0",
    "DELETE FROM log_head",
    "UPDATE tree SET size = 0",
    "DELETE FROM chain",
    "DELETE FROM checkpoint",
    "UPDATE checkpoint SET note = ''",
    "INSERT INTO checkpoint VALUES (1, 0, 0, NULL)",
    "INSERT INTO checkpoint VALUES (2, 0, 300, NULL)",
    "INSERT INTO entry SELECT * FROM entry WHERE idx = 0",
)


def test_tripwires(server: PostgresServer) -> None:
    """What only a mistake would do is refused by the database itself, TRUNCATE too."""
    url = server.new_database()
    store = PostgresLog(url)
    store.place(submissions(300))
    intent = store.advance()
    store.release(intent.number, note_of(intent))
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in TAMPERING:
            with pytest.raises((psycopg.errors.RaiseException, psycopg.IntegrityError)):
                connection.execute(statement.encode())
    with pytest.raises(StoreCorruptError, match="tripwire"), store.engine.writing() as access:
        access.run("DELETE FROM entry")
    assert check_engine(store.engine).faults == []
    store.close()


@pytest.mark.skipif(sys.platform != "linux", reason="the server is found by /proc")
def test_the_server_is_gone_after_its_kill(server: PostgresServer) -> None:
    """The test's own tool: after `kill` none of its processes lives, and `start` brings it back."""
    pid = server.pid
    server.kill()
    assert not Path(f"/proc/{pid}").exists()
    server.start()
    assert server.pid != pid
