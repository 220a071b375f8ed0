# SPDX-License-Identifier: Apache-2.0
"""The verbs around a daemon that runs: status, rotate, doctor, and the commands on its socket."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.daemons import DaemonHome, is_root, python, wait_until
from tests.frames import body, framed

from tallystick.crypto.ed25519 import public_key_from
from tallystick.daemon.figures import FIGURES
from tallystick.daemon.publishing import archived, published
from tallystick.daemon.status import ask_daemon
from tallystick.verify.trust import fingerprint_of


@pytest.fixture
def home(tmp_path: Path) -> DaemonHome:
    return DaemonHome(tmp_path / "home")


def verb(home: DaemonHome, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "tallystick", "daemon", *arguments],
        env=home.variables(), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def names_in(status: dict[str, Any], before: str = "") -> Iterator[str]:
    """Yield the names of the status, with dots between those of objects within objects."""
    for name, value in status.items():
        if isinstance(value, dict) and value:
            yield from names_in(value, f"{before}{name}.")
        elif name != "ok":
            yield before + name


def table_name(name: str) -> str:
    """Return how the reference calls a line of the status: some stand for several."""
    several = {"rejected": "CODE", "undisclosed": "REASON", "commit.recent_us": "PART"}
    for group, part in several.items():
        if name == group or name.startswith(f"{group}."):
            return f"{group}.{part}"
    return name


def test_status_tells_how_it_is(home: DaemonHome) -> None:
    """Uptime, chains, queue, commits, rejects: true numbers, and nothing of what is stored."""
    with home.daemon() as daemon:
        with daemon.line() as line:
            before = time.time()
            line.ask(session_id="very-secret-session", agent_id="a")
            line.ask(agent_id="b")
            line.ask(decision="perhaps")
            after = time.time()
            code, out, _ = verb(home, "status", "--json")
        status = json.loads(out)
        assert code == 0
        assert status["pid"] == daemon.pid
        started = datetime.fromisoformat(status["started"]).timestamp()
        assert 0 <= status["uptime_s"] <= time.time() - started + 1
        assert status["chains"] == {"open": 3, "roots": 1, "agents": 2}
        root, sequence, digest = home.rows(
            "chain_id, sequence, receipt_hash", "chain_id NOT LIKE '%/agent/%'"
        )[-1]
        told = status["ledger"]
        assert (told["root"], told["sequence"], told["hash"]) == (root, sequence, digest)
        assert told["receipts"] == len(home.rows())
        assert status["key"] == {
            "fingerprint": fingerprint_of(public_key_from(home.public.read_bytes()))
        }
        assert status["commit"]["count"] == 2
        latency = status["commit"]["recent_us"]
        assert 0 < latency["p50"] <= latency["p99"] <= latency["max"] < (after - before) * 1e6
        synced = datetime.fromisoformat(status["commit"]["last_fsync"]).timestamp()
        assert before - 0.001 <= synced <= after
        assert status["rejected"] == {"FRAME_VALUE": 1}
        assert (status["queue"]["frames"], status["queue"]["signer_is_away"]) == (0, False)
        assert status["fault"] is None
        assert "very-secret" not in out
        assert {table_name(one) for one in names_in(status)} == {one.name for one in FIGURES}
        code, out, _ = verb(home, "status")
        assert code == 0
        for name in ("uptime_s", "chains.open", "queue.frames", "rejected.FRAME_VALUE"):
            assert name in out
        assert ["queue.signer_is_away", "false"] in [one.split() for one in out.splitlines()]
        assert daemon.stop() == 0
    assert verb(home, "status")[0] == 3


def test_a_queue_is_told_while_it_is_there(home: DaemonHome) -> None:
    """Where the disk hangs, status still answers, and says what waits and for how long."""
    with home.daemon() as daemon, daemon.line() as line:
        line.ask()
        with closing(sqlite3.connect(home.db, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # as a disk that does not come back for a while
            line.send(framed(body(ack=True)))
            # The first frame's sender has its answer a moment before it is taken off the books.
            wait_until(lambda: daemon.status()["queue"]["frames"] == 1)
            wait_until(lambda: daemon.status()["queue"]["commit_running_ms"] > 0)
            other.execute("ROLLBACK")
        assert line.answer()["ok"] is True
        wait_until(lambda: daemon.status()["queue"]["frames"] == 0)  # a moment after the answer


def test_rotation_while_it_runs(home: DaemonHome) -> None:
    """Frames go on before and after; all chains verify under the keys that were published."""
    before = home.public.read_bytes()
    with home.daemon() as daemon, daemon.line() as line:
        assert line.ask()["sequence"] == 1
        # Who asks may have settings of another daemon: what counts is where this one publishes.
        code, out, err = verb(home, "rotate", "--public-key", "/elsewhere.pub")
        assert code == 0, err
        assert out.endswith(f"published in {home.public}\n")
        answer = line.ask()
        assert answer["ok"] is True
        assert daemon.stop() == 0
    assert home.public.read_bytes() != before
    assert len(archived(home.public)) == 1
    assert "incoming" in out
    home.check()


def test_rotation_while_nobody_runs(home: DaemonHome) -> None:
    """The same without a daemon; the next one signs with the new key."""
    with home.daemon() as daemon:
        with daemon.line() as line:
            line.ask()
        assert daemon.stop() == 0
    old = published(home.public)
    code, _, err = verb(home, "rotate")
    assert code == 0, err
    assert published(home.public) != old
    with home.daemon() as daemon:
        with daemon.line() as line:
            assert line.ask()["ok"] is True
        assert daemon.stop() == 0
    home.check()


@pytest.mark.skipif(not is_root(), reason="becoming another user needs root")
def test_only_its_own_user_may_command(home: DaemonHome, tmp_path: Path) -> None:
    """Another user may ask for the status, and is refused a rotation."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.is_relative_to("/tmp/pytest-of-root"):
            folder.chmod(folder.stat().st_mode | 0o011)
    home.folder.chmod(0o711)
    program = """
import os, sys, json
from tallystick.daemon.status import ask_daemon
os.setgroups([]); os.setgid(54321); os.setuid(54321)
print(json.dumps([ask_daemon(sys.argv[1], one) for one in ("status", "rotate", "reload", "x")]))
"""
    with home.daemon(TALLY_EMIT_GROUP="54321") as daemon:
        done = python(program, home.status, stdout=subprocess.PIPE, env=home.variables())
        out, _ = done.communicate(timeout=60)
        status, rotate, reload, other = json.loads(out)
        assert status["pid"] == daemon.pid
        assert rotate["code"] == reload["code"] == "NOT_ALLOWED"
        assert other["code"] == "NOT_KNOWN"
        assert not archived(home.public)


