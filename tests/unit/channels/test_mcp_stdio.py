# SPDX-License-Identifier: Apache-2.0
"""A server as a child, and the pipes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from tests.command import environment

from tallystick.channels.mcp_stdio import Stdio
from tallystick.errors import SettingError

# Passes lines on as they are; ends as the server does.
PROGRAM = """
import sys
from tallystick.channels.mcp_stdio import Stdio

class Through:
    def __init__(self, stdio): self.stdio = stdio
    def from_client(self, lines): self.stdio.to_server.write(b"".join(lines))
    def from_server(self, lines): self.stdio.to_client.write(b"".join(lines))
    def refuse_overlong(self, size, digest): pass
    def note_overlong(self, size, digest): pass
    def client_gone(self): pass
    def server_gone(self, how): sys.stderr.write(how)
    def expire(self): pass

stdio = Stdio(sys.argv[1:])
sys.exit(stdio.run(Through(stdio)))
"""


def ran(*server: str, said: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *server],
        input=said,
        env=environment(),
        capture_output=True,
        timeout=30,
        check=False,
    )


def test_bytes_both_ways() -> None:
    """The server reads what is said and the client what is answered, to the last byte."""
    said = b"one\n" * 50_000 + b"no line feed"
    done = ran("cat", said=said)
    assert (done.stdout, done.returncode) == (said, 0)
    assert done.stderr == b"ended with exit code 0"


def test_how_it_ended() -> None:
    """The exit code is the server's; a signal is told as shells tell it."""
    assert ran("sh", "-c", "exit 7").returncode == 7
    done = ran("sh", "-c", "kill -9 $$")
    assert done.returncode == 137
    assert done.stderr == b"was killed by signal 9"


def test_a_child_of_the_server_that_stays() -> None:
    """One that keeps the pipe open, and says nothing, is not waited for."""
    done = ran("sh", "-c", "sleep 20 2>/dev/null & echo said")
    assert done.stdout == b"said\n"
    assert done.returncode == 0


def test_its_standard_error_is_ours() -> None:
    """What the server says there is not looked at."""
    assert b"words" in ran("sh", "-c", "echo words >&2").stderr


@pytest.mark.parametrize("command", ["/nowhere/at/all", "a\0b", os.devnull])
def test_what_can_not_be_started(command: str) -> None:
    """It is refused in one line."""
    with pytest.raises(SettingError, match="can't be started"):
        Stdio([command])


def test_a_server_that_is_ended() -> None:
    """One that still runs is killed and waited for; one that has ended is left as it is."""
    runs = Stdio(["sleep", "60"])
    runs.end()
    assert runs._server.returncode == -signal.SIGKILL
    runs.end()


@pytest.mark.parametrize("side", ["client", "server"])
def test_a_fault_of_ours(side: str) -> None:
    """It ends the session; nobody waits for ever, and nothing passes unseen."""
    broken = PROGRAM.replace(
        f"def from_{side}(self, lines): ", f"def from_{side}(self, lines): 1/0; "
    )
    assert broken != PROGRAM
    read, write = os.pipe()
    with os.fdopen(write, "wb") as said:
        started = subprocess.Popen(
            [sys.executable, "-c", broken, "cat"],
            stdin=read,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        os.close(read)
        said.write(b"one\n")
        said.flush()
        out, err = started.communicate(timeout=30)  # its input stays open
    assert out == b""
    assert b"ended" in err or b"killed" in err
