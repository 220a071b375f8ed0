# SPDX-License-Identifier: Apache-2.0
"""`tally daemon run` where users have it: key, store and socket at their default places."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.command import environment, process, tally

from tallystick.daemon.key_file import make_keys


class RunningDaemon:
    """A daemon in a folder whose path is short enough for a socket."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = str(folder / "agentreceipts" / "events.sock")
        self.store = str(folder / "agent-receipts" / "receipts.db")
        self.key = folder / "agent-receipts" / "signing.key"
        self.key.parent.mkdir(mode=0o750)
        make_keys(self.key, f"{self.key}.pub")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return when it listens."""
        more = {"XDG_RUNTIME_DIR": str(self.folder), "XDG_DATA_HOME": str(self.folder)}
        self._process = subprocess.Popen(
            process("daemon", "run"), env=environment(**more), stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        assert b"listening" in self._process.stdout.readline()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, and return the exit code that came of it."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.communicate(timeout=30)
        return self._process.returncode

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, and go on."""
        assert self._process is not None
        self._process.send_signal(number)

    def verify(self) -> str:
        """Verify the whole store under the published key; return what was told."""
        answer = tally("verify", "--store", self.store, "--key", f"{self.key}.pub")
        assert answer.code == 0, answer.out + answer.err
        return answer.out

    def close(self) -> None:
        """Leave no process behind."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


@contextmanager
def daemon_home(mode: int = 0o700) -> Iterator[RunningDaemon]:
    """Yield a daemon that is not started yet; nothing of it is left behind."""
    folder = Path(tempfile.mkdtemp(prefix="tally-"))
    folder.chmod(mode)
    one = RunningDaemon(folder)
    try:
        yield one
    finally:
        one.close()
        shutil.rmtree(folder)
