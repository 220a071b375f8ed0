# SPDX-License-Identifier: Apache-2.0
"""A daemon in this process; see tests/systems/test_daemon_process.py for real ones."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.daemons import wait_until
from tests.frames import Line, body, frame, framed
from tests.ledgers import METHOD, Home

from tallystick.daemon import server
from tallystick.daemon.attested import ArrivedFrame
from tallystick.daemon.drafted import Drafted
from tallystick.daemon.key_file import FileKeySource
from tallystick.daemon.key_succession import KeySuccession
from tallystick.daemon.ledger import Ledger
from tallystick.daemon.server import Daemon, bounds_of
from tallystick.daemon.settings import Settings, load_settings
from tallystick.daemon.statements import Statements
from tallystick.daemon.status import ask_daemon
from tallystick.errors import SettingError, SignerUnavailable, SocketPathError
from tallystick.keys.local import LocalSigner, generate_key_pair
from tallystick.store.ledger import LedgerStore
from tallystick.store.sql import Row


class House:
    """A daemon on a thread."""

    def __init__(self, folder: Path, *, runs: bool = True) -> None:
        self.home = Home(folder)
        run = folder / "run"
        environ = {
            "XDG_DATA_HOME": str(folder),
            "AGENTRECEIPTS_SOCKET": str(run / "events.sock"),
            "AGENTRECEIPTS_UNSAFE_SOCKET_PATH": "true",
        }
        self.settings, _ = load_settings({}, environ=environ)
        self.next_settings = self.settings
        self.refuses = False
        self.keys = KeySuccession(FileKeySource(self.home.key, METHOD))
        self.next = LocalSigner(generate_key_pair())
        self.ledger = self.home.open(keys=self.keys)
        statements = Statements(self.settings)
        self.ledger.drafting = statements.drafter
        self.daemon = Daemon(
            self.settings,
            self.ledger,
            statements,
            reload=self._reload,
            clock_ns=lambda: self.home.now_ms * 1_000_000,
            seek_next=lambda _: lambda: self.keys.take_successor(self.next),
        )
        self.is_ready = threading.Event()
        self.ended_by: Exception | None = None
        self.thread = threading.Thread(target=self._run)
        if runs:
            self.thread.start()
            assert self.is_ready.wait(20)

    def _run(self) -> None:
        try:
            self.daemon.run(on_ready=self.is_ready.set)
        except Exception as fault:  # noqa: BLE001 - for the test to look at
            self.ended_by = fault

    def _reload(self) -> Settings:
        if self.refuses:
            raise SettingError("on purpose")
        return self.next_settings

    def close(self) -> None:
        self.daemon.stop()
        self.thread.join(20)
        assert not self.thread.is_alive()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    tmp_path.chmod(0o700)
    house = House(tmp_path)
    yield house
    house.close()


def test_it_serves_until_it_is_stopped(house: House) -> None:
    """Frames are stored and answered; at the end the chain is closed and the socket gone."""
    with Line(house.settings.socket) as line:
        assert line.ask()["sequence"] == 1
    house.close()
    last = house.home.receipts()[-1]["credentialSubject"]["chain"]
    assert (last["terminal"], last["status"]) == (True, "interrupted")
    assert not Path(house.settings.socket).exists()
    assert not Path(house.settings.status_socket).exists()


def test_one_that_can_not_say_that_it_listens_leaves_nothing_behind(tmp_path: Path) -> None:
    """Sockets, store and handlers of signals are put away; what wakes the loop goes last."""
    tmp_path.chmod(0o700)
    house = House(tmp_path, runs=False)
    loop, woken = house.daemon._loop, []
    close = loop.close

    def closes() -> None:
        woken.append(signal.set_wakeup_fd(-1))
        close()

    def fails() -> None:
        raise OSError("no room for a line")

    loop.close = closes  # type: ignore[method-assign]
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(OSError, match="no room"):
        house.daemon.run(on_ready=fails)
    assert signal.getsignal(signal.SIGTERM) is before
    assert woken == [-1]
    assert not Path(house.settings.socket).exists()
    assert not Path(house.settings.status_socket).exists()
    house.home.open().close()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_only_who_is_told_twice_ends_early(house: House, number: signal.Signals) -> None:
    """Answers that an emitter has not taken are waited for; a reload changes nothing of that."""
    count = 4000
    house.daemon._settings = msgspec.structs.replace(house.settings, shutdown_deadline=60_000)
    with Line(house.settings.socket, wait_s=20) as line:
        line.send(framed(*[body(ack=True)] * count))
        wait_until(lambda: house.ledger.status().receipts == count)
        for one in (signal.SIGTERM, number):
            house.daemon._signals.note(one)
        if number == signal.SIGHUP:
            assert [line.answer()["sequence"] for _ in range(count)] == [*range(1, count + 1)]
        house.thread.join(20)
        assert not house.thread.is_alive()
        if number == signal.SIGTERM:
            with pytest.raises((EOFError, ConnectionResetError)):
                list(iter(line.answer, None))
    assert house.home.verify().verdict == "verified"


def test_a_second_one_at_the_same_socket_is_refused(house: House, tmp_path: Path) -> None:
    """And the first goes on."""
    other = tmp_path / "other"
    other.mkdir(mode=0o700)
    ledger = Home(other).open()
    with pytest.raises(SocketPathError, match="already listening"):
        Daemon(
            house.settings,
            ledger,
            Statements(house.settings),
            reload=lambda: house.settings,
            clock_ns=time.monotonic_ns,
        )
    ledger.close()
    with Line(house.settings.socket) as line:
        assert line.ask()["ok"] is True


def test_a_reload_takes_what_can_change(house: House) -> None:
    """What needs a new start is named and left alone; what is refused changes nothing."""
    house.next_settings = msgspec.structs.replace(
        house.settings, frame_timeout=777, issuer_id="did:x:y"
    )
    answer = ask_daemon(house.settings.status_socket, "reload")
    assert answer == {"ok": True, "taken": ["frame_timeout"], "needs_start": ["issuer_id"]}
    house.refuses = True
    answer = ask_daemon(house.settings.status_socket, "reload")
    assert (answer["ok"], answer["message"]) == (False, "on purpose")


def test_a_reload_that_is_refused_names_nobody(house: House) -> None:
    """Whatever of the settings can't be used: who signs next is as it was."""
    house.next_settings = msgspec.structs.replace(house.settings, redact_patterns="/nowhere")
    answer = ask_daemon(house.settings.status_socket, "reload")
    assert answer["ok"] is False
    assert house.keys.staged() is None
    house.next_settings = house.settings
    assert ask_daemon(house.settings.status_socket, "reload")["ok"] is True
    assert house.keys.staged() is house.next


