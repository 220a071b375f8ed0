# SPDX-License-Identifier: Apache-2.0
"""An emitter of frames: quick, bounded in time, and no loss without a word."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from tests.frame_listener import RECEIPT, FrameListener

from tallystick import (
    Acknowledged,
    DaemonEmitter,
    EmitError,
    EmitTransportError,
    FrameRefused,
    SettingError,
)
from tallystick.deliver import daemon as module
from tallystick.deliver import daemon_line
from tallystick.model.frame import Tool

Alarm: TypeAlias = Callable[[Callable[[], object], Callable[[], None]], None]

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def emitter_to(listener: FrameListener, **settings: Any) -> DaemonEmitter:
    return DaemonEmitter(socket_path=listener.path, **settings)


def test_a_frame_holds_what_was_told() -> None:
    """Tool, server, input, output and the rest arrive as given; session and time are added."""
    with (
        FrameListener() as listener,
        emitter_to(listener, clock=lambda: 1_700_000_000_123_456_789) as e,
    ):
        assert (
            e.emit(
                "read_file",
                server="files",
                channel="mcp",
                input={"path": "/ä"},
                output=[1, None],
                action_type="filesystem.file.read",
                target_system="local",
                target_resource="/ä",
                agent_id="a1",
                usage={"tokens": 3},
            )
            is None
        )
        e.emit("rm", "denied", error="not here")
        first, second = listener.wait(2)
        assert first.tool == Tool(name="read_file", server="files")
        assert (first.channel, first.decision, first.input) == ("mcp", "allowed", {"path": "/ä"})
        assert (first.output, first.usage, first.agent_id) == ([1, None], {"tokens": 3}, "a1")
        assert first.type == "filesystem.file.read"
        assert first.ts_emit == "2023-11-14T22:13:20.123Z"
        assert (first.ack, first.late, first.drop_count) == (False, False, 0)
        assert (second.decision, second.error, second.type) == ("denied", "not here", "sdk.rm")
        assert listener.connections == 1


def test_one_session_for_each_emitter() -> None:
    """Blank means none; made ones are UUIDs of version 4, and stay over connections."""
    with FrameListener() as listener:
        assert emitter_to(listener, session_id=" s-1 ").session_id == "s-1"
        made = [emitter_to(listener, session_id=text).session_id for text in (None, "", "  ")]
        assert len(set(made)) == 3
        assert all(UUID4.fullmatch(one) for one in made)
        e = emitter_to(listener)
        e.emit("a")
        listener.wait(1)
        listener.stop()
        with FrameListener(listener.path) as again:
            e.emit("b")
            assert again.wait(1)[0].session_id == listener.frames[0].session_id == e.session_id
            e.close()


def test_an_acknowledgement_names_the_receipt() -> None:
    """With `ack`, the answer says which receipt is stored; without, nothing is read."""
    with FrameListener() as listener, emitter_to(listener) as e:
        e.emit("a")
        answer = e.emit("b", ack=True)
        assert isinstance(answer, Acknowledged)
        assert (answer.id, answer.chain_id, answer.sequence) == (RECEIPT, "chain:a", 2)
        assert answer.hash == "sha256:" + "0" * 64
        assert "chain:a 2" in repr(answer)
        assert [one.ack for one in listener.frames] == [False, True]


def test_a_refusal_is_the_callers_and_not_the_lines() -> None:
    """What the daemon refuses raises `FrameRefused` with its code; the emitter goes on."""
    with FrameListener() as listener, emitter_to(listener) as e:
        with pytest.raises(FrameRefused) as caught:
            e.emit("x", action_type="agent_receipts.chain_interrupted", ack=True)
        assert caught.value.code == "FRAME_RESERVED_TYPE"
        answer = e.emit("y", ack=True)
        assert answer is not None
        assert (e.drops, listener.frames[0].drop_count) == (0, 0)


def test_nobody_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure raises at once, is counted, and its count goes with the next success."""
    monkeypatch.setattr(daemon_line, "EMITTER_DIAL_MS_MAX", 20_000)  # what it is not waited for
    path = str(tmp_path / "s")
    e = DaemonEmitter(socket_path=path)
    started = time.monotonic()
    for _ in range(2):
        with pytest.raises(EmitTransportError) as caught:
            e.emit("a")
        assert caught.value.is_transient
        assert not caught.value.may_be_stored
    assert time.monotonic() - started < 10
    assert e.drops == 2
    with pytest.raises(FrameRefused):
        e.emit("")
    assert e.drops == 3, "an action without a receipt, whoever is to blame"
    with FrameListener(path) as listener:
        e.emit("b")
        e.emit("c")
        assert [one.drop_count for one in listener.wait(2)] == [3, 0]
        assert e.drops == 0
    e.close()


