# SPDX-License-Identifier: Apache-2.0
"""Programs run to their end or are ended, within every bound, in every confinement there is."""

from __future__ import annotations

import io
import os
import socket
import stat
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from tallystick.solver.confinement import _works
from tallystick.solver.execution import Executed, execute
from tallystick.solver.sandbox import PROGRAMS, Cell, Kind

_KINDS: list[Kind] = ["none"]
if sys.platform.startswith("linux"):
    _KINDS += [kind for kind in ("bubblewrap", "namespaces") if _works(kind)]
_CONFINED = [kind for kind in _KINDS if kind != "none"]


def _sh(script: str, folder: Path, kind: Kind = "none", **more: Any) -> tuple[Executed, bytes]:
    out = io.BytesIO()
    members: dict[str, Any] = {"stdin": b"", "timeout_ms": 30_000, "stdout": out, **more}
    cell = members.pop("cell", None) or Cell(cwd=os.path.realpath(folder), limits={"CORE": 0})
    done = execute(["sh", "-c", script], {"PATH": PROGRAMS}, cell, kind=kind, **members)
    return done, out.getvalue()


def _is_running(mark: str) -> bool:
    """Whether a process with this mark is still there in a while: a killed one ends soon."""
    for _ in range(50):
        if not _is_listed(mark):
            return False
        time.sleep(0.1)
    return True


def _is_listed(mark: str) -> bool:
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                line = Path(f"/proc/{name}/cmdline").read_bytes()
            except OSError:
                continue
            if mark.encode() in line:
                return True
    return False


@pytest.mark.parametrize("kind", _KINDS)
def test_a_program_gets_its_input_and_gives_its_output(tmp_path: Path, kind: Kind) -> None:
    """Standard input, exit code, output and files are the program's own."""
    err = io.BytesIO()
    done, out = _sh(
        "cat; echo e >&2; echo f > file; exit 3", tmp_path, kind, stdin=b"in", stderr=err
    )
    assert (done.exit_code, done.fault, out, err.getvalue()) == (3, None, b"in", b"e\n")
    assert (tmp_path / "file").read_text() == "f\n"
    assert done.sandbox["kind"] == kind
    assert done.sandbox["noNewPrivileges"] is True


@pytest.mark.parametrize("kind", _KINDS)
def test_the_environment_is_what_was_given(tmp_path: Path, kind: Kind) -> None:
    """Nothing of the solver's own environment leaks."""
    _, out = _sh("env", tmp_path, kind)
    names = {line.partition(b"=")[0] for line in out.splitlines()}
    assert names <= {b"PATH", b"PWD", b"SHLVL", b"_", b"OLDPWD"}


@pytest.mark.parametrize("kind", _KINDS)
def test_time_is_bounded(tmp_path: Path, kind: Kind) -> None:
    """A program that runs too long is ended, with all that it has started."""
    mark = f"9{os.getpid()}7"
    started = time.monotonic()
    done, _ = _sh(f"sleep {mark} & sleep {mark}", tmp_path, kind, timeout_ms=500)
    assert time.monotonic() - started < 20
    assert done.fault == "it ran longer than 500 ms"
    assert not _is_running(mark)


@pytest.mark.parametrize("kind", _KINDS)
def test_nothing_is_left_running(tmp_path: Path, kind: Kind) -> None:
    """What a program leaves in the background ends with it, and holds nothing up."""
    mark = f"8{os.getpid()}6"
    started = time.monotonic()
    done, out = _sh(f"echo a; sleep {mark} & exit 0", tmp_path, kind)
    assert time.monotonic() - started < 20
    assert (done.exit_code, done.fault, out) == (0, None, b"a\n")
    assert not _is_running(mark)


@pytest.mark.parametrize("kind", _CONFINED)
def test_no_session_of_its_own_leads_out(tmp_path: Path, kind: Kind) -> None:
    """In namespaces, a process that leaves its group ends with the rest."""
    mark = f"7{os.getpid()}5"
    _sh(f"setsid sleep {mark} & sleep 0.2", tmp_path, kind)
    assert not _is_running(mark)