def test_heads_are_made_stable_between_ticks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon that runs does so by itself, each second."""
    monkeypatch.setattr(server, "_TICK_MS", 1_000_000)
    tmp_path.chmod(0o700)
    house = House(tmp_path)
    with Line(house.settings.socket) as line:
        line.ask()
        journal = house.ledger._heads._journal
        wait_until(lambda: journal.synced == journal._written > 0)
    house.close()
    assert not house.daemon._head_sync._thread.is_alive()


def test_bounds_follow_settings(house: House) -> None:
    """One user has three quarters of what all may have."""
    settings = msgspec.structs.replace(house.settings, max_connections=40, frame_timeout=5)
    bounds = bounds_of(settings)
    assert (bounds.connections, bounds.user_connections, bounds.frame_ms) == (40, 30, 5)


def test_an_error_that_nobody_expects_ends_it_loudly(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for an acknowledgement hears STORE, the chains are closed, and `run` raises."""

    def fails(*_: object) -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr(house.daemon._tallies, "note_commit", fails)
    with Line(house.settings.socket) as line:
        assert line.ask()["code"] == "STORE"
        house.thread.join(20)
    assert not house.thread.is_alive()
    assert isinstance(house.ended_by, RuntimeError)
    assert house.home.verify().verdict == "verified"