def test_best_effort_does_not_raise(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Transport failures are counted and logged; what the caller got wrong raises all the same."""
    e = DaemonEmitter(socket_path=str(tmp_path / "s"), best_effort=True)
    with caplog.at_level(logging.WARNING):
        assert e.emit("a") is None
        with pytest.raises(FrameRefused):
            e.emit("a", "perhaps")
        assert e.drops == 2
        e.close()
    assert "2 frames were lost" in caplog.text
    e = DaemonEmitter(socket_path=str(tmp_path / "s"), best_effort=True)
    e.emit("a")
    e.close()
    assert "1 frame was lost" in caplog.text


def test_the_first_frame_after_a_restart_arrives() -> None:
    """A kept connection that died is replaced before the frame is written."""
    with FrameListener() as listener:
        e = emitter_to(listener)
        e.emit("a")
        listener.wait(1)
        listener.stop()
        with FrameListener(listener.path) as again:
            e.emit("b")
            assert [one.tool.name for one in again.wait(1)] == ["b"]
            assert again.frames[0].drop_count == 0
        e.close()


def test_frames_that_a_killed_daemon_left_unread_count() -> None:
    """The kernel tells that the other end went with unread bytes: one drop at least is reported."""
    with FrameListener(reads=False) as listener:
        e = emitter_to(listener)
        e.emit("a")
        listener.accept_one().close()
        listener.stop()
        with pytest.raises(EmitTransportError):
            e.emit("b")
        with FrameListener(listener.path) as again:
            e.emit("c")
            assert again.wait(1)[0].drop_count == 2
        e.close()


def test_the_first_frame_after_a_kill_says_what_was_left_unread() -> None:
    """The count goes with the next frame, not with the one after it: there may be none."""
    with FrameListener(reads=False) as listener:
        e = emitter_to(listener)
        e.emit("a")
        listener.accept_one().close()
        listener.stop()
        with FrameListener(listener.path) as again:
            e.emit("b")
            assert again.wait(1)[0].drop_count == 1
            assert e.drops == 0
        e.close()


def test_a_daemon_that_reads_nothing_costs_100_ms() -> None:
    """A full socket makes `emit` give up within its budget, and the count goes on."""
    with FrameListener(reads=False) as listener:
        e = emitter_to(listener)
        slowest, failures = 0.0, 0
        for _ in range(20):
            started = time.monotonic()
            try:
                e.emit("a", input="x" * 100_000)
            except EmitTransportError:
                failures += 1
            slowest = max(slowest, time.monotonic() - started)
            if failures == 3:
                break
        assert failures == 3 == e.drops
        assert 0.09 < slowest < 5
        e.close()


def test_a_full_queue_of_connections_costs_250_ms() -> None:
    """Where nobody accepts, dialling waits for its turn, and gives up in time."""
    with FrameListener(reads=False, backlog=0) as listener:
        others = [emitter_to(listener) for _ in range(2)]
        started = time.monotonic()
        others[0].emit("a")  # the one that a backlog of nothing has room for
        with pytest.raises(EmitTransportError):
            others[1].emit("a")
        assert 0.2 < time.monotonic() - started < 5
        for one in others:
            one.close()


def test_a_burst_waits_for_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """More emitters than the daemon's queue has room for lose nothing."""
    monkeypatch.setattr(daemon_line, "EMITTER_DIAL_MS_MAX", 20_000)  # the listener has one thread
    with FrameListener(backlog=1) as listener:

        def one() -> None:
            with emitter_to(listener) as e:
                e.emit("a", ack=True)

        threads = [threading.Thread(target=one) for _ in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(listener.wait(32)) == 32


def test_a_silent_daemon_is_told_from_a_missing_one() -> None:
    """Without an answer in time nobody knows: the error says so, and the line begins anew."""
    with FrameListener() as listener:
        listener.is_mute = True
        e = emitter_to(listener, answer_timeout_ms=50)
        with pytest.raises(EmitTransportError) as caught:
            e.emit("a", ack=True)
        assert caught.value.may_be_stored
        assert e.drops == 1
        listener.is_mute = False
        e._answer_ms = 20_000
        answer = e.emit("b", ack=True)
        assert answer is not None
        assert answer.sequence == 2
        assert listener.frames[1].drop_count == 1
        e.close()


def test_threads_share_one_emitter() -> None:
    """Frames of several threads never mix."""
    with FrameListener() as listener, emitter_to(listener, write_timeout_ms=20_000) as e:

        def work(number: int) -> None:
            for index in range(25):
                e.emit(f"t{number}", input={"index": index, "text": "x" * 5000}, ack=index % 5 == 0)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        frames = listener.wait(100)
        for number in range(4):
            mine = [one.input["index"] for one in frames if one.tool.name == f"t{number}"]
            assert mine == list(range(25))
        assert not listener.refused


def test_a_forked_child_has_a_line_of_its_own() -> None:
    """Parent and child write to one daemon over two connections; drops stay with the parent."""
    with FrameListener() as listener:
        e = emitter_to(listener)
        e.emit("parent")
        listener.wait(1)
        program = f"""
import os
from tallystick import DaemonEmitter
e = DaemonEmitter(socket_path={listener.path!r})
e.emit("before")
child = os.fork()
e.emit("child" if child == 0 else "after")
e.close()
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
"""
        subprocess.run([sys.executable, "-c", program], check=True, env=environment())
        names = sorted(one.tool.name for one in listener.wait(4))
        assert names == ["after", "before", "child", "parent"]
        assert not listener.refused
        e.close()


def test_from_an_event_loop() -> None:
    """`aemit` gives the same answer without blocking the loop."""
    with FrameListener() as listener, emitter_to(listener) as e:
        answers = asyncio.run(several(e))
        assert sorted(one.sequence for one in answers if one is not None) == [1, 2, 3]


async def several(e: DaemonEmitter) -> list[Acknowledged | None]:
    return list(await asyncio.gather(*(e.aemit("a", ack=True) for _ in range(3))))


def test_a_closed_emitter_says_so() -> None:
    """Closing twice is fine; emitting afterwards is not."""
    with FrameListener() as listener:
        e = emitter_to(listener)
        e.close()
        e.close()
        with pytest.raises(EmitError, match="closed"):
            e.emit("a")


def test_where_the_socket_is() -> None:
    """The environment says it, else the platform; without both it is a wrong setting."""
    given = DaemonEmitter(environ={"AGENTRECEIPTS_SOCKET": "/x/s", "XDG_RUNTIME_DIR": "/r"})
    assert given.socket_path == "/x/s"
    if sys.platform == "linux":
        by_default = DaemonEmitter(environ={"XDG_RUNTIME_DIR": "/r"}).socket_path
        assert by_default == "/r/agentreceipts/events.sock"
    if sys.platform == "darwin":
        with pytest.raises(SettingError, match="AGENTRECEIPTS_SOCKET"):
            DaemonEmitter(environ={})


def test_frames_wait_in_the_spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be handed over is kept, and sent after the next success, marked late."""
    for name in ("SPOOL_FLUSH_MS_MAX", "SPOOL_ANSWER_MS_MAX"):
        monkeypatch.setattr(module, name, 20_000)  # a disk may be slow
    path, spool = str(tmp_path / "s"), tmp_path / "spool"
    e = DaemonEmitter(socket_path=path, spool=spool)
    e.emit("a", input={"n": 1})
    e.emit("b", idempotency_key="k")
    with pytest.raises(EmitTransportError, match="kept"):
        e.emit("c", ack=True)
    assert (e.spooled, e.drops) == (3, 0)
    assert spool.stat().st_mode & 0o777 == 0o700
    assert {one.stat().st_mode & 0o777 for one in spool.glob("*.frame")} == {0o600}
    with FrameListener(path) as listener:
        e.emit("d")
        late = listener.wait(4)
        assert [(one.tool.name, one.late) for one in late] == [
            ("d", False),
            ("a", True),
            ("b", True),
            ("c", True),
        ]
        assert late[2].idempotency_key == "k"
        assert (late[1].idempotency_key or "").startswith("spool:")
        assert late[1].ts_emit <= late[0].ts_emit
        assert e.spooled == 0
    e.close()


def test_another_process_delivers_the_spool(tmp_path: Path) -> None:
    """A one-shot process leaves its frame; the next one, or a flush, brings it in."""
    path, spool = str(tmp_path / "s"), tmp_path / "spool"
    with DaemonEmitter(socket_path=path, spool=spool) as gone:
        gone.emit("a")
    with FrameListener(path) as listener:
        with DaemonEmitter(socket_path=path, spool=spool) as e:
            assert e.flush() == 0
        assert [one.late for one in listener.wait(1)] == [True]


def test_that_frames_wait_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """However often it is tried; and again when some were delivered in between."""
    path, spool = str(tmp_path / "s"), tmp_path / "spool"
    e = DaemonEmitter(socket_path=path, spool=spool)
    with caplog.at_level(logging.INFO):
        for said in (1, 2):
            e.emit("a")
            for _ in range(3):
                assert e.flush() == 1
            assert caplog.text.count("frames wait in") == said
            with FrameListener(path):
                assert e.flush() == 0
        e.emit("a")
        e.close(delivers=False)
        assert caplog.text.count("frames wait in") == 2
    with FrameListener(path), DaemonEmitter(socket_path=path, spool=spool) as other:
        assert other.flush() == 0


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def test_little_is_imported() -> None:
    """One frame needs json, struct and a socket: none of the modules that make a start slow."""
    heavy = {"asyncio", "cryptography", "dataclasses", "datetime", "inspect", "logging", "msgspec"}
    heavy |= {"nacl", "pathlib", "socket", "subprocess", "tempfile", "threading", "typing", "uuid"}
    program = (
        "import sys; before = set(sys.modules)\n"
        "from tallystick import DaemonEmitter\n"
        "DaemonEmitter(socket_path=sys.argv[1]).emit('a', input={'n': 1}, ack=True)\n"
        "import json; print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    with FrameListener() as listener:
        done = subprocess.run(
            [sys.executable, "-c", program, listener.path],
            check=True,
            capture_output=True,
            text=True,
            env=environment(),
        )
        assert len(listener.frames) == 1
    assert not heavy & set(json.loads(done.stdout))


@pytest.fixture
def alarm() -> Iterator[Alarm]:
    """Yield a function that has another one called by a signal, when what it waits for is there."""
    before = signal.getsignal(signal.SIGALRM)
    threads: list[threading.Thread] = []

    def when(comes: Callable[[], object], work: Callable[[], None]) -> None:
        signal.signal(signal.SIGALRM, lambda _number, _frame: work())
        send = partial(os.kill, os.getpid(), signal.SIGALRM)
        threads.append(threading.Thread(target=lambda: comes() and send()))
        threads[-1].start()

    yield when
    for one in threads:
        one.join()
    signal.signal(signal.SIGALRM, before)


def test_a_signal_handler_does_not_hang(alarm: Alarm) -> None:
    """Emitting while the same thread is inside the emitter fails at once, and is counted."""
    with FrameListener() as listener:
        listener.is_mute = True
        e = emitter_to(listener, answer_timeout_ms=1000)
        faults: list[Exception] = []

        def handle() -> None:
            try:
                e.emit("handler")
            except EmitTransportError as fault:
                faults.append(fault)

        alarm(lambda: listener.wait(1), handle)
        with pytest.raises(EmitTransportError, match="did not answer"):
            e.emit("a", ack=True)
        assert len(faults) == 1
        assert "signal" in str(faults[0])
        e.emit("b")
        assert listener.wait(2)[1].drop_count == 2
        e.close()


def test_ctrl_c_in_the_middle_of_a_frame(alarm: Alarm) -> None:
    """Half a frame is not continued by the next one: the line ends."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    with FrameListener(reads=False) as listener:
        e = emitter_to(listener, write_timeout_ms=20_000)
        alarm(lambda: listener.accept_one().recv(1, socket.MSG_PEEK), interrupt)
        with pytest.raises(KeyboardInterrupt):
            e.emit("a", input="x" * 900_000)
        e.emit("b")
        whole = listener.accept_one()
        size = int.from_bytes(whole.recv(4), "big")
        assert json.loads(whole.recv(size))["tool"] == {"name": "b"}
        e.close()


def test_a_daemon_that_does_not_answer_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frame of the spool is not sent again and again to a daemon that is slow to answer."""
    monkeypatch.setattr(module, "SPOOL_ANSWER_MS_MAX", 50)
    with FrameListener() as listener:
        path = listener.path
        e = DaemonEmitter(socket_path=path, spool=tmp_path / "spool")
        listener.stop()
        e.emit("waits")
        with FrameListener(path) as again:
            again.is_mute = True
            e.emit("a")
            assert again.wait(2)[1].late
            e.emit("b")
            assert [one.tool.name for one in again.wait(3)] == ["a", "waits", "b"]
            assert e.spooled == 1
            e.close()
