# SPDX-License-Identifier: Apache-2.0
"""`tally daemon backup` of a store at rest; tests/systems/test_daemon_backup.py has the rest."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from tests.command import environment, tally
from tests.ledgers import DAY_MS, Home
from tests.material import PUBLIC, Members, chain_of, hash_of, lines, wire
from tests.stored import fill
from tests.terminals import is_gone, watched

from tallystick.crypto.ed25519 import KeyPair, public_key_pem
from tallystick.keys.local import generate_key_pair
from tallystick.model.receipt import split_canonical
from tallystick.store.ledger import row_of

_INSERT = (
    "INSERT INTO receipts (id, chain_id, sequence, action_type, tool_name, risk_level, status, "
    "timestamp, issuer_id, principal_id, receipt_json, receipt_hash, previous_receipt_hash, "
    "session_id, terminal) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A store in `home`, below the current directory, with nothing else there."""
    (tmp_path / "bare").mkdir()
    monkeypatch.chdir(tmp_path / "bare")
    return fill(Path("home"))


def test_it_says_what_it_made(home: Home) -> None:
    """Two lines; the folder has the modes that were promised, and verifies by itself."""
    answer = tally("daemon", "backup", "b", "--store", "home/receipts.db")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == (
        "b  receipts.db, signing.key.pub, receipts.proof\nverified: 8 receipts, 2 chains\n"
    )
    assert stat.S_IMODE(Path("b").stat().st_mode) == 0o750
    assert sorted(os.listdir()) == ["b", "home"]
    verified = tally(
        "verify", "--store", "b/receipts.db", "--key", "b/signing.key.pub",
        "--proof", "b/receipts.proof",
    )  # fmt: skip
    assert verified.code == 0
    again = tally("daemon", "backup", "c", "--store", "b/receipts.db")
    assert again.code == 0  # a backup is a store


def test_nothing_is_replaced(home: Home) -> None:
    """Whatever is there, with exit code 2, and before anything is read."""
    Path("empty").mkdir()
    for name in ("empty", "home/receipts.db", ""):
        answer = tally("daemon", "backup", name, "--store", "home/receipts.db")
        assert answer.code == 2
    assert "home/receipts.db already exists" in tally(
        "daemon", "backup", "home/receipts.db", "--store", "home/receipts.db"
    ).err  # fmt: skip
    assert tally("daemon", "backup", "-", "--store", "home/receipts.db").code == 2
    assert os.listdir("empty") == []


def test_a_store_without_receipts(tmp_path: Path) -> None:
    """Nothing is verified by it; whoever backs up hears what it can mean, and what to do."""
    home = Home(tmp_path)
    home.open().close()
    answer = tally("daemon", "backup", str(tmp_path / "b"), "--store", str(home.db))
    assert answer.code == 3
    assert answer.err == (
        f"tally: {tmp_path}/b is kept, but is not verified: {home.db} holds no receipt yet. If "
        "agents have been recorded, it is another store: check --store and AGENTRECEIPTS_DB. Else "
        "make another backup when they have\n"
    )
    assert (tmp_path / "b" / "receipts.db").exists()


