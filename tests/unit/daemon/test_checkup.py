# SPDX-License-Identifier: Apache-2.0
"""What the doctor finds where nothing runs; see tests/systems/test_daemon_verbs.py for the rest."""

from __future__ import annotations

import os
import socket
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from tests.ledgers import Home
from tests.privileges import unprivileged

from tallystick.daemon.checkup import Check, check_up, roundtrip
from tallystick.daemon.key_file import make_keys
from tallystick.daemon.settings import Settings, load_settings
from tallystick.model.framing import framed


@pytest.fixture
def home(tmp_path: Path) -> Home:
    tmp_path.chmod(0o700)
    return Home(tmp_path)


def settings_of(home: Home) -> Settings:
    environ = {
        "XDG_DATA_HOME": str(home.folder),
        "AGENTRECEIPTS_SOCKET": str(home.folder / "s"),
        "AGENTRECEIPTS_UNSAFE_SOCKET_PATH": "true",
        "AGENTRECEIPTS_DB": str(home.db),
        "AGENTRECEIPTS_KEY": str(home.key),
    }
    return load_settings({}, environ=environ)[0]


def found(home: Home) -> dict[str, Check]:
    return {one.name: one for one in check_up(settings_of(home))}


def states_of(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Return what would tell that a file below a folder was changed."""
    states = {path.name: path.stat() for path in folder.iterdir()}
    return {name: (one.st_mode, one.st_ctime_ns, one.st_size) for name, one in states.items()}


def test_nothing_runs(home: Home) -> None:
    """Each check says how it is by itself, and what to do."""
    checks = found(home)
    assert list(checks) == [
        "daemon",
        "socket",
        "key",
        "public_key",
        "store",
        "attestation",
        "chain",
    ]
    assert {name: one.state for name, one in checks.items()} == {
        "daemon": "fail",
        "socket": "fail",
        "key": "ok" if os.geteuid() == 0 else "warn",
        "public_key": "ok",
        "store": "warn",
        "attestation": "ok",
        "chain": "warn",
    }
    assert all(one.remedy for one in checks.values() if one.state == "fail")


@pytest.mark.parametrize("with_signer", [False, True])
def test_looking_changes_nothing(home: Home, *, with_signer: bool) -> None:
    """Not even a wrong mode: a start mends that."""
    ledger = home.open()
    ledger.commit([home.frame()])
    ledger.close()
    home.public.chmod(0o600)
    settings = settings_of(home)
    if with_signer:
        settings = msgspec.structs.replace(settings, signer=str(home.key))
    before = states_of(home.folder)
    checks = {one.name: one for one in check_up(settings)}
    assert checks["key"].state == ("ok" if with_signer or os.geteuid() == 0 else "warn")
    assert checks["public_key"].state == checks["chain"].state == "ok"
    assert states_of(home.folder) == before
    home.open().close()
    assert home.public.stat().st_mode & 0o777 == 0o644


def test_who_may_only_read_hears_of_what_is_read() -> None:
    """As the members of the readers' group: nobody needs to write to look."""
    with TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o755)
        home = Home(folder)
        ledger = home.open()
        ledger.commit([home.frame()])
        ledger.close()
        for one in (home.db, home.public):
            one.chmod(0o444)
        found(home)  # so that all of it is loaded
        with unprivileged():
            checks = found(home)
    assert "is published" in checks["public_key"].found
    assert "is sound" in checks["chain"].found


def test_a_chain_that_was_changed_is_found(home: Home) -> None:
    """The last receipt is hashed and its signature checked, not taken from its columns."""
    ledger = home.open()
    ledger.commit([home.frame()])
    ledger.close()
    assert found(home)["chain"].state == "ok"
    with sqlite3.connect(home.db) as connection:
        triggers = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
        for (name,) in triggers.fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("UPDATE receipts SET receipt_hash = 'sha256:' || printf('%064d', 0)")
    connection.close()
    assert found(home)["chain"].state == "fail"


def test_a_rotation_is_no_tampering(home: Home) -> None:
    """The newest row may be an agent's end by the outgoing key, which the next one vouches for."""
    ledger = home.open()
    ledger.commit([home.frame(), home.frame(agent_id="a7")])
    ledger.rotate()
    assert found(home)["chain"].state == "ok"
    ledger.close()
    assert found(home)["chain"].state == "ok"


def test_a_rotation_vouches_for_no_other_key(home: Home) -> None:
    """Behind a rotation the newest row is hashed and its signature checked, too."""
    ledger = home.open()
    ledger.commit([home.frame(), home.frame(agent_id="a7")])
    ledger.rotate()
    ledger.close()
    body = home.bodies()[-1]
    begin, middle, rest = body.partition('"proofValue":"u')
    forged = f"{begin}{middle}{'B' if rest[0] == 'A' else 'A'}{rest[1:]}"
    with closing(sqlite3.connect(home.db)) as connection, connection:
        connection.execute("DROP TRIGGER receipts_update")
        connection.execute(
            "UPDATE receipts SET receipt_json = ? WHERE receipt_json = ?", (forged, body)
        )
    assert "signature" in found(home)["chain"].found


