# SPDX-License-Identifier: Apache-2.0
"""Attestation: real processes, other users, those that are gone, and numbers that were reused."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tallystick.daemon.attestation import Attestation
from tallystick.daemon.peer import (
    attest,
    attest_linux,
    facts_of,
    parse_cgroup,
    parse_stat,
)
from tallystick.errors import PeerError
from tallystick.limits import CGROUP_CHARS_MAX

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux's /proc")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
NOBODY = 65534
# What /proc/7/stat says, up to the moment at which the process began.
PARENT = "7 (agent) S 3 7 7" + " 0" * 15 + " "

# Connects (as another user if told so), says so, and stays until its input ends.
CLIENT = """
import os, socket, sys
link = socket.socket(socket.AF_UNIX)
if len(sys.argv) > 2:
    os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
link.connect(sys.argv[1])
print("connected", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """Listen at a path that every user may reach."""
    path = f"\0tally-test-{os.getpid()}-{tmp_path.name}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        yield server, path


@contextmanager
def client(path: str, *more: str) -> Iterator[subprocess.Popen[str]]:
    """Run a process that is connected."""
    program = CLIENT.replace("sys.argv[1]", repr(path))
    with subprocess.Popen(
        [sys.executable, "-I", "-c", program, "-", *more],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "connected\n"
        yield process
        if process.stdin is not None and not process.stdin.closed:
            process.stdin.close()


def accepted(server: socket.socket) -> Attestation:
    """Return what is told of the next connection."""
    connection, _ = server.accept()
    with closing(connection):
        return attest(connection)


@linux
def test_another_process_is_told_apart(listener: tuple[socket.socket, str]) -> None:
    """Number, user, group, program, parent, session and start are those of the process itself."""
    server, path = listener
    with client(path) as process:
        told = accepted(server)
        start = int(Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19])
    credential, peer = told.credential, told.peer
    assert credential.platform == "linux"
    assert credential.pid == process.pid != os.getpid()
    assert (credential.uid, credential.gid) == (os.geteuid(), os.getegid())
    assert credential.exe_path == os.path.realpath(sys.executable)
    assert peer.exe_status == "ok"
    assert peer.ppid == os.getpid()
    assert peer.session == os.getsid(0)
    assert peer.start_time == start
    assert peer.cgroup is None or peer.cgroup.startswith("/")


@linux
@as_root
def test_another_user_is_named(listener: tuple[socket.socket, str]) -> None:
    """An emitter of another user has that user's ids; root still sees its program."""
    server, path = listener
    with client(path, str(NOBODY)):
        told = accepted(server)
    assert (told.credential.uid, told.credential.gid) == (NOBODY, NOBODY)
    assert told.peer.exe_status == "ok"


@linux
def test_who_is_gone_is_said_to_be_gone(listener: tuple[socket.socket, str]) -> None:
    """A process that ended before we looked keeps its ids and has no facts of anybody else."""
    server, path = listener
    with client(path) as process:
        pass
    assert process.wait() == 0
    told = accepted(server)
    assert told.credential.pid == process.pid
    assert told.credential.uid == os.geteuid()
    assert told.credential.exe_path is None
    assert told.peer.exe_status == "gone"
    assert told.peer.to_dict() == {"exe_status": "gone"}


@linux
def test_who_has_ended_but_is_not_buried(listener: tuple[socket.socket, str]) -> None:
    """A zombie's number is still its own: parent and start are true, the program is gone."""
    server, path = listener
    program = CLIENT.replace("sys.argv[1]", repr(path)).replace("sys.stdin.read()", "os._exit(0)")
    process = subprocess.Popen([sys.executable, "-I", "-c", program], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.read() == b"connected\n"
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        told = accepted(server)
    finally:
        process.communicate()
    assert told.peer.exe_status == "gone"
    assert told.credential.exe_path is None
    assert told.peer.ppid == os.getpid()


@linux
@as_root
def test_without_the_right_to_look_it_is_denied(tmp_path: Path) -> None:
    """A daemon of another user can't read the program, says so, and still tells the rest."""
    name = f"tally-denied-{os.getpid()}"
    program = (
        "import json, os, socket, sys\n"
        "from tallystick.daemon.peer import attest\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "server = socket.socket(socket.AF_UNIX)\n"
        f"server.bind('\\0{name}'); server.listen()\n"
        "print('up', flush=True)\n"
        "told = attest(server.accept()[0])\n"
        "print(json.dumps([told.credential.to_dict(), told.peer.to_dict()]))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(f"\0{name}")
            credential, peer = json.loads(process.stdout.readline())
    assert peer["exe_status"] == "denied"
    assert "exe_path" not in credential
    assert credential["pid"] == os.getpid()
    assert peer["ppid"] == os.getppid()


@linux
def test_a_reused_number_vouches_for_nothing() -> None:
    """Where the kernel's handle names another process than the number, nothing is told."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        handle = os.pidfd_open(process.pid)
        try:
            exe_path, peer = facts_of(os.getpid(), handle)
            assert (exe_path, peer.exe_status, peer.ppid) == (None, "gone", None)
            exe_path, peer = facts_of(process.pid, handle)
            assert exe_path is not None
            assert peer.exe_status == "ok"
        finally:
            os.close(handle)
            process.kill()


@linux
def test_without_a_handle_the_start_is_compared() -> None:
    """Older kernels have no handle: the facts are told all the same."""
    exe_path, peer = facts_of(os.getpid(), None)
    assert exe_path == os.path.realpath(sys.executable)
    assert peer.ppid == os.getppid()


@linux
def test_who_is_not_shown_is_hidden(tmp_path: Path) -> None:
    """A process that runs, and that /proc does not show, is hidden and not gone."""
    exe_path, peer = facts_of(os.getpid(), None, proc=str(tmp_path))
    assert (exe_path, peer.exe_status) == (None, "hidden")
    exe_path, peer = facts_of(0, None)
    assert (exe_path, peer.exe_status) == (None, "hidden")


@linux
def test_no_descriptor_is_left() -> None:
    """Attestation closes what it opened."""
    one, other = socket.socketpair()
    with closing(one), closing(other):
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            assert attest_linux(one).credential.pid == os.getpid()
        assert len(os.listdir("/proc/self/fd")) == before


def test_other_sockets_are_refused() -> None:
    """What is no Unix socket, or closed, has no credentials; other systems are not guessed at."""
    with socket.socket(socket.AF_UNIX) as link:
        link.close()
        with pytest.raises(PeerError):
            attest(link)
    with socket.socket(socket.AF_UNIX) as link, pytest.raises(PeerError, match="plan9"):
        attest(link, "plan9")


def test_stat_is_read_behind_the_name() -> None:
    """A process may be called `x) R 1 1 (y`: only the last bracket counts."""
    fields = " ".join(str(number) for number in range(100, 149))
    assert parse_stat(f"7 (a) R 1 (b\n) S {fields}") == (100, 102, 118)
    for broken in ("", "7 (a", "7 (a) S 1 2", "7 (a) S " + "x " * 40, f"7 (a) S {'9' * 20} " * 30):
        assert parse_stat(broken) is None


def test_control_groups() -> None:
    """Version 2 wins; else the path that says most; a flood of text is cut."""
    both = "9:name=systemd:/\n4:memory:/a/b\n0::/user.slice/x.scope\n"
    assert parse_cgroup(both) == "/user.slice/x.scope"
    assert parse_cgroup("9:name=systemd:/\n4:memory:/a/b:c\n0::/\n") == "/a/b:c"
    assert parse_cgroup("0::/\n") == "/"
    # A folder's name may hold what other functions take for the end of a line.
    assert parse_cgroup("0::/a/b\v0::\u2028/c\n") == "/a/b\v0::\u2028/c"
    assert parse_cgroup("") is None
    assert parse_cgroup("garbage\n") is None
    assert len(parse_cgroup("0::/" + "x" * 5000) or "") == CGROUP_CHARS_MAX


@linux
def test_of_who_is_known_to_be_gone_nothing_is_read() -> None:
    """Where the kernel has no handle on the peer any more, its number is already another's."""
    exe_path, peer = facts_of(os.getpid(), None, is_gone=True)
    assert exe_path is None
    assert peer.to_dict() == {"exe_status": "gone"}


@linux
@pytest.mark.parametrize(
    ("then", "status"),
    [(PARENT + "500", "ok"), (PARENT + "501", "gone"), (None, "gone"), ("", "gone")],
    ids=["same", "other", "none", "empty"],
)
def test_who_took_the_number_meanwhile_is_not_told_of(
    tmp_path: Path, then: str | None, status: str
) -> None:
    """Without a handle, another start than before the look, or none, is another process."""
    folder = tmp_path / "7"
    folder.mkdir()
    (folder / "exe").symlink_to("/usr/bin/agent")
    (folder / "stat").write_text(PARENT + "500")
    os.mkfifo(folder / "cgroup")

    def die() -> None:
        with (folder / "cgroup").open("w") as pipe:  # opens when the look has come this far
            if then is None:
                (folder / "stat").unlink()
            else:
                (folder / "stat").write_text(then)
            pipe.write("0::/theirs\n")

    thread = threading.Thread(target=die)
    thread.start()
    exe_path, peer = facts_of(7, None, proc=str(tmp_path))
    thread.join()
    if status == "ok":
        assert (exe_path, peer.ppid, peer.start_time) == ("/usr/bin/agent", 3, 500)
        assert peer.cgroup == "/theirs"
    else:
        assert exe_path is None
        assert peer.to_dict() == {"exe_status": "gone"}