@pytest.mark.parametrize("kind", _KINDS)
def test_output_is_bounded(tmp_path: Path, kind: Kind) -> None:
    """Who writes too much is ended; what was kept is within the bound."""
    done, out = _sh("yes", tmp_path, kind, output_bytes=1000)
    assert done.fault == "stdout is over 1000 bytes"
    assert len(out) == 1000


@pytest.mark.parametrize("kind", _KINDS)
def test_files_are_bounded(tmp_path: Path, kind: Kind) -> None:
    """No file grows over its limit."""
    cell = Cell(cwd=os.path.realpath(tmp_path), limits={"FSIZE": 1000})
    done, _ = _sh("exec head -c 5000 /dev/zero > big", tmp_path, kind, cell=cell)
    assert done.exit_code != 0
    assert (tmp_path / "big").stat().st_size <= 1000
    assert done.sandbox["limitFsize"] == 1000


@pytest.mark.parametrize("kind", _KINDS)
def test_a_solver_that_stops_ends_it(tmp_path: Path, kind: Kind) -> None:
    """A run that is cancelled ends at once, and says why."""
    done, _ = _sh("sleep 60", tmp_path, kind, is_cancelled=lambda: True)
    assert done.fault == "it was ended because the solver stops"


@pytest.mark.parametrize("kind", _KINDS)
def test_a_program_that_is_not_there_is_a_fault(tmp_path: Path, kind: Kind) -> None:
    """It fails, and says so; a program that begins and ends with the same code is none."""
    cell = Cell(cwd=os.path.realpath(tmp_path))
    err = io.BytesIO()
    done = execute(
        ["no-such-program"],
        {"PATH": PROGRAMS},
        cell,
        kind=kind,
        stdin=b"",
        timeout_ms=9000,
        stderr=err,
    )
    assert done.exit_code != 0
    assert done.fault is not None
    assert "No such file" in done.fault + err.getvalue().decode()
    assert not any("-" in name for name in done.sandbox)
    assert _sh("exit 1", tmp_path, kind)[0].fault is None


@pytest.mark.parametrize("kind", _CONFINED)
def test_no_file_of_ours_is_open_in_it(tmp_path: Path, kind: Kind) -> None:
    """A program has its three standard files: where we are told how it went is not its to write."""
    seen = "for n in $(seq 0 60); do test -e /proc/$$/fd/$n && echo $n; done; true"
    assert _sh(seen, tmp_path, kind)[1].split() == [b"0", b"1", b"2"]


@pytest.mark.parametrize("kind", _CONFINED)
def test_a_confined_program_can_only_write_its_directory(tmp_path: Path, kind: Kind) -> None:
    """Elsewhere nothing can be written, and `/tmp` is its own."""
    outside = tmp_path / "outside"
    outside.mkdir()
    work = tmp_path / "work"
    work.mkdir()
    own = f"tally-{os.getpid()}"
    script = f"echo x > {outside}/f; echo x > /etc/tally-test; echo x > /tmp/{own}; ls /tmp"
    cell = Cell(cwd=os.path.realpath(work))
    _, out = _sh(script, work, kind, cell=cell)
    assert not (outside / "f").exists()
    assert not os.path.exists("/etc/tally-test")
    assert not os.path.exists(f"/tmp/{own}")
    assert own.encode() in out


@pytest.mark.parametrize("kind", _CONFINED)
def test_no_device_of_the_machine_is_there(tmp_path: Path, kind: Kind) -> None:
    """Disks, terminals and logs can't be opened, in `/dev` or elsewhere; what all need is there."""
    _, out = _sh("ls /dev", tmp_path, kind)
    few = {"core", "console", "fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr"}
    assert set(out.decode().split()) <= few | {"stdin", "stdout", "tty", "urandom", "zero"}
    script = "echo x > /dev/null && head -c 3 /dev/zero | tr '\\0' z; exec 2>&1; ls /dev/pts"
    done, out = _sh(script, tmp_path, kind)
    assert (done.exit_code, out) == (0, b"zzzptmx\n")
    program = "import os, pty; os.close(pty.openpty()[1]); print('pty')"
    cell = Cell(cwd=os.path.realpath(tmp_path), shown=(sys.prefix, sys.base_prefix))
    _, out = _sh(f'{sys.executable} -c "{program}"', tmp_path, kind, cell=cell)
    assert out == b"pty\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
