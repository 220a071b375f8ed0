# SPDX-License-Identifier: Apache-2.0
"""The daemon as a process, spoken to by other processes."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import obsigna
import pytest
from tests.daemons import DaemonHome, DaemonProcess, is_root, python, wait_until
from tests.frames import Line, body, frame, framed

from tallystick.limits import FRAME_BYTES_MAX

PLAIN_EMITTER = """
import json, socket, struct, sys
path, count, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]
with socket.socket(socket.AF_UNIX) as line:
    line.connect(path)
    for number in range(count):
        body = json.dumps({"v": "1", "ts_emit": "2026-11-21T12:00:00Z", "session_id": name,
            "channel": name, "tool": {"name": "t%d" % number}, "decision": "allowed"}).encode()
        line.sendall(struct.pack(">I", len(body)) + body)
"""

OBSIGNA_EMITTER = """
import sys
from obsigna import DaemonEmitter
emitter = DaemonEmitter(socket_path=sys.argv[1], session_id=sys.argv[3])
for number in range(int(sys.argv[2])):
    emitter.emit(channel=sys.argv[3], tool_name="t%d" % number, decision="allowed",
                 input=b'{"n": %d}' % number)
emitter.close()
"""


@pytest.fixture
def home(tmp_path: Path) -> DaemonHome:
    return DaemonHome(tmp_path / "home")


def test_frames_become_one_chain(home: DaemonHome) -> None:
    """Answers name the receipts, the chain verifies, and an orderly end closes it with exit 0."""
    with home.daemon() as daemon:
        with daemon.line() as line:
            answers = [line.ask(tool={"name": f"t{number}"}) for number in range(3)]
        assert daemon.stop() == 0
    receipts = home.check()
    assert [one["sequence"] for one in answers] == [1, 2, 3]
    assert [one["id"] for one in answers] == [one["id"] for one in receipts[:3]]
    assert receipts[3]["credentialSubject"]["chain"]["status"] == "interrupted"
    assert not Path(home.socket).exists()


def test_who_does_not_ask_hears_nothing(home: DaemonHome) -> None:
    """Unaware emitters are never written to, whatever becomes of their frames."""
    with home.daemon() as daemon, daemon.line() as line:
        line.send(frame() + framed(b"no json") + frame(decision="perhaps"))
        wait_until(lambda: daemon.status()["frames"]["frames"] == 3)
        line.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            line.answer()


def test_a_refusal_says_why_and_the_line_goes_on(home: DaemonHome) -> None:
    """A frame that makes no receipt is answered with its code, counted, and told in the chain."""
    with home.daemon() as daemon, daemon.line() as line:
        no = line.ask(decision="perhaps")
        assert (no["ok"], no["code"]) == (False, "FRAME_VALUE")
        assert line.ask(action_type="agent.key.rotate")["code"] == "FRAME_RESERVED_TYPE"
        assert line.ask()["ok"] is True
        assert daemon.status()["rejected"] == {"FRAME_RESERVED_TYPE": 1, "FRAME_VALUE": 1}
        assert daemon.stop() == 0
    receipts = home.check()
    (dropped,) = [
        one
        for one in receipts
        if one["credentialSubject"]["action"]["type"] == "agent_receipts.events_dropped"
    ]
    assert dropped["issuer"]["runtime"]["tallystick"]["dropped"]["reasons"] == {
        "FRAME_RESERVED_TYPE": 1,
        "FRAME_VALUE": 1,
    }


def test_two_kinds_of_emitters_at_once(home: DaemonHome) -> None:
    """Processes of different kinds write to one chain: contiguous, nothing lost, no conflict."""
    with home.daemon() as daemon:
        running = [
            python(program, home.socket, "100", name)
            for program, name in (
                (PLAIN_EMITTER, "one"),
                (OBSIGNA_EMITTER, "two"),
                (PLAIN_EMITTER, "three"),
                (OBSIGNA_EMITTER, "four"),
            )
        ]
        assert [one.wait(60) for one in running] == [0] * 4
        assert daemon.stop() == 0
    receipts = home.check()
    sessions = [one["issuer"].get("session_id") for one in receipts]
    assert {
        name: sessions.count(name) for name in ("one", "two", "three", "four")
    } == dict.fromkeys(("one", "two", "three", "four"), 100)
    assert [one for (_, one) in home.rows()] == list(range(1, 402))


def test_many_short_lived_emitters_lose_nothing(home: DaemonHome) -> None:
    """64 that connect, send one frame and hang up, at once: all are stored."""
    with home.daemon() as daemon:
        gate = threading.Barrier(64)

        def one(number: int) -> None:
            gate.wait()
            with Line(home.socket, wait_s=60) as line:
                line.send(frame(session_id=f"s{number}"))

        threads = [threading.Thread(target=one, args=(number,)) for number in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert daemon.stop() == 0
    found = {one["issuer"].get("session_id") for one in home.check()}
    assert {f"s{number}" for number in range(64)} <= found


def test_the_kernel_says_who_it_was(home: DaemonHome) -> None:
    """Pid, user and program are those of the process that sent, not ours and not the daemon's."""
    with home.daemon() as daemon:
        sender = python(PLAIN_EMITTER + "\nsys.stdin.read()", home.socket, "1", "p",
                        stdin=subprocess.PIPE)  # fmt: skip
        wait_until(lambda: daemon.status()["frames"]["receipts"] == 1)
        sender.communicate()
        assert daemon.stop() == 0
    action = home.check()[0]["credentialSubject"]["action"]
    assert action["peer_credential"] == {
        "platform": "linux",
        "pid": sender.pid,
        "uid": os.getuid(),
        "gid": os.getgid(),
        "exe_path": os.path.realpath(sys.executable),
    }