def test_whose_signatures_count(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is published beside the store, where the environment says, or what is given."""
    home.public.rename("moved.pub")
    arguments = ("--store", "home/receipts.db")
    answer = tally("daemon", "backup", "b", *arguments)
    assert answer.code == 2
    assert "home/signing.key.pub: give the daemon's public key with --key" in answer.err
    assert tally("daemon", "backup", "b", *arguments, "--key", "nowhere.pub").code == 2
    assert tally("daemon", "backup", "b", *arguments, "--key", "home/signing.key").code == 2
    assert not Path("b").exists()
    assert tally("daemon", "backup", "b", *arguments, "--key", "moved.pub").code == 0
    assert Path("b/signing.key.pub").read_bytes() == Path("moved.pub").read_bytes()
    monkeypatch.setenv("AGENTRECEIPTS_PUBLIC_KEY", "moved.pub")
    assert tally("daemon", "backup", "c", *arguments).code == 0
    key, issuer = Path("moved.pub").read_text(), "did:agent-receipts-daemon:local"
    trust = f"[[issuer]]\nid = '{issuer}'\n[[issuer.key]]\nkey = '''{key}'''\n"
    Path("trust.toml").write_text(trust)
    assert tally("daemon", "backup", "d", *arguments, "--trust", "trust.toml").code == 0
    Path("trust.toml").write_text(trust.replace("local", "other"))
    # Who says whose signatures count is not overruled by what lies beside the store.
    assert tally("daemon", "backup", "e", *arguments, "--trust", "trust.toml").code != 0


def test_after_rotations_the_newest_key_is_enough(home: Home) -> None:
    """From beside the store, and from elsewhere with nothing beside it."""
    ledger = home.open()
    ledger.commit([home.frame()])
    ledger.rotate()
    ledger.rotate()
    ledger.close()
    Path("elsewhere.pub").write_bytes(home.public.read_bytes())
    for name, more in (("b", ()), ("c", ("--key", "elsewhere.pub"))):
        answer = tally("daemon", "backup", name, "--store", "home/receipts.db", *more)
        assert answer.code == 0, answer.out + answer.err
        assert "2 earlier keys" in answer.out
        verify = ("verify", "--store", f"{name}/receipts.db", "--key", f"{name}/signing.key.pub")
        assert tally(*verify).code == 0


def put_into(db: Path, receipts: list[Members]) -> None:
    """Write a chain into a store, with columns that say what its receipts say."""
    with closing(sqlite3.connect(db)) as connection, connection:
        for one in receipts:
            body = wire(one)
            found = split_canonical(body)
            assert found is not None
            connection.execute(_INSERT, row_of(found[0], body.decode(), hash_of(one)))


@pytest.mark.parametrize("place", ["in the store", "beside it"])
def test_its_own_proof_speaks_for_no_chain(home: Home, place: str) -> None:
    """A chain of an earlier key that no later one speaks of is refused, as `tally verify` does."""
    stolen = KeyPair.from_private_pem(home.key.read_text())
    forged = chain_of(2, key=stolen, chain_id="forged")
    home.now_ms += 99 * DAY_MS  # they are dated before the hand-over
    ledger = home.open()
    ledger.commit([home.frame()])
    ledger.rotate()
    ledger.close()
    if place == "in the store":
        put_into(home.db, forged)
    else:
        Path("run.jsonl").write_bytes(lines(forged))
        assert tally("import-chain", "run.jsonl", "--store", "home/receipts.db").code == 0
    key = ("--key", "home/signing.key.pub")
    plain = tally("verify", "--store", "home/receipts.db", *key)
    made = tally("daemon", "backup", "b", "--store", "home/receipts.db")
    proven = tally("verify", "--store", "b/receipts.db", *key, "--proof", "b/receipts.proof")
    for answer in (plain, made, proven):
        assert answer.code == 1
        assert "no later chain speaks of it" in answer.out


def test_imported_chains_need_their_keys(home: Home) -> None:
    """Copied in any case; verified under what is given, and named as they are in the backup."""
    Path("run.jsonl").write_bytes(lines(chain_of(3)))
    assert tally("import-chain", "run.jsonl", "--store", "home/receipts.db").code == 0
    arguments = ("--store", "home/receipts.db")
    answer = tally("daemon", "backup", "b", *arguments)
    assert answer.code == 1
    assert "b/receipts.db.imported/" in answer.out
    assert ".tmp" not in answer.out + answer.err
    Path("agent.pub").write_text(public_key_pem(PUBLIC))
    keys = ("--key", "home/signing.key.pub", "--key", "agent.pub")
    answer = tally("daemon", "backup", "c", *arguments, *keys)
    assert (answer.code, answer.err) == (0, "")
    assert "receipts.db, 1 imported chain," in answer.out
    assert len(list(Path("b/receipts.db.imported").iterdir())) == 1


def tamper(home: Home, statement: str) -> None:
    with closing(sqlite3.connect(home.db)) as connection, connection:
        triggers = "SELECT name FROM sqlite_schema WHERE type = 'trigger'"
        for (name,) in connection.execute(triggers).fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(statement)


@pytest.mark.parametrize(
    ("statement", "code", "how"),
    [
        ("UPDATE receipts SET receipt_json = replace(receipt_json, 'Bash', 'Dash')", 1, "refused"),
        ("UPDATE receipts SET risk_level = 'low' WHERE rowid = 2", 1, "STORE_COLUMN"),
        ("DELETE FROM receipts WHERE rowid = 3", 1, "refused"),
        ("UPDATE receipts SET chain_id = CAST(x'ff' AS TEXT) WHERE rowid = 2", 3, "no proof"),
        ("DELETE FROM receipts", 3, "NOTHING_TO_VERIFY"),
    ],
)
def test_what_does_not_verify_is_kept(home: Home, statement: str, code: int, how: str) -> None:
    """It is evidence: the copy is there, the verdict is told, and the exit code is its."""
    tamper(home, statement)
    answer = tally("daemon", "backup", "b", "--store", "home/receipts.db")
    assert answer.code == code, answer.out + answer.err
    assert how in answer.out
    assert answer.err.startswith("tally: b is kept, but ")
    assert ".tmp" not in answer.out + answer.err
    verified = tally("verify", "--store", "b/receipts.db", "--key", "b/signing.key.pub")
    assert verified.code == code


def test_what_is_no_store_leaves_nothing(home: Home) -> None:
    """Neither do a disk that takes no more, a place that can't be written, and a missing store."""
    Path("garbage").write_bytes(b"garbage" * 999)
    key = ("--key", str(home.public))
    for store, directory, code, line in (
        ("garbage", "b", 1, "garbage is no ledger"),
        ("nowhere", "b", 3, "nowhere does not exist"),
        ("home/receipts.db", "no/b", 3, "no/b could not be written: No such file or directory"),
    ):
        answer = tally("daemon", "backup", directory, "--store", store, *key)
        assert (answer.code, answer.out) == (code, "")
        assert line in answer.err
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9000, hard))
    try:
        answer = tally("daemon", "backup", "b", "--store", "home/receipts.db")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert answer.code == 3
    assert answer.err == "tally: b/receipts.db could not be written: File too large\n"
    assert sorted(os.listdir()) == ["garbage", "home"]


