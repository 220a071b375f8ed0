# SPDX-License-Identifier: Apache-2.0
"""Where the daemon listens: safe places, no network, and never over somebody else."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tallystick.daemon.socket_path import (
    check_socket_path,
    clear_stale,
    is_live,
    legacy_link,
    listen,
    place_link,
    safe_roots,
    socket_path,
)
from tallystick.errors import SocketPathError


@pytest.fixture
def short() -> Iterator[Path]:
    """Return a folder whose path leaves room for a socket's name."""
    folder = Path(tempfile.mkdtemp(prefix="tally-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def refused(code: str) -> pytest.RaisesExc[SocketPathError]:
    """Expect a refusal with this code."""
    return pytest.RaisesExc(SocketPathError, check=lambda fault: fault.code == code)


def test_what_is_given_wins() -> None:
    """A given path, then the environment's, then the default of the system."""
    environ = {"AGENTRECEIPTS_SOCKET": "/e.sock", "XDG_RUNTIME_DIR": "/run/user/1"}
    assert socket_path("linux", environ, "/g.sock") == "/g.sock"
    assert socket_path("linux", environ) == "/e.sock"
    assert socket_path("linux", {}) == "/run/agentreceipts/events.sock"
    with refused("none"):
        socket_path("win32", {})


@pytest.mark.parametrize(
    "path",
    [
        "tcp://127.0.0.1:9",
        "127.0.0.1:9",
        "localhost:80",
        "[::1]:80",
        "[::1]",
        "http://x/y.sock",
        "unix:///run/x.sock",
        ":8080",
        "vsock:2",
    ],
)
def test_the_network_is_refused(path: str) -> None:
    """An address is refused always, also where unsafe paths are allowed."""
    for may_be_unsafe in (False, True):
        with refused("network"):
            check_socket_path(path, "linux", {}, may_be_unsafe=may_be_unsafe)
    with refused("network"):
        listen(path)


@pytest.mark.parametrize("path", ["events.sock", "./x", "", "\0abstract", "/run/x/", "/run/a\0b"])
def test_other_names_are_no_paths(path: str) -> None:
    """Relative and abstract names depend on where and who one is."""
    with refused("relative"):
        check_socket_path(path, "linux", {}, may_be_unsafe=True)


@pytest.mark.parametrize(("platform", "limit"), [("linux", 107), ("darwin", 103)])
def test_long_paths_are_refused_in_words(platform: str, limit: int) -> None:
    """The kernel's own error would not say what is wrong."""
    environ = {"XDG_RUNTIME_DIR": "/run", "TMPDIR": "/run"}
    fits = "/run/" + "x" * (limit - 5)
    assert check_socket_path(fits, platform, environ)
    with refused("long"):
        check_socket_path(fits + "x", platform, environ)


def test_safe_places() -> None:
    """Each system has its own; others need the word of the operator."""
    assert safe_roots("linux", {"XDG_RUNTIME_DIR": "/run/user/7"}) == (
        "/run",
        "/var/run",
        "/run/user/7",
    )
    assert safe_roots("darwin", {"TMPDIR": "/t/", "HOME": "/Users/a"}) == (
        "/var/run",
        "/t",
        "/Users/a/.local/share/agent-receipts",
    )
    assert safe_roots("linux", {"XDG_RUNTIME_DIR": "/"}) == ("/run", "/var/run")
    assert check_socket_path("/run/agentreceipts/events.sock", "linux", {})
    assert check_socket_path("/var/run/x.sock", "linux", {})
    for path in ("/tmp/x.sock", "/runaway/x.sock", "/run/../tmp/x.sock", "/run/a/../../tmp/x"):
        with refused("unsafe"):
            check_socket_path(path, "linux", {})
        assert not check_socket_path(path, "linux", {}, may_be_unsafe=True)


def test_links_are_judged_by_where_they_lead(short: Path) -> None:
    """A link out of a safe place is unsafe; one that leads in circles is refused."""
    safe, other = short / "safe", short / "other"
    safe.mkdir()
    other.mkdir()
    environ = {"XDG_RUNTIME_DIR": str(safe)}
    assert check_socket_path(f"{safe}/new/folder/x.sock", "linux", environ)
    (safe / "out").symlink_to(other)
    (safe / "loop").symlink_to("loop")
    (safe / "x.sock").symlink_to(other / "y.sock")
    (other / "y.sock").touch()
    with refused("unsafe"):
        check_socket_path(f"{safe}/out/x.sock", "linux", environ)
    with refused("unsafe"):
        check_socket_path(f"{safe}/x.sock", "linux", environ)
    for path in (f"{safe}/loop", f"{safe}/loop/x.sock"):
        with refused("unresolved"):
            check_socket_path(path, "linux", environ, may_be_unsafe=True)


def test_modes_do_not_depend_on_the_umask(short: Path) -> None:
    """Directory and socket have the modes that were asked for, and are made on the way."""
    path = str(short / "a" / "agentreceipts" / "events.sock")
    before = os.umask(0o077)
    try:
        with listen(path, directory_mode=0o751, socket_mode=0o620):
            assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o751
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o620
            assert is_live(path)
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(before)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to another group")
def test_the_group_may_connect(short: Path) -> None:
    """The socket and a new directory belong to the emitters' group."""
    path = str(short / "run" / "events.sock")
    with listen(path, group=65534):
        assert os.stat(path).st_gid == 65534
        assert os.stat(short / "run").st_gid == 65534


def test_a_left_over_socket_is_removed(short: Path) -> None:
    """What a crash left behind is no reason not to start."""
    path = str(short / "events.sock")
    with socket.socket(socket.AF_UNIX) as crashed:
        crashed.bind(path)
        crashed.listen()
    assert os.path.exists(path)
    assert not is_live(path)
    with listen(path):
        assert is_live(path)
    clear_stale(path)
    assert not os.path.lexists(path)
    clear_stale(path)


def test_a_live_daemon_is_left_alone(short: Path) -> None:
    """A second daemon is told so; the first keeps its socket, also one that is too busy."""
    path = str(short / "events.sock")
    with listen(path, backlog=0):
        with refused("live"):
            listen(path)
        links = []
        for _ in range(3):
            link = socket.socket(socket.AF_UNIX)
            link.setblocking(False)
            links.append(link)
            if link.connect_ex(path):
                break
        with refused("live"):
            listen(path)
        for link in links:
            link.close()
        assert os.path.exists(path)


@pytest.mark.parametrize("kind", ["file", "folder", "link", "fifo"])
def test_what_is_no_socket_stays(short: Path, kind: str) -> None:
    """Somebody's file is never removed, and a planted link never followed."""
    path, victim = short / "events.sock", short / "victim"
    victim.write_text("precious")
    if kind == "file":
        path.write_text("precious")
    elif kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(victim)
    else:
        os.mkfifo(path)
    with refused("not-a-socket"):
        listen(str(path))
    assert os.path.lexists(path)
    assert victim.read_text() == "precious"


def test_a_folder_of_all_is_refused(short: Path) -> None:
    """Where all may write, another user could take the socket's place."""
    folder = short / "open"
    folder.mkdir()
    folder.chmod(0o777)
    with refused("directory"):
        listen(str(folder / "events.sock"))
    (short / "file").touch()
    with refused("directory"):
        listen(str(short / "file" / "x" / "events.sock"))


def test_who_may_not_make_the_folder_hears_where_to(
    short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user without a login session is told how to name a place that is theirs."""

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.mkdir", denied)  # no mode holds root back
    with pytest.raises(SocketPathError, match="--socket, or set XDG_RUNTIME_DIR"):
        listen(str(short / "new" / "events.sock"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give folders to another user")
def test_a_folder_of_another_user_is_refused(short: Path) -> None:
    """Who owns the folder could swap the socket at any time."""
    folder = short / "theirs"
    folder.mkdir()
    os.chown(folder, 65534, -1)
    with refused("directory"):
        listen(str(folder / "events.sock"))


def test_of_many_that_start_at_once_one_wins(short: Path) -> None:
    """Threads and a left-over socket: exactly one gets the path, and it answers."""
    path = str(short / "events.sock")
    with socket.socket(socket.AF_UNIX) as crashed:
        crashed.bind(path)
    won: list[socket.socket] = []
    lost: list[str] = []
    begin = threading.Barrier(6)

    def start() -> None:
        begin.wait()
        try:
            won.append(listen(path))
        except SocketPathError as fault:
            lost.append(fault.code)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert lost == ["live"] * 5
    assert is_live(path)
    won[0].close()


def test_of_two_processes_one_wins(short: Path) -> None:
    """The same with processes, which share nothing but the folder."""
    path = str(short / "events.sock")
    program = (
        "import sys\n"
        "from tallystick.daemon.socket_path import listen\n"
        "from tallystick.errors import SocketPathError\n"
        "sys.stdin.readline()\n"
        "try:\n"
        "    server = listen(sys.argv[1]); print('won', flush=True)\n"
        "except SocketPathError as fault:\n"
        "    print(fault.code, flush=True)\n"
        "sys.stdin.read()\n"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = []
    for process in running:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in running:
        assert process.stdout is not None
        said.append(process.stdout.readline().strip())
    for process in running:
        process.communicate()
    assert sorted(said) == ["live", "won"]


def is_locked(folder: Path) -> bool:
    """Whether somebody has a lock on a folder."""
    directory = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(directory)
    return False


def test_between_look_and_bind_the_folder_is_locked(
    short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what is bound is nobody else's to connect to until its mode is set."""
    path = str(short / "events.sock")
    with socket.socket(socket.AF_UNIX) as crashed:
        crashed.bind(path)
    seen: list[tuple[str, bool]] = []
    modes: list[int] = []
    bind, connect = socket.socket.bind, socket.socket.connect

    def binds(one: socket.socket, where: str) -> None:
        seen.append(("bind", is_locked(short)))
        bind(one, where)
        modes.append(stat.S_IMODE(os.stat(where).st_mode))

    def connects(one: socket.socket, where: str) -> None:
        seen.append(("look", is_locked(short)))
        connect(one, where)

    monkeypatch.setattr(socket.socket, "bind", binds)
    monkeypatch.setattr(socket.socket, "connect", connects)
    before = os.umask(0)
    try:
        server = listen(path, socket_mode=0o666)
    finally:
        os.umask(before)
    server.close()
    assert seen == [("look", True), ("bind", True)]
    assert modes == [0o600]
    assert not is_locked(short)


def test_who_came_after_the_look_is_left_alone(
    short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody answered on has gone, and something else is there: that is not taken away."""
    path, aside = short / "events.sock", short / "aside"
    with socket.socket(socket.AF_UNIX) as crashed:
        crashed.bind(str(path))
    connect = socket.socket.connect

    def connects(one: socket.socket, where: str) -> None:
        try:
            connect(one, where)
        finally:
            path.rename(aside)
            path.write_text("precious")

    monkeypatch.setattr(socket.socket, "connect", connects)
    clear_stale(str(path))
    assert path.read_text() == "precious"


def test_the_old_place_on_macos(short: Path) -> None:
    """A link leads from where older emitters look; nothing that is there is overwritten."""
    link = legacy_link("darwin", {"TMPDIR": f"{short}/"})
    assert link == f"{short}/agentreceipts/events.sock"
    assert legacy_link("linux", {"TMPDIR": str(short)}) is None
    assert legacy_link("darwin", {}) is None
    target = f"{short}/events.sock"
    assert place_link(link, "/old")
    assert place_link(link, target)
    assert place_link(link, target)
    assert os.readlink(link) == target
    os.unlink(link)
    Path(link).write_text("mine")
    assert not place_link(link, target)
    assert Path(link).read_text() == "mine"