def test_a_reload_says_what_it_took(home: DaemonHome) -> None:
    """The command is SIGHUP with an answer."""
    config = home.folder / "agent-receipts" / "daemon.toml"
    config.parent.mkdir()
    config.write_text("")
    with home.daemon():
        config.write_text("log_level = 'debug'\ndb = '/elsewhere.db'\n")
        answer = ask_daemon(home.status, "reload")
        # The variable beats the file.
        assert answer == {"ok": True, "taken": ["log_level"], "needs_start": []}
        config.write_text("x = 1\n")
        assert ask_daemon(home.status, "reload")["ok"] is False


def checks(out: str) -> dict[str, Any]:
    return {one["name"]: one["state"] for one in json.loads(out)["checks"]}


def test_the_doctor_leaves_nothing_behind(home: DaemonHome) -> None:
    """All checks on a healthy daemon, and no receipt; one only where it is asked for."""
    with home.daemon() as daemon:
        with daemon.line() as line:
            line.ask()
        code, out, err = verb(home, "doctor", "--json")
        assert code == 0, out + err
        assert set(checks(out).values()) <= {"ok", "warn"}
        assert checks(out)["chain"] == checks(out)["daemon"] == "ok"
        assert len(home.rows()) == 1
        code, out, _ = verb(home, "doctor", "--json", "--roundtrip")
        assert (code, checks(out)["roundtrip"]) == (0, "ok")
        assert len(home.rows()) == 2
        home.key.chmod(0o644)
        home.db.chmod(0o666)
        code, out, err = verb(home, "doctor", "--json")
        assert code == 1
        assert (checks(out)["key"], checks(out)["store"]) == ("fail", "fail")
        assert "key, store" in err
        home.key.chmod(0o600)
        assert daemon.stop() == 0
    code, out, _ = verb(home, "doctor", "--json")
    assert (code, checks(out)["daemon"]) == (1, "fail")


@pytest.mark.skipif(not is_root(), reason="becoming another user needs root")
@pytest.mark.parametrize(("is_member", "code"), [(True, 0), (False, 1)])
def test_the_doctor_of_an_emitter(
    home: DaemonHome, tmp_path: Path, is_member: bool, code: int
) -> None:
    """What an emitter can't reach is as it should be; a socket that it can't reach is not."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.is_relative_to("/tmp/pytest-of-root"):
            folder.chmod(folder.stat().st_mode | 0o011)
    state = home.folder / "state"
    state.mkdir(mode=0o700)
    home.db, moved = state / "receipts.db", state / "signing.key"
    home.key.rename(moved)
    home.key = moved
    program = """
import json, os, sys
from tallystick.daemon.checkup import check_up
from tallystick.daemon.settings import load_settings
os.setgroups([]); os.setgid(int(sys.argv[1])); os.setuid(54321)
checks = list(check_up(load_settings({"unsafe_socket_path": True})[0]))
print(json.dumps({one.name: [one.state, one.found, one.remedy] for one in checks}))
"""
    with home.daemon(TALLY_EMIT_GROUP="54321") as daemon, daemon.line() as line:
        line.ask()
        home.folder.chmod(0o711)
        group = "54321" if is_member else "54322"
        done = python(program, group, stdout=subprocess.PIPE, env=home.variables())
        seen = json.loads(done.communicate(timeout=60)[0])
        failed = [name for name, (state, _, _) in seen.items() if state == "fail"]
        assert failed == ([] if code == 0 else ["daemon", "socket"]), seen
        assert all("group" in seen[name][2] for name in failed)
        assert {"out of this user" in seen[one][1] for one in ("key", "store", "chain")} == {True}


def test_the_socket_that_went_away_is_told(home: DaemonHome) -> None:
    """Who takes the path away is noticed: in the log and in the status."""
    with home.daemon() as daemon:
        Path(home.socket).unlink()
        assert daemon.status()["socket_in_place"] is False
        wait_until(lambda: "socket_gone" in daemon.logged())
