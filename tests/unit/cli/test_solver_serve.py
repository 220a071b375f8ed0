# SPDX-License-Identifier: Apache-2.0
"""`tally solver serve`, as a process: it says where it listens, and ends as told."""

from __future__ import annotations

import http.client
import signal
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from tests.command import environment, process, tally
from tests.solving import body, configured


def test_it_serves_until_it_is_told(tmp_path: Path) -> None:
    """An intent that was acknowledged has its bundle when SIGTERM has ended the service."""
    home = configured(tmp_path)
    server = subprocess.Popen(
        process("solver", "serve", "--home", str(home), "--addr", "127.0.0.1:0"),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    url = urlsplit(server.stdout.readline().removeprefix("listening on ").strip())
    connection = http.client.HTTPConnection(url.hostname or "", url.port or 0, timeout=30)
    given = body(expiresAt="2999-01-01T00:00:00Z")
    connection.request("POST", "/intents", given, {"Content-Type": "application/json"})
    assert connection.getresponse().status == 202
    connection.close()
    server.send_signal(signal.SIGTERM)
    _, told = server.communicate(timeout=60)
    assert server.returncode == 0, told
    assert '"event":"ready"' in told
    shown = tally("solver", "list", "--home", str(home)).out
    waiting = list((home / "queue").iterdir())
    assert ("SUCCESS" in shown) is not bool(waiting)


def test_an_open_door_is_refused(tmp_path: Path) -> None:
    """An address that others reach, without a credential, is a contradiction: 2."""
    done = tally("solver", "serve", "--home", str(configured(tmp_path)), "--addr", "0.0.0.0:0")
    assert done.code == 2
    assert "no credential" in done.err