@pytest.mark.skipif(not is_root(), reason="becoming another user needs root")
def test_another_user_emits_and_can_read_nothing(home: DaemonHome, tmp_path: Path) -> None:
    """Another user in the emitters' group: attested, and shut out of key and store."""
    emitter = 54321
    tmp_path.chmod(0o755)
    for folder in tmp_path.parents:
        if folder.is_relative_to("/tmp/pytest-of-root"):
            folder.chmod(folder.stat().st_mode | 0o011)
    home.folder.chmod(0o711)
    program = f"""
import os, socket, struct, sys
os.setgroups([]); os.setgid({emitter}); os.setuid({emitter})
data = bytes.fromhex({frame(ack=True).hex()!r})
with socket.socket(socket.AF_UNIX) as line:
    line.connect(sys.argv[1])
    line.sendall(data)
    sys.stdout.write(line.recv(4096).decode("utf-8", "replace"))
for path in sys.argv[2:]:
    try:
        open(path, "rb").read()
    except PermissionError:
        pass
    else:
        sys.exit(f"read {{path}}")
"""
    with home.daemon(TALLY_EMIT_GROUP=str(emitter)) as daemon:
        done = python(program, home.socket, str(home.key), str(home.db), stdout=subprocess.PIPE)
        out, _ = done.communicate(timeout=60)
        assert done.returncode == 0
        assert b'"ok":true' in out
        assert daemon.stop() == 0
    credential = home.check()[0]["credentialSubject"]["action"]["peer_credential"]
    assert (credential["uid"], credential["gid"]) == (emitter, emitter)
    assert home.db.stat().st_mode & 0o777 <= 0o640


@pytest.mark.skipif(
    shutil.which("unshare") is None or not is_root(), reason="needs root and unshare"
)
def test_a_sandboxed_emitter_needs_only_the_socket(home: DaemonHome) -> None:
    """With every file system read-only, an emitter emits all the same."""
    script = (
        "mount --make-rprivate / 2>/dev/null; mount -o remount,bind,ro / || exit 77; "
        'mount --bind "$2" "$2" && mount -o remount,bind,ro "$2" || exit 77; '
        'touch "$2/probe" 2>/dev/null && exit 78; exec "$0" -c "$1" "$3" 1 sandboxed'
    )
    with home.daemon() as daemon:
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", script, sys.executable, PLAIN_EMITTER,
             str(home.folder), home.socket],
            check=False, timeout=60,
        )  # fmt: skip
        if done.returncode == 77:
            pytest.skip("this system lets nobody remount")
        assert done.returncode == 0
        assert daemon.stop() == 0
    assert home.check()[0]["issuer"]["session_id"] == "sandboxed"


def test_the_other_implementation_speaks_to_it_unchanged(home: DaemonHome) -> None:
    """obsigna's DaemonEmitter, as it is: all that it sends is stored, with its own options."""
    with home.daemon() as daemon:
        emitter = obsigna.DaemonEmitter(socket_path=home.socket, session_id="theirs")
        emitter.emit(channel="sdk", tool_name="rm", decision="allowed", input='{"a":1.5}',
                     output=b"null", action_type="filesystem.file.delete",
                     target_system="filesystem", target_resource="/tmp/x")  # fmt: skip
        emitter.emit(channel="sdk", tool_name="rm", tool_server="s", decision="denied", error="no")
        emitter.emit(channel="sdk", tool_name="rm", decision="pending")
        emitter.close()
        assert daemon.stop() == 0
    receipts = home.check()[:3]
    assert [one["issuer"]["session_id"] for one in receipts] == ["theirs"] * 3
    statuses = [one["credentialSubject"]["outcome"]["status"] for one in receipts]
    assert statuses == ["success", "failure", "pending"]


