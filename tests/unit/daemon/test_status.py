# SPDX-License-Identifier: Apache-2.0
"""The status socket: one request, one answer."""

from __future__ import annotations

import errno
import os
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.daemons import wait_until
from tests.frames import Line, framed

from tallystick.daemon.listener import Listener
from tallystick.daemon.loop import Loop
from tallystick.daemon.status import Reply, StatusDoor, ask_daemon, failed
from tallystick.errors import StoreError, UnreadableError
from tallystick.limits import DESCRIPTOR_PAUSE_MS_MAX, STATUS_CONNECTIONS_MAX, STATUS_MS_MAX


class House:
    """A status socket, served by a thread."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o750)
        self.path = str(folder / "status")
        self.asked: list[str] = []
        self.late: list[Reply] = []
        self.ahead_ms = 0
        self.loop = Loop(lambda: time.monotonic_ns() // 1_000_000 + self.ahead_ms)
        self.listener = Listener(self.path)
        self.door = StatusDoor(
            self.loop,
            self.listener.socket,
            status=lambda: {"uptime_s": 3},
            commands={"reload": self._reload, "broken": self._broken, "late": self.late.append},
        )
        self.is_over = False
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _reload(self, reply: Reply) -> None:
        self.asked.append("reload")
        # From another thread, as the one that commits does.
        threading.Timer(0.02, lambda: reply({"ok": True, "taken": []})).start()

    def _broken(self, _reply: Reply) -> None:
        raise RuntimeError("on purpose")

    def _run(self) -> None:
        while not self.is_over:
            self.loop.turn(1000)
            self.door.settle()

    def close(self) -> None:
        self.is_over = True
        self.loop.wake()
        self.thread.join()
        self.door.close()
        self.listener.withdraw()
        self.loop.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path / "run")
    yield house
    house.close()


def test_one_question_one_answer(house: House) -> None:
    """The status comes with `ok`, and then the line is closed."""
    assert ask_daemon(house.path, "status") == {"ok": True, "uptime_s": 3}


def test_an_answer_may_come_from_another_thread(house: House) -> None:
    """Commands are answered when they are done."""
    assert ask_daemon(house.path, "reload") == {"ok": True, "taken": []}
    assert house.asked == ["reload"]


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"ask":7}', b'{"ask":"x"}', b"junk"])
def test_what_is_not_known_is_refused(house: House, body: bytes) -> None:
    """Anything else is an answer, too."""
    with Line(house.path) as line:
        line.send(framed(body))
        assert line.answer()["code"] == "NOT_KNOWN"
        assert line.is_closed()


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", b"\0\1\0\0" + bytes(65540)])
def test_what_is_no_request_is_closed(house: House, data: bytes) -> None:
    """Nothing large is taken in."""
    with Line(house.path) as line:
        line.may_send(data)
        assert line.is_closed()


def test_a_command_that_fails_harms_nobody(house: House) -> None:
    """Our own bug closes that line, and the next one is served."""
    with pytest.raises(UnreadableError, match="no answer"):
        ask_daemon(house.path, "broken")
    assert ask_daemon(house.path, "status")["ok"] is True


def test_only_so_many_at_a_time(house: House) -> None:
    """Who holds lines open takes no more than the bound, and frees them by going away."""
    lines = [Line(house.path) for _ in range(STATUS_CONNECTIONS_MAX + 4)]
    assert lines[-1].is_closed()
    for line in lines:
        line.close()
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            assert ask_daemon(house.path, "status")["ok"] is True
            return
        except UnreadableError:
            time.sleep(0.01)
    pytest.fail("the lines were not freed")


def test_who_asks_nothing_is_closed_at_last(house: House) -> None:
    """Nothing, or half a question, takes up a place for some seconds; who waits for us stays."""
    with Line(house.path) as mute, Line(house.path) as slow, Line(house.path) as asks:
        slow.send(framed(b'{"ask":"status"}')[:9])
        asks.send(framed(b'{"ask":"late"}'))
        wait_until(lambda: house.late and len(house.door._open) == 3)
        house.ahead_ms = 2 * STATUS_MS_MAX
        house.loop.wake()
        assert mute.is_closed()
        assert slow.is_closed()
        house.late[0]({"ok": True})
        assert asks.answer() == {"ok": True}


def test_scarce_descriptors_do_not_spin_the_loop(house: House) -> None:
    """Where `accept` fails for want of descriptors it is tried some times a second, not at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    line = socket.socket(socket.AF_UNIX)
    used = [os.dup(0)]
    turns = 0
    turn = house.loop.turn

    def counted(wait_ms: int | None = None, **more: bool) -> None:
        nonlocal turns
        turns += 1
        turn(wait_ms, **more)

    house.loop.turn = counted  # type: ignore[method-assign]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (used[0] + 1, hard))
        for _ in range(used[0] + 2):
            try:
                used.append(os.dup(0))
            except OSError as fault:
                assert fault.errno == errno.EMFILE  # noqa: PT017 - what the test needs
                break
        line.connect(house.path)
        before = turns
        time.sleep(6 * DESCRIPTOR_PAUSE_MS_MAX / 1000)
        assert turns - before < 30
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for one in used:
            os.close(one)
    body = b'{"ask":"status"}'
    with line:
        line.settimeout(20)
        line.sendall(len(body).to_bytes(4, "big") + body)
        assert b"uptime_s" in line.recv(1000)  # who waited is let in


@pytest.mark.parametrize("answer", [b"\0\0\0\1x", b"\xff\xff\xff\xff", b""])
def test_what_answers_may_be_something_else(
    tmp_path: Path, answer: bytes, request: pytest.FixtureRequest
) -> None:
    """Nobody there, or somebody else: an error, and never a hang."""
    path = str(tmp_path / "s")
    with pytest.raises(UnreadableError):
        ask_daemon(path, "status")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        other.listen()

        def serve() -> None:
            line, _ = other.accept()
            with line:
                line.recv(100)
                line.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(UnreadableError):
            ask_daemon(path, "status", wait_s=20)
        thread.join()


def test_only_our_own_words_are_told() -> None:
    """What others say of a failure may hold anything."""
    told: Callable[[Exception], dict[str, Any]] = failed
    assert told(StoreError("full"))["message"] == "full"
    assert told(RuntimeError("secret"))["message"] == "it failed"
