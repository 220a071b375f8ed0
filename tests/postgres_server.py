# SPDX-License-Identifier: Apache-2.0
"""A real PostgreSQL for tests: made from nothing, killed at will, gone afterwards."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

# Nothing that a crash could lose is switched off. Sockets only, so that ports never clash.
SETTINGS: Final = {
    "listen_addresses": "",
    "max_connections": "60",
    "shared_buffers": "32MB",
    "fsync": "on",
    "full_page_writes": "on",
    "autovacuum": "off",
    "log_min_messages": "fatal",
}


class PostgresServer:
    """One server over one folder, run by a user who is not root."""

    def __init__(self, settings: dict[str, str] | None = None) -> None:
        self._settings = SETTINGS | (settings or {})
        self._binaries = binaries()
        self._user = _account()
        # In memory where we can: recovery after a kill syncs every file of the cluster.
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.folder = Path(tempfile.mkdtemp(prefix="tally-pg-", dir=memory))
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        if self._user is not None:
            os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)
        self._run(
            "initdb", "-D", self.data, "-U", "tally", "-A", "trust", "-E", "UTF8", "--no-sync"
        )

    @property
    def data(self) -> str:
        """The folder of the cluster."""
        return str(self.folder / "data")

    @property
    def pid(self) -> int:
        """The process id of the first of its processes."""
        assert self._process is not None
        return self._process.pid

    def url(self, database: str = "postgres") -> str:
        """Return the address of a database."""
        return f"postgresql://tally@/{database}?host={self.folder}"

    def new_database(self) -> str:
        """Make an empty database, and return its address."""
        self._databases += 1
        name = f"db{self._databases}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)

    def start(self) -> None:
        """Start, and return when it answers."""
        options = [
            part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")
        ]
        log = (self.folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [
                    str(self._binaries / "postgres"),
                    "-D",
                    self.data,
                    "-k",
                    str(self.folder),
                    *options,
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._as_user(),
            )
        until = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=2).close()
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > until:
                    raise
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        """End all its processes at once, as a crash would."""
        process = self._process
        assert process is not None
        self._process = None
        os.killpg(process.pid, signal.SIGSTOP)  # no child outlives the first by a write
        os.killpg(process.pid, signal.SIGKILL)
        for pid in self._children(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait(timeout=30)
        until = time.monotonic() + 30
        while self._children(process.pid) and time.monotonic() < until:
            time.sleep(0.01)

    def stop(self) -> None:
        """End in order, and take everything away."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _children(self, session: int) -> list[int]:
        """Return the living processes whose session is the server's, by /proc."""
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = path.read_text().rpartition(")")[2].split()
                if fields[0] != "Z" and int(fields[3]) == session:
                    found.append(int(path.parent.name))
        # PostgreSQL's children make sessions of their own: they are found by their working folder.
        for path in Path("/proc").glob("[0-9]*/cwd"):
            with contextlib.suppress(OSError):
                if path.readlink() == Path(self.data):
                    found.append(int(path.parent.name))
        return found

    def _run(self, name: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._binaries / name), *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            cwd=self.folder,
            **self._as_user(),
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def _as_user(self) -> dict[str, Any]:
        if self._user is None:
            return {}
        return {
            "user": self._user.pw_uid,
            "group": self._user.pw_gid,
            "extra_groups": [],
            "env": {"PATH": os.environ.get("PATH", ""), "HOME": str(self.folder), "LC_ALL": "C"},
        }


def binaries() -> Path:
    """Return the folder with PostgreSQL's programs, or skip."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    pytest.skip("PostgreSQL is not installed: the store on it can't be tried")


def _account() -> pwd.struct_passwd | None:
    """Return who runs the server, where we are root: PostgreSQL refuses to be run by root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    pytest.skip("there is no user to run PostgreSQL as")


@contextlib.contextmanager
def running_postgres(settings: dict[str, str] | None = None) -> Iterator[PostgresServer]:
    """Run a server for as long as the block lasts."""
    server = PostgresServer(settings)
    try:
        server.start()
        yield server
    finally:
        server.stop()