def test_sigterm_loses_nothing_that_was_sent(home: DaemonHome) -> None:
    """1 000 frames without an answer and 500 chains of agents: all stored, all closed, exit 0."""
    with home.daemon() as daemon:
        with daemon.line() as line:
            for number in range(500):
                line.send(frame(agent_id=f"a{number}"))
            assert line.ask()["ok"] is True
        senders = [daemon.line() for _ in range(10)]
        # Stopped, it reads nothing: what comes now stays in the sockets.
        daemon.signal(signal.SIGSTOP)
        for number in range(1000):
            assert senders[number % 10].may_send(frame(session_id=f"late{number}", ack=True))
        unseen = Line(home.socket, wait_s=60)
        assert unseen.may_send(frame(session_id="unseen", ack=True))
        daemon.signal(signal.SIGTERM)
        daemon.signal(signal.SIGCONT)
        answers = [senders[number % 10].answer() for number in range(1000)]
        assert unseen.answer()["ok"] is True
        assert all(one["ok"] for one in answers)
        assert daemon.ended() == 0
        for line in (*senders, unseen):
            line.close()
    receipts = home.check()
    sessions = {one["issuer"].get("session_id") for one in receipts}
    assert {f"late{number}" for number in range(1000)} | {"unseen"} <= sessions
    closed = home.rows("chain_id", "terminal = 1")
    assert len(closed) == 501
    assert "/agent/" not in closed[0][0]


def test_after_sigterm_a_write_fails(home: DaemonHome) -> None:
    """Who writes when the end has begun is told so by its own system call: known, not lost."""
    with home.daemon() as daemon, daemon.line() as line:
        assert line.ask()["ok"] is True
        assert daemon.stop() == 0
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            line.send(frame())


def test_idle_and_slow_lines_do_not_hold_up_the_end(home: DaemonHome) -> None:
    """Idle connections, and half a frame, cost nothing at SIGTERM; the chain tells of the half."""
    with home.daemon() as daemon, daemon.line(), daemon.line() as half:
        half.send(b"\0\0\1")
        with daemon.line() as line:
            line.ask()
        assert daemon.stop() == 0
    dropped = home.check()[-2]["issuer"]["runtime"]["tallystick"]["dropped"]
    assert dropped["reasons"] == {"FRAME_CUT": 1}


def test_slow_loris_and_flood_do_not_harm_others(home: DaemonHome) -> None:
    """200 half frames, a flood without reading, junk: one who asks is answered meanwhile."""
    with home.daemon("--frame-timeout", "300ms") as daemon, ExitStack() as stack:
        slow = [stack.enter_context(daemon.line()) for _ in range(200)]
        for line in slow:
            line.send(b"\0\0\0")
        flood = stack.enter_context(daemon.line())
        sent = 0
        while sent < 3000 and flood.may_send(frame(ack=True)):
            sent += 1
        junk = stack.enter_context(daemon.line())
        junk.may_send(b"\xff" * 100_000)
        with daemon.line() as line:
            assert line.ask()["ok"] is True
        wait_until(lambda: daemon.status()["guarded"]["slow"] == 200)
        assert all(line.is_closed() for line in slow)
        assert daemon.stop() == 0
        for line in (*slow, flood, junk):
            line.close()
    home.check()


_FEW_DESCRIPTORS = [
    sys.executable,
    "-c",
    "import os, resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100)); "
    "os.execvp(sys.argv[1], sys.argv[1:])",
]


def test_no_descriptors_left_is_no_end(home: DaemonHome) -> None:
    """With 100 descriptors and 300 connections it goes on, and serves who was waiting."""
    with home.daemon(before=_FEW_DESCRIPTORS) as daemon, ExitStack() as stack:
        # All of them have spoken before it looks: who is silent when it comes is over its quota.
        daemon.signal(signal.SIGSTOP)
        lines = [stack.enter_context(Line(home.socket, wait_s=60)) for _ in range(300)]
        for number, line in enumerate(lines):
            line.send(frame(session_id=f"s{number}"))
        daemon.signal(signal.SIGCONT)
        for line in lines:
            line.close()
        assert daemon.stop() == 0
    found = {one["issuer"].get("session_id") for one in home.check()}
    assert {f"s{number}" for number in range(300)} <= found


def test_who_is_over_its_quota_and_silent_is_told(home: DaemonHome) -> None:
    """Its own write fails, so that it knows; who was there before is served, and goes on."""
    with home.daemon(before=_FEW_DESCRIPTORS) as daemon, ExitStack() as stack:
        lines = [stack.enter_context(Line(home.socket, wait_s=60)) for _ in range(40)]
        wait_until(lambda: daemon.status()["guarded"]["over_quota"] > 0)
        told = 0
        for line in lines:
            try:
                assert line.ask()["ok"] is True
            except (BrokenPipeError, ConnectionResetError):
                told += 1
            finally:
                line.close()
        assert 0 < told < 20
        assert daemon.stop() == 0
    assert sum("session_id" in one["issuer"] for one in home.check()) == 40 - told