@pytest.mark.parametrize("deadline_ms", [0, 400, 3000])
def test_a_signer_that_stays_away_does_not_hold_up_the_end(
    house: House, monkeypatch: pytest.MonkeyPatch, deadline_ms: int
) -> None:
    """After the deadline it ends with the signer's error, and who waits hears that."""

    def away(_: bytes) -> bytes:
        raise SignerUnavailable("not now")

    house.daemon._settings = msgspec.structs.replace(house.settings, shutdown_deadline=deadline_ms)
    with Line(house.settings.socket) as line:
        assert line.ask()["ok"] is True
        monkeypatch.setattr(type(house.ledger._keys), "sign_all", None)  # as with a signer
        monkeypatch.setattr(house.ledger._keys, "sign", away)
        line.send(framed(body(ack=True)))
        wait_until(lambda: house.daemon._intake.is_signer_away)
        asked = ask_daemon(house.settings.status_socket, "status")
        assert asked["queue"]["signer_is_away"] is True
        began_s = time.monotonic()
        house.daemon.stop()
        assert line.answer()["code"] == "STORE"
    assert time.monotonic() - began_s >= deadline_ms / 1000
    house.thread.join(20)
    assert isinstance(house.ended_by, SignerUnavailable)
    assert len(house.home.receipts()) == 1


@pytest.fixture
def is_ticking_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ahead of `house`."""
    monkeypatch.setattr(server, "_TICK_MS", 10)


@pytest.mark.usefixtures("is_ticking_fast")
def test_ticks_do_not_pile_up_behind_a_signer_that_is_away(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One waits at most, and when it is done the next one comes: none is forgotten."""
    sign, is_back, behind = house.keys.sign, threading.Event(), []
    tick = Ledger.tick

    def ticks(ledger: Ledger) -> None:
        behind.append(is_back.is_set())
        tick(ledger)

    def away(message: bytes) -> bytes:
        if not is_back.is_set():
            raise SignerUnavailable("not now")
        return sign(message)

    monkeypatch.setattr(house.ledger, "tick", lambda: ticks(house.ledger))
    with Line(house.settings.socket, wait_s=20) as line:
        line.ask()
        monkeypatch.setattr(KeySuccession, "sign_all", None)  # as with a signer
        monkeypatch.setattr(house.keys, "sign", away)
        line.send(framed(body(ack=True)))
        wait_until(lambda: house.daemon._intake.is_signer_away)
        time.sleep(0.5)
        waiting = house.daemon._intake._line.waiting
        is_back.set()
        assert line.answer()["sequence"] == 2
        assert waiting <= 1
        wait_until(lambda: sum(behind) > 3)