@pytest.mark.parametrize("step", ["committed", "installed"])
def test_a_rotation_that_is_not_finished_is_told_as_such(home: Home, step: str) -> None:
    """The published key has signed which one follows: nothing is wrong that a start won't mend."""
    home.die_at(step)
    check = found(home)["chain"]
    assert check.state == "warn"
    assert "a rotation is not finished" in check.found
    assert "start the daemon" in check.remedy
    assert (f"{home.key}.next" in check.remedy) is (step == "committed")
    with sqlite3.connect(f"file:{home.db}?mode=ro", uri=True) as connection:
        ((named,),) = connection.execute(
            "SELECT receipt_json ->> '$.credentialSubject.keyRotation.new_key_fingerprint'"
            " FROM receipts WHERE action_type = 'agent.key.rotate'"
        )
    connection.close()
    assert named in check.found
    home.open().close()
    assert found(home)["chain"].state == "ok"


def test_a_signer_that_is_to_be_published_is_no_other_key(home: Home) -> None:
    """Settings that name it already, before the start that publishes it, are as they should be."""
    before = home.public.read_bytes()
    ledger = home.open()
    ledger.commit([home.frame()])
    ledger.rotate()
    ledger.close()
    home.public.write_bytes(before)
    settings = msgspec.structs.replace(settings_of(home), signer=str(home.key), key="")
    checks = {one.name: one for one in check_up(settings)}
    assert checks["key"].state == "ok"
    assert "where its settings lead to it" in checks["chain"].remedy
    other = home.folder / "other.key"
    make_keys(other, f"{other}.pub")
    settings = msgspec.structs.replace(settings, signer=str(other))
    assert {one.name: one.state for one in check_up(settings)}["key"] == "fail"


@pytest.mark.parametrize("what", ["hand-over", "end"])
def test_a_rotation_that_a_key_has_not_signed_is_tampering(home: Home, what: str) -> None:
    """Only what both keys have signed is a rotation that waits for a start."""
    home.die_at("committed")
    at_end = "terminal = 1 AND chain_id NOT LIKE '%/agent/%'"
    which = "action_type = 'agent.key.rotate'" if what == "hand-over" else at_end
    with closing(sqlite3.connect(home.db)) as connection, connection:
        connection.execute("DROP TRIGGER receipts_update")
        ((body,),) = connection.execute(f"SELECT receipt_json FROM receipts WHERE {which}")
        begin, middle, rest = body.partition('"proofValue":"u')
        forged = f"{begin}{middle}{'B' if rest[0] == 'A' else 'A'}{rest[1:]}"
        connection.execute(f"UPDATE receipts SET receipt_json = ? WHERE {which}", (forged,))
    check = found(home)["chain"]
    assert check.state == "fail"
    assert "signature" in check.found


def test_a_link_in_the_place_of_the_key_is_no_key(home: Home) -> None:
    """Only a plain file that nobody else reads is well."""
    moved = home.folder / "moved"
    home.key.rename(moved)
    home.key.symlink_to(moved)
    assert found(home)["key"].state == "fail"
    home.key.unlink()
    assert found(home)["key"].remedy == "`tally daemon init`"


def test_a_signer_that_can_not_be_asked_is_found(home: Home) -> None:
    """Where no daemon runs that could have asked it, it is what is wrong."""
    environ = {
        "XDG_DATA_HOME": str(home.folder),
        "AGENTRECEIPTS_SOCKET": str(home.folder / "s"),
        "AGENTRECEIPTS_UNSAFE_SOCKET_PATH": "true",
        "TALLY_SIGNER": "pkcs11:token=t;object=k?module-path=/nowhere.so",
    }
    checks = {one.name: one for one in check_up(load_settings({}, environ=environ)[0])}
    assert checks["key"].state == "fail"
    assert checks["key"].remedy


def test_a_roundtrip_needs_a_daemon(home: Home) -> None:
    """Without one it says so."""
    assert roundtrip(settings_of(home), "2026-11-21T12:00:00Z", "s").state == "fail"


def found_where_it_answers(home: Home, answer: dict[str, object]) -> dict[str, Check]:
    """Return what is found where something answers so for a daemon."""
    path = home.folder / "status.sock"

    def serve() -> None:
        accepted, _ = listener.accept()
        with accepted:
            accepted.recv(4096)
            accepted.sendall(framed(msgspec.json.encode(answer)))

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        checks = found(home)
        thread.join()
    return checks


@pytest.mark.parametrize(
    ("behind", "state"), [(60_000, "ok"), (86_400_000, "warn"), ("1", "ok"), (None, "ok")]
)
def test_a_clock_that_was_ahead_is_told(home: Home, behind: object, state: str) -> None:
    """Receipts bear a moment that is still to come, and nobody else would say so."""
    settings = settings_of(home)
    ledger = {"clock_behind_ms": behind} if behind is not None else "none"
    answer = {"pid": 1, "uptime_s": 1, "socket": settings.socket, "ledger": ledger}
    check = found_where_it_answers(home, answer)["daemon"]
    assert check.state == state
    assert ("86400 s behind its last receipt" in check.found) is (state == "warn")


@pytest.mark.parametrize("answer", [{"ok": True}, {"ok": False}, {"pid": "1", "uptime_s": 1}])
def test_what_answers_may_be_no_daemon(home: Home, answer: dict[str, object]) -> None:
    """It says so, and looks on."""
    checks = found_where_it_answers(home, answer)
    assert checks["daemon"].state == "fail"
    assert "no daemon of ours" in checks["daemon"].found
    assert "chain" in checks
