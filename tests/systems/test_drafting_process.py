# SPDX-License-Identifier: Apache-2.0
"""A real daemon whose drafting process is killed and stopped in the middle of what comes in."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.command import tally
from tests.companions import companions_of, has_begun
from tests.daemons import PATIENCE_S, DaemonHome, DaemonProcess, is_root, wait_until
from tests.frames import Line, body, framed

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")

# Frames that are sent at once; the fifth of each is refused, and the ninth is of an agent.
COUNT = 60
CLIENTS = 3


@pytest.fixture
def home(tmp_path: Path) -> DaemonHome:
    return DaemonHome(tmp_path / "home")


class Client:
    """Sends many frames at once, and holds each answer to what has to be said."""

    def __init__(self, daemon: DaemonProcess, name: str) -> None:
        self._line = daemon.line()
        self.name = name
        self.error: str | None = None
        self.sent: list[str] = []
        self.ids: list[str] = []
        self._last = 0

    def send(self) -> None:
        """Send some, and take the answers."""
        bodies = []
        for at in range(COUNT):
            session = f"{self.name}-{len(self.sent) + at}"
            more = {"decision": "perhaps"} if at == 4 else {"agent_id": "a"} if at == 8 else {}
            bodies.append(body(ack=True, session_id=session, error=self.error, **more))
        self._line.send(framed(*bodies))
        for at in range(COUNT):
            answer = self._line.answer()
            assert answer["ok"] is (at != 4), answer
            self.sent.append(f"{self.name}-{len(self.sent)}")
            if at == 4:
                assert answer["code"] == "FRAME_VALUE"
                continue
            self.ids.append(answer["id"])
            if "/agent/" not in answer["chain_id"]:
                assert answer["sequence"] > self._last
                self._last = answer["sequence"]

    def sessions(self) -> list[str]:
        """Return whose receipts there have to be, in the order of their answers."""
        return [one for at, one in enumerate(self.sent) if at % COUNT != 4]

    def close(self) -> None:
        """Hang up."""
        self._line.close()


class Load:
    """Clients that send, each by itself, until they are told to stop."""

    def __init__(self, daemon: DaemonProcess) -> None:
        self.clients = [Client(daemon, name) for name in "abc"[:CLIENTS]]
        self.faults: list[BaseException] = []
        self._is_over = threading.Event()
        self._threads = [
            threading.Thread(target=self._send, args=(one,), daemon=True) for one in self.clients
        ]
        for one in self._threads:
            one.start()

    def _send(self, client: Client) -> None:
        try:
            while not self._is_over.is_set():
                client.send()
        except BaseException as fault:
            self.faults.append(fault)
            if not isinstance(fault, (OSError, EOFError)):
                raise

    def more(self, count: int = 5) -> None:
        """Wait until each client has sent some more."""
        least = [len(one.sent) + count * COUNT for one in self.clients]
        wait_until(
            lambda: (
                self.faults
                or all(len(one.sent) >= at for one, at in zip(self.clients, least, strict=True))
            )
        )
        assert self.faults == []

    def end(self) -> None:
        """Let them send no more; nothing may have gone wrong."""
        self._is_over.set()
        for one in self._threads:
            one.join(PATIENCE_S)
            assert not one.is_alive()
        for client in self.clients:
            client.close()
        assert self.faults == []


@contextmanager
def loaded(home: DaemonHome) -> Iterator[tuple[DaemonProcess, Load, int]]:
    """Run a daemon under load, with a drafting process at work; end both."""
    with home.daemon() as daemon:
        load = Load(daemon)
        try:
            yield daemon, load, begun(daemon, load)
        finally:
            load.end()


def begun(daemon: DaemonProcess, load: Load) -> int:
    """Wait until a drafting process is at work, and return its number."""
    wait_until(lambda: (found := companions_of(daemon.pid)) and has_begun(found[0]))
    time.sleep(0.1)
    load.more()
    (found,) = companions_of(daemon.pid)
    return found


def check(home: DaemonHome, load: Load) -> None:
    """Each frame that was acknowledged is stored once, and all chains verify."""
    answer = tally("verify", "--store", str(home.db), "--key", str(home.public))
    assert answer.code == 0, answer.out + answer.err
    found: dict[str, str] = {}
    for one in home.receipts():
        if "session_id" in one["issuer"]:
            session = one["issuer"]["session_id"]
            if one["credentialSubject"]["action"]["type"] == "agent_receipts.events_dropped":
                continue
            assert session not in found
            found[session] = one["id"]
    for client in load.clients:
        assert [found[one] for one in client.sessions()] == client.ids
    assert len(found) == sum(len(one.ids) for one in load.clients)


def test_it_drafts_while_many_frames_come(home: DaemonHome) -> None:
    """A daemon that ends in order ends it, too; nothing is told of it, and all is stored."""
    with loaded(home) as (daemon, load, pid):
        load.more(20)
        assert companions_of(daemon.pid) == [pid]
        load.end()
        assert daemon.stop() == 0
        assert not Path(f"/proc/{pid}").exists()
        assert "drafter_lost" not in daemon.logged()
    check(home, load)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV])
def test_one_that_is_lost_loses_no_frame(home: DaemonHome, number: signal.Signals) -> None:
    """Every frame has its one answer, in order, and the loss is told once."""
    with loaded(home) as (daemon, load, pid):
        os.kill(pid, number)
        load.more()
        wait_until(lambda: "drafter_lost" in daemon.logged())
        load.more(20)
        assert companions_of(daemon.pid) == []
        load.end()
        assert daemon.stop() == 0
        assert daemon.logged().count("drafter_lost") == 1
        assert "is_final=false" in daemon.logged().lower()
    check(home, load)


def test_a_reload_under_load_takes_effect_at_once(home: DaemonHome) -> None:
    """From then on the new pattern holds, by another process; nothing is lost, and no loss told."""
    patterns = home.folder / "patterns.toml"
    patterns.write_text("[[pattern]]\nname = 'tango'\nregex = 'tango [0-9]+'\n")
    config = home.folder / "agent-receipts" / "daemon.toml"
    config.parent.mkdir()
    config.write_text("")
    with loaded(home) as (daemon, load, pid):
        for client in load.clients:
            client.error = "tango 1234"
        load.more()
        config.write_text(f"redact_patterns = '{patterns}'\n")
        daemon.signal(signal.SIGHUP)
        wait_until(lambda: "reloaded" in daemon.logged())
        marks = [len(one.sent) for one in load.clients]
        load.more(2)
        # What is sent from here on was not yet written when the new settings held.
        for client in load.clients:
            client.error = "no secret"
        wait_until(lambda: pid not in companions_of(daemon.pid) and companions_of(daemon.pid))
        begun(daemon, load)
        load.end()
        assert daemon.stop() == 0
        assert "taken=redact_patterns" in daemon.logged()
        assert "drafter_lost" not in daemon.logged()
    check(home, load)
    errors = {
        one["issuer"]["session_id"]: one["credentialSubject"]["outcome"].get("error")
        for one in home.receipts()
        if "session_id" in one["issuer"]
    }
    assert "tango 1234" in errors.values()
    assert "[redacted:tango]" in errors.values()
    for client, mark in zip(load.clients, marks, strict=True):
        behind = [at for at in range(mark + COUNT, len(client.sent)) if at % COUNT != 4]
        assert not [at for at in behind if errors[f"{client.name}-{at}"] == "tango 1234"]


def test_signals_to_the_service_are_not_for_it(home: DaemonHome) -> None:
    """Neither an end nor a reload: the daemon still asks it, and ends it itself."""
    with loaded(home) as (daemon, load, pid):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(pid, number)
        load.more()
        assert companions_of(daemon.pid) == [pid]
        assert os.getsid(pid) == pid
        load.end()
        # As a service manager does: to all processes of the service at once.
        os.kill(pid, signal.SIGTERM)
        assert daemon.stop() == 0
        assert "drafter_lost" not in daemon.logged()
    check(home, load)


def is_gone(pid: int) -> Callable[[], bool]:
    """Return what tells whether a process has ended, whoever has to take note of it."""

    def tells() -> bool:
        try:
            return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return True

    return tells


def test_it_ends_with_a_daemon_that_is_killed(home: DaemonHome) -> None:
    """It waits for nobody; the next daemon goes on with what is stored."""
    with home.daemon() as daemon:
        load = Load(daemon)
        pid = begun(daemon, load)
        daemon.kill()
        wait_until(is_gone(pid))
    for client in load.clients:
        client.close()
    with home.daemon() as daemon:
        with Line(home.socket) as line:
            assert line.ask()["ok"] is True
        assert daemon.stop() == 0
    stored = {one for (one,) in home.rows("id")}
    assert {one for client in load.clients for one in client.ids} <= stored
    answer = tally("verify", "--store", str(home.db), "--key", str(home.public))
    assert answer.code in (0, 3), answer.out + answer.err


@pytest.mark.skipif(not is_root(), reason="nobody else may look into it")
def test_it_is_given_nothing_to_lose(home: DaemonHome) -> None:
    """No variable of the daemon, no key and no store, no descriptor but its pipes."""
    with loaded(home) as (daemon, load, pid):
        folder = Path(f"/proc/{pid}")
        environment = (folder / "environ").read_bytes()
        assert b"AGENTRECEIPTS_" not in environment
        assert b"TALLY_" not in environment
        names = {one.name: os.readlink(one) for one in (folder / "fd").iterdir()}
        assert {one.partition(":")[0] for one in names.values()} == {"pipe", "/dev/null"}
        assert sorted(names) == ["0", "1", "2"]
        command = (folder / "cmdline").read_bytes()
        for path in (home.key, home.db, home.socket):
            assert str(path).encode() not in command + environment
        assert re.search(r"Max core file size +0 +0", (folder / "limits").read_text())
        load.more()
        load.end()
        assert daemon.stop() == 0
    check(home, load)
