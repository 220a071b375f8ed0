# SPDX-License-Identifier: Apache-2.0
"""The emitter and a real daemon: restarts, kills, late frames, and what one frame costs."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.command import environment, tally
from tests.running_daemon import RunningDaemon, daemon_home

from tallystick import DaemonEmitter, EmitTransportError

# A process that sends one frame, against one that does nothing.
START_RATIO_MAX = 2.5


@pytest.fixture
def daemon() -> Iterator[RunningDaemon]:
    """Yield a daemon that is not started yet."""
    with daemon_home() as one:
        yield one


def test_restarts_lose_nothing(daemon: RunningDaemon) -> None:
    """The first frame after a restart arrives; store and chain are sound up, down and killed."""
    daemon.start()
    with DaemonEmitter(socket_path=daemon.socket) as e:
        first = e.emit("one", ack=True)
        assert first is not None
        assert "verified" in daemon.verify()
        assert tally("list", "--store", daemon.store).code == 0
        assert daemon.end() == 0
        daemon.verify()
        daemon.start()
        e.emit("two")
        answer = e.emit("three", ack=True)
        assert answer is not None
        assert answer.sequence == 2
        assert daemon.end(signal.SIGKILL) == -signal.SIGKILL
        daemon.verify()
        with pytest.raises(EmitTransportError):
            e.emit("four")
        daemon.start()
        answer = e.emit("five", ack=True)
        assert answer is not None
        daemon.end()
    daemon.verify()
    shown = tally("list", "--store", daemon.store, "--json").out
    assert '"events_dropped"' in shown
    for name in ("one", "two", "three", "five"):
        assert f'"tool_name":"{name}"' in shown
    assert '"tool_name":"four"' not in shown


def test_what_waited_comes_late(daemon: RunningDaemon) -> None:
    """Frames of a time without a daemon are recorded as late, once it is there."""
    with DaemonEmitter(socket_path=daemon.socket, spool=daemon.folder / "spool") as e:
        e.emit("early")
        daemon.start()
        assert e.flush() == 0
    daemon.end()
    daemon.verify()
    answer = tally("list", "--store", daemon.store, "--tool", "early", "--json")
    assert '"late":true' in answer.out


def test_a_process_that_sends_one_frame(daemon: RunningDaemon) -> None:
    """It takes 2.5 times the processor time of an interpreter that does nothing, at most."""
    daemon.start()
    one = (
        "from tallystick import DaemonEmitter\n"
        f"DaemonEmitter(socket_path={daemon.socket!r}).emit('a')"
    )
    compiled = {"PYTHONPYCACHEPREFIX": str(daemon.folder / "compiled")}
    told = {**environment(), **compiled}
    told.pop("PYTHONDONTWRITEBYTECODE", None)

    def seconds(program: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", program], check=True, env=told)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    seconds(one)
    bare, sending = [], []
    for _ in range(15):
        bare.append(seconds("pass"))
        sending.append(seconds(one))
    assert min(sending) / min(bare) <= START_RATIO_MAX
    daemon.end()
    assert tally("list", "--store", daemon.store, "--tool", "a", "--json").out.count("\n") == 16


def test_many_short_lived_emitters(daemon: RunningDaemon) -> None:
    """64 processes at once, a frame each: all are recorded, none is a drop."""
    daemon.start()
    program = (
        "from tallystick import DaemonEmitter\n"
        f"DaemonEmitter(socket_path={daemon.socket!r}).emit('burst')"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", program], env=environment()) for _ in range(64)
    ]
    assert [one.wait(timeout=60) for one in processes] == [0] * 64
    daemon.end()
    daemon.verify()
    answer = tally("list", "--store", daemon.store, "--limit", "1000", "--json")
    assert answer.out.count('"tool_name":"burst"') == 64
    assert "events_dropped" not in answer.out