def test_a_signer_that_is_back_in_time_is_waited_for_at_the_end(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Until the deadline nothing is given up: who waits hears of a receipt after all."""
    sign, is_back = house.keys.sign, threading.Event()

    def away(message: bytes) -> bytes:
        if not is_back.is_set():
            raise SignerUnavailable("not now")
        return sign(message)

    house.daemon._settings = msgspec.structs.replace(house.settings, shutdown_deadline=60_000)
    with Line(house.settings.socket, wait_s=20) as line:
        line.ask()
        monkeypatch.setattr(KeySuccession, "sign_all", None)  # as with a signer
        monkeypatch.setattr(house.keys, "sign", away)
        line.send(framed(body(ack=True)))
        wait_until(lambda: house.daemon._intake.is_signer_away)
        house.daemon.stop()
        wait_until(lambda: house.daemon._connections.is_draining)
        house.thread.join(0.5)  # some turns of the loop
        assert house.thread.is_alive()
        assert "signer_unavailable" in caplog.text
        assert "signer_away" not in caplog.text
        is_back.set()
        assert line.answer()["sequence"] == 2
    house.thread.join(20)
    assert house.ended_by is None
    assert house.home.verify().verdict == "verified"


def test_who_takes_no_answers_does_not_hold_up_the_end(house: House) -> None:
    """After the deadline it is hung up on; all that was asked is stored."""
    count = 4000
    house.daemon._settings = msgspec.structs.replace(house.settings, shutdown_deadline=300)
    with Line(house.settings.socket) as line:
        line.send(framed(*[body(ack=True)] * count))
        wait_until(lambda: house.ledger.status().receipts == count)
        house.daemon.stop()
        house.thread.join(9)  # less than what is usual
        assert not house.thread.is_alive()
    assert house.ended_by is None
    assert len(house.home.receipts()) == count + 1


class Disk:
    """A store's disk that takes its time from now on, until it is let go."""

    def __init__(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hangs, self.goes_on = threading.Event(), threading.Event()
        self.threads: list[threading.Thread] = []
        # The next frame comes alone: the user is known, and nothing is under way.
        wait_until(lambda: house.daemon._intake._line.is_idle)
        append = LedgerStore.append

        def slowly(store: LedgerStore, rows: list[Row]) -> None:
            self.threads.append(threading.current_thread())
            self.hangs.set()
            assert self.goes_on.wait(20)
            append(store, rows)

        monkeypatch.setattr(LedgerStore, "append", slowly)


def test_a_disk_that_hangs_keeps_nobody_from_the_sockets(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lone frame is stored by the thread that reads: another one reads and answers meanwhile."""
    with Line(house.settings.socket) as line, Line(house.settings.socket) as other:
        assert line.ask()["sequence"] == 1
        disk = Disk(house, monkeypatch)
        line.send(frame(ack=True))
        assert disk.hangs.wait(20)
        assert disk.threads == [house.thread]
        with Line(house.settings.socket) as late:
            other.send(frame(ack=True))
            late.send(frame(ack=True))
            status = ask_daemon(house.settings.status_socket, "status")
            assert status["ledger"]["receipts"] == 1
            assert status["queue"]["commit_running_ms"] > 0
            wait_until(lambda: house.daemon._connections.waiting == 3)
            disk.goes_on.set()
            assert line.answer()["sequence"] == 2
            assert sorted((other.answer()["sequence"], late.answer()["sequence"])) == [3, 4]
            assert line.ask()["sequence"] == 5
    house.close()
    assert house.home.verify().verdict == "verified"


def test_a_draft_that_takes_long_keeps_nobody_from_the_sockets(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Be it that it looks into the store: what others bring meanwhile is drafted behind it."""
    hangs, goes_on = threading.Event(), threading.Event()
    draft = Ledger.draft

    def slowly(ledger: Ledger, frames: list[ArrivedFrame]) -> Drafted:
        hangs.set()
        assert goes_on.wait(20)
        return draft(ledger, frames)

    with Line(house.settings.socket) as line, Line(house.settings.socket) as other:
        line.ask()
        wait_until(lambda: house.daemon._intake._line.is_idle)
        monkeypatch.setattr(Ledger, "draft", slowly)
        line.send(frame(ack=True))
        assert hangs.wait(20)
        other.send(frame(ack=True))
        status = ask_daemon(house.settings.status_socket, "status")
        assert status["queue"]["commit_running_ms"] > 0
        wait_until(lambda: house.daemon._connections.waiting == 2)
        goes_on.set()
        assert (line.answer()["sequence"], other.answer()["sequence"]) == (2, 3)
    house.close()
    assert house.home.verify().verdict == "verified"


def test_a_stop_while_the_disk_hangs_is_heard(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody new finds the socket; what came in is stored and answered before the end."""
    with Line(house.settings.socket) as line, Line(house.settings.socket) as other:
        line.ask()
        disk = Disk(house, monkeypatch)
        line.send(frame(ack=True))
        assert disk.hangs.wait(20)
        other.send(frame(ack=True))
        wait_until(lambda: house.daemon._stand_in.is_there)
        house.daemon.stop()
        wait_until(lambda: not Path(house.settings.socket).exists())
        disk.goes_on.set()
        assert (line.answer()["sequence"], other.answer()["sequence"]) == (2, 3)
    house.close()
    assert house.ended_by is None
    assert house.home.verify().verdict == "verified"


def test_a_reload_while_the_disk_hangs_is_done(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a signal, as by the status socket; an end that comes behind it is not lost."""
    with Line(house.settings.socket) as line:
        line.ask()
        disk = Disk(house, monkeypatch)
        line.send(frame(ack=True))
        assert disk.hangs.wait(20)
        wait_until(lambda: house.daemon._stand_in.is_there)
        try:
            for timeout_ms in (777, 888):
                house.next_settings = msgspec.structs.replace(
                    house.settings, frame_timeout=timeout_ms
                )
                house.daemon._signals.note(signal.SIGHUP)
                wait_until(lambda ms=timeout_ms: house.daemon._settings.frame_timeout == ms, 10)
            for one in (signal.SIGTERM, signal.SIGHUP):
                house.daemon._signals.note(one)
            wait_until(lambda: not Path(house.settings.socket).exists())
        finally:
            disk.goes_on.set()
        assert line.answer()["sequence"] == 2
        house.thread.join(20)
        assert not house.thread.is_alive()
    assert house.home.verify().verdict == "verified"


def test_a_disk_that_takes_its_time_takes_none_from_who_fetches_answers(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deadline for them begins when all is stored."""
    count = 4000
    house.daemon._settings = msgspec.structs.replace(house.settings, shutdown_deadline=60_000)
    loop = house.daemon._loop
    clock = loop._clock
    with Line(house.settings.socket, wait_s=20) as line:
        line.ask()
        disk = Disk(house, monkeypatch)
        line.send(framed(*[body(ack=True)] * count))
        assert disk.hangs.wait(20)
        house.daemon.stop()
        wait_until(lambda: house.daemon._connections.is_draining)
        before_ms = clock()
        loop._clock = lambda: clock() + 61_000
        wait_until(lambda: loop.now_ms > before_ms + 60_000)
        disk.goes_on.set()
        wait_until(lambda: house.ledger.status().receipts > count)
        assert [line.answer()["sequence"] for _ in range(count)] == [*range(2, count + 2)]
    house.close()
    assert house.home.verify().verdict == "verified"


def test_what_the_stand_in_stumbles_over_ends_the_daemon(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it would in the thread that serves; what was acknowledged is stored."""

    def fails() -> None:
        disk.goes_on.set()
        raise RuntimeError("on purpose")

    with Line(house.settings.socket) as line:
        line.ask()
        disk = Disk(house, monkeypatch)
        monkeypatch.setattr(house.daemon._stand_in, "_turn", fails)
        assert line.ask()["sequence"] == 2
        house.thread.join(20)
    assert isinstance(house.ended_by, RuntimeError)
    assert house.home.verify().verdict == "verified"


@pytest.fixture
def ear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """What a service manager hears, which waits for 0.4 s; ahead of `house`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        ear.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", ear.getsockname())
        monkeypatch.setenv("WATCHDOG_USEC", "400000")
        yield ear


def forget(ear: socket.socket) -> None:
    """Read all that was told so far."""
    ear.setblocking(False)
    try:
        while ear.recv(1000):
            pass
    except BlockingIOError:
        ear.settimeout(20)


def test_a_commit_that_hangs_gives_no_sign_of_life(
    ear: socket.socket, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop goes on, and says nothing; when the disk is back, it does again."""
    with Line(house.settings.socket) as line:
        line.ask()
        disk = Disk(house, monkeypatch)
        line.send(frame(ack=True))
        assert disk.hangs.wait(20)
        wait_until(lambda: house.daemon._intake.busy_ms > 600)
        forget(ear)
        ear.settimeout(1)
        with pytest.raises(TimeoutError):
            ear.recv(1000)
        assert ask_daemon(house.settings.status_socket, "status")["ok"] is True
        disk.goes_on.set()
        assert line.answer()["sequence"] == 2
        ear.settimeout(20)
        assert ear.recv(1000) == b"WATCHDOG=1"


def test_a_signer_that_is_away_is_no_hang(
    ear: socket.socket, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signs of life go on for as long as it is waited for: a new daemon would only wait again."""
    sign, is_back = house.ledger._keys.sign, threading.Event()

    def away(message: bytes) -> bytes:
        if not is_back.is_set():
            raise SignerUnavailable("not now")
        return sign(message)

    with Line(house.settings.socket) as line:
        line.ask()
        monkeypatch.setattr(type(house.ledger._keys), "sign_all", None)  # as with a signer
        monkeypatch.setattr(house.ledger._keys, "sign", away)
        line.send(framed(body(ack=True)))
        wait_until(lambda: house.daemon._intake.is_signer_away)
        time.sleep(1)  # more than twice of what the manager waits for
        forget(ear)
        assert ear.recv(1000) == b"WATCHDOG=1"
        is_back.set()
        assert line.answer()["sequence"] == 2