@pytest.mark.parametrize("kind", _CONFINED)
def test_a_device_elsewhere_is_none(tmp_path: Path, kind: Kind) -> None:
    """A file of a device does not work outside of `/dev`."""
    try:
        os.mknod(tmp_path / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except OSError as fault:
        pytest.skip(f"no devices can be made here: {fault}")
    _, out = _sh("(echo x > null) 2> /dev/null || echo none", tmp_path, kind)
    assert out == b"none\n"


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="no shared memory has files here")
@pytest.mark.parametrize("kind", _CONFINED)
def test_shared_memory_is_its_own(tmp_path: Path, kind: Kind) -> None:
    """No program sees that of others, and each may use its own, as locks of Python do."""
    with tempfile.NamedTemporaryFile(dir="/dev/shm"):
        done, out = _sh("ls -A /dev/shm; echo x > /dev/shm/own && ls /dev/shm", tmp_path, kind)
    assert (done.exit_code, out) == (0, b"own\n")
    assert not os.path.exists("/dev/shm/own")


@pytest.mark.parametrize("kind", _CONFINED)
def test_what_is_hidden_is_not_there(tmp_path: Path, kind: Kind) -> None:
    """The solver's home and its key can't be read, also where the work lies within that home."""
    home = tmp_path / "home"
    work = home / "runs" / "artifacts"
    work.mkdir(parents=True)
    (home / "secret").write_text("s3cret")
    key = tmp_path / "key"
    key.write_text("s3cret")
    cell = Cell(cwd=os.path.realpath(work), hidden=(str(home), str(key)))
    _, out = _sh(f"cat {home}/secret {key}; ls {home}; echo made > here", work, kind, cell=cell)
    assert b"s3cret" not in out
    assert b"secret" not in out
    assert (work / "here").read_text() == "made\n"


@pytest.mark.parametrize("kind", _CONFINED)
def test_what_is_shown_is_there_and_what_is_hidden_wins(tmp_path: Path, kind: Kind) -> None:
    """A folder below `/tmp` is put back, read-only, but for what is hidden within it."""
    shown = tmp_path / "shown"
    (shown / "home").mkdir(parents=True)
    (shown / "home" / "key").write_text("s3cret")
    (shown / "data").write_text("plain")
    work = tmp_path / "work"
    work.mkdir()
    cell = Cell(cwd=os.path.realpath(work), shown=(str(shown),), hidden=(str(shown / "home"),))
    _, out = _sh(f"cat {shown}/data {shown}/home/key; echo x > {shown}/new", work, kind, cell=cell)
    assert out == b"plain"
    assert not (shown / "new").exists()


@pytest.mark.parametrize("kind", _CONFINED)
def test_no_network_unless_allowed(tmp_path: Path, kind: Kind) -> None:
    """A listener of this machine can't be reached from within, but with `network`."""
    script = "import socket, sys\nsocket.create_connection(('127.0.0.1', int(sys.argv[1])), 3)"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        for network, wanted in ((False, 1), (True, 0)):
            cell = Cell(
                cwd=os.path.realpath(tmp_path),
                network=network,
                shown=(sys.prefix, sys.base_prefix, sys.executable),
            )
            done = execute(
                [sys.executable, "-c", script, port],
                {"PATH": PROGRAMS},
                cell,
                kind=kind,
                stdin=b"",
                timeout_ms=30_000,
            )
            assert done.exit_code == wanted
            assert done.sandbox["network"] is network


@pytest.mark.parametrize("kind", _CONFINED)
def test_other_processes_are_not_seen(tmp_path: Path, kind: Kind) -> None:
    """A program sees its own process tree, so it can signal or trace no other."""
    _, out = _sh("ls /proc | grep -c '^[0-9]'", tmp_path, kind)
    assert int(out) < 10