def test_only_one_daemon_lives_in_a_store(home: DaemonHome) -> None:
    """A second one on the same store is refused, whatever socket it has; the first goes on."""
    with home.daemon() as daemon:
        second = DaemonProcess(
            home, "--socket", str(home.run / "other.sock"), "--status-socket",
            str(home.run / "o.sock"), waits=False,
        )  # fmt: skip
        assert second.ended() == 3
        assert "is in use" in second.logged()
        with daemon.line() as line:
            assert line.ask()["ok"] is True


def test_the_largest_frame_is_taken(home: DaemonHome) -> None:
    """Exactly 1 MiB is a frame; one byte more ends the connection."""
    whole = body(input={"text": ""})
    largest = body(input={"text": "x" * (FRAME_BYTES_MAX - len(whole))}, ack=None)
    assert len(largest) == FRAME_BYTES_MAX
    with home.daemon() as daemon:
        with daemon.line() as line:
            line.send(framed(largest))
            assert line.ask()["sequence"] == 2
        with daemon.line() as line:
            line.may_send(framed(largest + b" "))
            assert line.is_closed()
        assert daemon.stop() == 0
    home.check()


def test_sighup_takes_over_what_can_change(home: DaemonHome) -> None:
    """Patterns and levels are read again; what can't change while running is named."""
    patterns = home.folder / "patterns.toml"
    config = home.folder / "agent-receipts" / "daemon.toml"
    config.parent.mkdir()
    config.write_text("")
    with home.daemon() as daemon, daemon.line() as line:
        assert line.ask(error="tango 1234 and more", decision="allowed")["ok"] is True
        patterns.write_text("[[pattern]]\nname = 'tango'\nregex = 'tango [0-9]+'\n")
        config.write_text(f"redact_patterns = '{patterns}'\nissuer_id = 'did:x:y'\n")
        daemon.signal(signal.SIGHUP)
        wait_until(lambda: "reloaded" in daemon.logged())
        assert "taken=redact_patterns" in daemon.logged()
        assert "needs_start=issuer_id,verification_method" in daemon.logged()
        assert line.ask(error="tango 1234 and more")["ok"] is True
        config.write_text("no = toml at all")
        daemon.signal(signal.SIGHUP)
        wait_until(lambda: "reload_failed" in daemon.logged())
        assert line.ask(error="tango 1234 and more")["ok"] is True
        assert daemon.stop() == 0
    errors = [one["credentialSubject"]["outcome"].get("error") for one in home.check()]
    assert "1234" in errors[0]
    assert not [one for one in errors[1:3] if "1234" in one]


def test_the_manager_is_told(home: DaemonHome) -> None:
    """READY when frames are taken, WATCHDOG while it lives, RELOADING, STOPPING."""
    heard: list[bytes] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(home.folder / "notify"))
        ear.settimeout(60)
        more = {"NOTIFY_SOCKET": ear.getsockname(), "WATCHDOG_USEC": "200000"}
        with home.daemon(**more) as daemon:
            while heard.count(b"WATCHDOG=1") < 2:
                heard.append(ear.recv(1000))
            daemon.signal(signal.SIGHUP)
            while not heard[-1].startswith(b"RELOADING=1"):
                heard.append(ear.recv(1000))
            daemon.signal(signal.SIGTERM)
            while heard[-1] != b"STOPPING=1":
                heard.append(ear.recv(1000))
            assert daemon.ended() == 0
    assert heard[0].startswith(b"READY=1")


def test_one_that_nobody_hears_listens_to_nobody(home: DaemonHome) -> None:
    """Where the line that says so can't be written it ends with 3, and leaves no socket behind."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tallystick", "daemon", "run"],
            env=home.variables(), stdout=full, stderr=subprocess.PIPE, check=False, timeout=60,
        )  # fmt: skip
    assert done.returncode == 3
    assert not list(home.run.iterdir())
    with home.daemon() as daemon:
        assert daemon.stop() == 0


def test_a_key_in_place_of_a_path_is_not_echoed(home: DaemonHome) -> None:
    """AGENTRECEIPTS_KEY is a path here; a key in it is refused, and no letter of it is shown."""
    secret = "u" + "Q" * 43
    for given in (secret, home.key.read_text()):
        env = {**home.variables(), "AGENTRECEIPTS_KEY": given}
        run = subprocess.run(
            [sys.executable, "-m", "tallystick", "daemon", "run"],
            env=env, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert run.returncode == 2
        assert "path" in run.stderr
        assert "QQQQ" not in run.stderr + run.stdout
        assert given.split()[-1][:20] not in run.stderr + run.stdout
