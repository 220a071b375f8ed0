# SPDX-License-Identifier: Apache-2.0
"""A real daemon as a process: started, spoken to, ended or killed, and then looked at."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Self

from tests.command import environment, process
from tests.frames import Line

from tallystick.daemon.key_file import make_keys
from tallystick.daemon.publishing import archived
from tallystick.daemon.status import ask_daemon
from tallystick.verify.report import Report
from tallystick.verify.source import Source
from tallystick.verify.verification import verify_input

# A busy machine may take its time.
PATIENCE_S = 60.0


class DaemonHome:
    """A folder with key, store and socket, in which daemons live one after the other."""

    def __init__(self, folder: Path, *, with_key: bool = True) -> None:
        self.folder = folder
        folder.mkdir(mode=0o750, exist_ok=True)
        self.db = folder / "receipts.db"
        self.key = folder / "signing.key"
        self.public = folder / "signing.key.pub"
        self.run = folder / "run"
        self.socket = str(self.run / "events.sock")
        self.status = str(self.run / "status.sock")
        if with_key:
            make_keys(self.key, self.public)

    def variables(self, **more: str) -> Mapping[str, str]:
        """Return the environment of a daemon that lives here."""
        given = {
            "AGENTRECEIPTS_SOCKET": self.socket,
            "AGENTRECEIPTS_DB": str(self.db),
            "AGENTRECEIPTS_KEY": str(self.key),
            "AGENTRECEIPTS_UNSAFE_SOCKET_PATH": "true",
            "XDG_DATA_HOME": str(self.folder),
            "TALLY_LOG_FORMAT": "text",
        }
        return environment(**{**given, **more})

    @contextmanager
    def daemon(self, *arguments: str, **more: Any) -> Iterator[DaemonProcess]:
        """Run a daemon for as long as the block lasts."""
        with DaemonProcess(self, *arguments, **more) as one:
            yield one

    def rows(self, columns: str = "chain_id, sequence", where: str = "1") -> list[tuple[Any, ...]]:
        """Return what the store holds, in the order of writing."""
        with closing(sqlite3.connect(f"file:{self.db}?mode=ro", uri=True)) as connection:
            statement = f"SELECT {columns} FROM receipts WHERE {where} ORDER BY rowid"
            return connection.execute(statement).fetchall()

    def receipts(self, where: str = "1") -> list[dict[str, Any]]:
        """Return receipts as they were parsed."""
        return [json.loads(one) for (one,) in self.rows("receipt_json", where)]

    def report(self) -> Report:
        """Return what the verifier says of all chains, with the published keys, oldest first."""
        text = "".join(f"{one}\n" for (one,) in self.rows("receipt_json"))
        keys = [self.public.read_text(), *archived(self.public)]
        return verify_input([Source(text.encode(), form="lines")], keys)

    def check(self) -> list[dict[str, Any]]:
        """Fail unless all chains verify; return all receipts."""
        report = self.report()
        assert report.verdict.value == "verified", report.to_dict()
        return self.receipts()


class DaemonProcess:
    """One `tally daemon run`."""

    def __init__(
        self,
        home: DaemonHome,
        *arguments: str,
        before: Sequence[str] = (),
        waits: bool = True,
        **variables: str,
    ) -> None:
        self.home = home
        self.log = home.folder / f"log{time.monotonic_ns()}"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*before, *process("daemon", "run", *arguments)],
                env=home.variables(**variables),
                stdout=subprocess.PIPE,
                stderr=log,
            )
        if waits:
            self.wait_ready()

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    def wait_ready(self) -> Self:
        """Return when it says that it listens."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith(b"listening on "), (line, self.logged())
        return self

    def line(self) -> Line:
        """Connect to it."""
        return Line(self.home.socket, wait_s=PATIENCE_S)

    def status(self) -> dict[str, Any]:
        """Ask how it is."""
        return ask_daemon(self.home.status, "status", wait_s=PATIENCE_S)

    def logged(self) -> str:
        """Return what it has written to standard error."""
        return self.log.read_text(encoding="utf-8")

    def signal(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def ended(self) -> int:
        """Wait for its end, and return its exit code."""
        code = self.process.wait(PATIENCE_S)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code

    def stop(self) -> int:
        """End it as a service manager does, and return its exit code."""
        self.signal(signal.SIGTERM)
        return self.ended()

    def kill(self) -> None:
        """Kill it."""
        self.process.kill()
        self.ended()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.ended()


def wait_until(holds: Any, within_s: float = PATIENCE_S) -> None:
    """Wait until something holds; fail when it does not."""
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, "what was waited for did not happen"
        time.sleep(0.005)


def python(program: str, *arguments: str, **more: Any) -> subprocess.Popen[bytes]:
    """Run a Python program as a process of its own."""
    return subprocess.Popen([sys.executable, "-c", program, *arguments], **more)


def is_root() -> bool:
    """Whether this process may become other users."""
    return os.geteuid() == 0