# Sends itself a signal where work is long: between two portions of the copy, or while it verifies.
_SIGNALLED = """
import os, sys
from tallystick.cli import verification
from tallystick.cli.main import main
from tallystick.daemon import backup

number, where = int(sys.argv[1]), sys.argv[2]

def end(*_, **__):
    os.kill(os.getpid(), number)

if where == "copying":
    copy = backup.copy_ledger
    backup.copy_ledger = lambda *given, progress, **more: copy(*given, progress=end, **more)
else:
    verification.verify_input = end
sys.exit(main(["daemon", "backup", "b", "--store", "home/receipts.db"], standalone_mode=False))
"""


@pytest.mark.parametrize("where", ["copying", "verifying"])
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_who_ends_it_finds_nothing(
    home: Home, where: str, number: signal.Signals, code: int
) -> None:
    """After Ctrl-C and SIGTERM nothing is left, and after a kill nothing that looks whole."""
    done = subprocess.run(
        [sys.executable, "-c", _SIGNALLED, str(int(number)), where],
        env=environment(), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")
    left = sorted(os.listdir())
    if number is signal.SIGKILL:
        assert left[0].startswith(".b.")
        assert left[0].endswith(".tmp")
        left = left[1:]
    assert left == ["home"]
    assert tally("daemon", "backup", "b", "--store", "home/receipts.db").code == 0


def test_who_waits_sees_how_far_it_is(home: Home) -> None:
    """On a terminal a bar comes, and goes."""
    code, out, shown = watched("daemon", "backup", "b", "--store", "home/receipts.db")
    assert code == 0
    assert "verified" in out
    assert "0 files" in shown
    assert is_gone(shown)


def test_a_stranger_key_is_told(home: Home) -> None:
    """The published key is kept in the backup, whatever key the copy was to be verified with."""
    key = generate_key_pair().signing_key().public_key
    Path("other.pub").write_text(public_key_pem(key))
    arguments = ("--store", "home/receipts.db", "--key", "other.pub", "--workers", "1")
    answer = tally("daemon", "backup", "b", *arguments)
    assert answer.code == 1
    assert "b is kept, but does not verify" in answer.err
    assert Path("b/signing.key.pub").read_bytes() == home.public.read_bytes()
