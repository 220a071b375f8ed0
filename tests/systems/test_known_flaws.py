# SPDX-License-Identifier: Apache-2.0
"""What daemons of this protocol have got wrong, asked of ours from outside: a process and a store.

Each test is a flaw that was seen in another implementation and fails there. Those that have a test
elsewhere are not repeated: no acknowledgement, lost at SIGTERM or kill -9, two daemons on a store,
descriptors, unread columns, tampered tails, older stores, many sub-chains at the end.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.command import process, tally
from tests.daemons import DaemonHome
from tests.frames import body, framed


@pytest.fixture
def home() -> Iterator[DaemonHome]:
    """A place whose path is short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="tally-"))
    yield DaemonHome(folder)
    shutil.rmtree(folder)


def verified(home: DaemonHome, *more: str) -> tuple[int, set[str]]:
    """Return exit code and deciding codes of `tally verify --store`."""
    store, key = str(home.db), str(home.public)
    answer = tally("verify", "--store", store, "--key", key, "--json", *more)
    codes = {one["code"] for one in json.loads(answer.out)["findings"]}
    return answer.code, {code for code in codes if code.isupper()}


def filled(home: DaemonHome, count: int = 3) -> None:
    """Let a daemon live, take some frames, and end."""
    with home.daemon() as daemon:
        with daemon.line() as line:
            for _ in range(count):
                assert line.ask()["ok"] is True
        assert daemon.stop() == 0


def test_nothing_is_not_valid(home: DaemonHome) -> None:
    """A chain that is not there, or today's where there is none yet, is not verified."""
    filled(home)
    assert verified(home)[0] == 0
    assert verified(home, "--chain", "1999-12-31") == (1, {"CHAIN_UNKNOWN"})


def test_stop_rotate_start(home: DaemonHome) -> None:
    """The documented way to rotate leaves every chain whole: those before it, and those after."""
    filled(home)
    for _ in range(3):
        done = subprocess.run(
            process("daemon", "rotate"), env=home.variables(), capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
        filled(home)
    assert verified(home) == (0, set())


def test_unknown_members_in_the_store(home: DaemonHome) -> None:
    """What is added to the stored bytes is seen, signed or not."""
    filled(home)
    with closing(sqlite3.connect(home.db)) as base, base:
        base.execute("DROP TRIGGER receipts_update")
        base.execute(
            "UPDATE receipts SET receipt_json = replace(receipt_json, '\"outcome\":{', "
            '\'"outcome":{"approved":true,\') WHERE sequence = 2'
        )
    code, codes = verified(home)
    assert code == 1
    assert {"FIELD_UNKNOWN", "SIGNATURE_INVALID"} <= codes


REFUSED: tuple[tuple[dict[str, Any], bytes, bytes, str], ...] = (
    # The same member in another case: which of them counts?
    (
        {},
        b'"decision":"allowed"',
        b'"decision":"denied","DECISION":"allowed"',
        "FRAME_CASE_VARIANT",
    ),
    (
        {},
        b'"decision":"allowed"',
        b'"decision":"denied","decision":"allowed"',
        "FRAME_DUPLICATE_KEY",
    ),
    # Two numbers that are one double.
    ({"input": {"n": 0}}, b'{"n":0}', b'{"n":9007199254740993}', "FRAME_NUMBER"),
    ({"tool": {"name": "x" * 300_000}}, b"", b"", "FRAME_LENGTH"),
    ({"tool": {"name": "\x1b]0;owned\x07"}}, b"", b"", "FRAME_CHARACTER"),
    ({"drop_count": -1}, b"", b"", "FRAME_VALUE"),
    ({"drop_count": 2**63 - 1}, b"", b"", "FRAME_NUMBER"),
    ({"action_type": "agent.key.rotate"}, b"", b"", "FRAME_RESERVED_TYPE"),
    ({"action_type": "agent_receipts.chain_interrupted"}, b"", b"", "FRAME_RESERVED_TYPE"),
    ({"action_type": "Agent_Receipts.events_dropped"}, b"", b"", "FRAME_RESERVED_TYPE"),
    ({"agent_id": "../b"}, b"", b"", "FRAME_VALUE"),
)


def test_what_two_readers_would_take_differently(home: DaemonHome) -> None:
    """It is refused with a name, its sender hears why, and the chain tells how many there were."""
    with home.daemon() as daemon:
        with daemon.line() as line:
            for members, before, after, code in REFUSED:
                data = body(ack=True, **members)
                assert before in data
                line.send(framed(data.replace(before, after) if before else data))
                answer = line.answer()
                assert (answer["ok"], answer["code"]) == (False, code)
            assert line.ask()["ok"] is True
        assert daemon.stop() == 0
    found: dict[str, int] = {}
    for receipt in home.check():
        dropped = receipt["issuer"].get("runtime", {}).get("tallystick", {}).get("dropped")
        for code, count in (dropped or {"reasons": {}})["reasons"].items():
            found[code] = found.get(code, 0) + count
    expected = [code for *_, code in REFUSED]
    assert found == {code: expected.count(code) for code in expected}


def test_a_dangerous_command_is_not_called_harmless(home: DaemonHome) -> None:
    """The claim stands beside what the arguments say, and the higher risk is the receipt's."""
    with home.daemon() as daemon:
        with daemon.line() as line:
            line.ask(
                tool={"name": "Bash"},
                action_type="filesystem.file.read",
                input={"command": "rm -rf /srv/data"},
            )
            line.ask(decision="denied")
            line.ask(error="no such file")
        assert daemon.stop() == 0
    first, denied, failed = home.check()[:3]
    assert first["credentialSubject"]["action"]["risk_level"] in ("high", "critical")
    # What was blocked and what failed can be told apart.
    told = [one["issuer"]["runtime"]["tallystick"]["decision"] for one in (denied, failed)]
    assert told == ["denied", "allowed"]
    assert failed["credentialSubject"]["outcome"]["error"] == "no such file"


def test_every_receipt_says_how_its_sender_is_known(home: DaemonHome) -> None:
    """A path, or why there is none: never silence. Milliseconds, and the emitter's own time."""
    filled(home)
    for receipt in home.check()[:-1]:
        facts = receipt["issuer"]["runtime"]["tallystick"]
        credential = receipt["credentialSubject"]["action"]["peer_credential"]
        assert facts["peer"]["exe_status"] in ("ok", "gone", "denied", "hidden")
        assert ("exe_path" in credential) is (facts["peer"]["exe_status"] == "ok")
        assert facts["emitted_at"] == "2026-11-21T12:00:00.123Z"
        assert receipt["issuanceDate"][-5] == "."


def test_secrets_outside_of_errors_are_not_signed(home: DaemonHome) -> None:
    """An address with a token, a PKCS#8 key in an error, a password: none is in the store."""
    pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAAA\n-----END PRIVATE KEY-----"
    with home.daemon() as daemon:
        with daemon.line() as line:
            line.ask(
                target_system="https",
                target_resource="https://example.com/?token=hunter2hunter2",
                error=f"failed: password=hunter2hunter2 {pem}",
            )
        assert daemon.stop() == 0
    home.check()
    kept = home.db.read_bytes()
    assert b"hunter2" not in kept
    assert b"MC4CAQAw" not in kept
