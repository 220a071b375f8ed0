# SPDX-License-Identifier: Apache-2.0
"""Who may read the store verifies it alone: another user, daemon up, stopped or killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.privileges import tally_as
from tests.running_daemon import RunningDaemon, daemon_home
from tests.stored import fill

from tallystick import DaemonEmitter

READER, STRANGER, GROUP = 61_001, 61_002, 61_003

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a process as another user"),
    pytest.mark.skipif(sys.platform != "linux", reason="users and groups as Linux has them"),
]


@pytest.fixture
def daemon() -> Iterator[RunningDaemon]:
    """Yield a daemon whose store hands its group on to what is made in it, as tmpfiles.d does."""
    with daemon_home(0o755) as one:
        os.chown(one.key.parent, -1, GROUP)
        one.key.parent.chmod(0o2750)
        yield one


def verify_as(user: int, daemon: RunningDaemon, *groups: int) -> tuple[int, str]:
    """Verify as another user; the public key comes from elsewhere, as it should."""
    key = daemon.folder / "published.pub"
    key.write_bytes(Path(f"{daemon.key}.pub").read_bytes())
    key.chmod(0o644)
    warm = daemon.folder / "warm"
    if not warm.exists():
        fill(warm)
    done = tally_as(
        user,
        groups,
        ("verify", "--store", daemon.store, "--key", key),
        before=("verify", "--store", warm / "receipts.db", "--key", warm / "signing.key.pub"),
        home=daemon.folder,
    )
    return done.returncode, done.stdout + done.stderr


def listing(daemon: RunningDaemon) -> dict[str, tuple[int, int]]:
    """Return mode and size of each file beside the store."""
    return {
        one.name: (one.stat().st_mode & 0o7777, one.stat().st_size)
        for one in daemon.key.parent.iterdir()
    }


@pytest.mark.parametrize("state", ["up", "stopped", "killed"])
def test_the_readers_group_verifies(daemon: RunningDaemon, state: str) -> None:
    """Whatever the daemon does, a member verifies all of it, and changes nothing."""
    daemon.start()
    with DaemonEmitter(socket_path=daemon.socket) as e:
        for _ in range(3):
            e.emit("a", ack=True)
    if state != "up":
        daemon.end(signal.SIGKILL if state == "killed" else signal.SIGTERM)
    before = listing(daemon)
    assert before["receipts.db"][0] == 0o640
    code, text = verify_as(READER, daemon, GROUP)
    assert code == 0, text
    assert f"verified: {4 if state == 'stopped' else 3} receipts" in text
    assert listing(daemon) == before
    if state == "up":
        daemon.end()


def test_others_read_nothing(daemon: RunningDaemon) -> None:
    """Without the group there is no store to be seen, and no verdict."""
    daemon.start()
    with DaemonEmitter(socket_path=daemon.socket) as e:
        e.emit("a", ack=True)
    assert verify_as(STRANGER, daemon)[0] == 3
    daemon.end()
    assert verify_as(STRANGER, daemon)[0] == 3


def test_the_key_is_the_daemons_alone(daemon: RunningDaemon) -> None:
    """Readers of the store can read neither the key nor the file of heads."""
    daemon.start()
    daemon.end()
    for name in ("signing.key", "signing.key.heads"):
        path = daemon.key.parent / name
        assert path.stat().st_mode & 0o077 == 0
        done = subprocess.run(
            ["cat", str(path)],
            user=READER,
            group=READER,
            extra_groups=[GROUP],
            capture_output=True,
            check=False,
        )
        assert done.returncode != 0
