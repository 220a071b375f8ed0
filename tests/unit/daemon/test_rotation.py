# SPDX-License-Identifier: Apache-2.0
"""One key gives way to the next, or not at all, wherever the daemon dies."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from tests.ledgers import METHOD, Home, chain_of, type_of

from tallystick.crypto.ed25519 import public_key_from
from tallystick.daemon.key_file import FileKeySource
from tallystick.daemon.key_source import SignerKeySource
from tallystick.daemon.key_succession import KeySuccession
from tallystick.daemon.publishing import archive_path, archived, published
from tallystick.errors import (
    KeyFileError,
    SettingError,
    SignerUnavailable,
    SigningError,
    StoreCorruptError,
    StoreError,
    StoreStoppedError,
)
from tallystick.keys.local import LocalSigner, generate_key_pair
from tallystick.verify.trust import fingerprint_of

STEPS = ("staged", "archived", "committed", "installed", "published")

KILLED = """
import os, sys
from pathlib import Path
from tests.ledgers import Home

home = Home(Path(sys.argv[1]), with_key=False)
ledger = home.open()
ledger.commit([home.frame(), home.frame(agent_id="a")])
ledger.rotate(lambda step: os.kill(os.getpid(), 9) if step == sys.argv[2] else None)
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A folder with a key and no store."""
    return Home(tmp_path)


def test_a_rotation_closes_all_chains_and_all_of_them_verify(home: Home) -> None:
    """The root is handed over by the old key and closed by the new, which signs what follows."""
    ledger = home.open()
    for turn in range(3):
        ledger.commit([home.frame(), home.frame(agent_id="a")])
        old, new = ledger.rotate()
        assert published(home.public) == new
        assert archive_path(home.public, old).endswith(".rotated-" + fingerprint_end(old))
        assert len(archived(home.public)) == turn + 1
    ledger.commit([home.frame()])
    ledger.close()
    rotated = [one for one in home.receipts() if type_of(one) == "agent.key.rotate"]
    assert [chain_of(one)["chain_id"] for one in rotated] == [
        "2026-03-10", "2026-03-10-2", "2026-03-10-3",
    ]  # fmt: skip
    report = home.verify()
    assert report.verdict == "verified", report.findings
    assert home.key.stat().st_mode & 0o777 == 0o600
    assert not Path(f"{home.key}.next").exists()
    assert home.open().commit([home.frame()])[0].ok


def fingerprint_end(key: bytes) -> str:
    """Return the last 16 hex digits of a key's fingerprint."""
    import hashlib

    return hashlib.sha256(key).hexdigest()[-16:]


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_each_step(home: Home, step: str) -> None:
    """Before the commit all is as it was, behind it a start finishes; every chain verifies."""
    before = published(home.public)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(home.folder), step],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        check=False,
    )
    assert done.returncode == -9
    is_done = STEPS.index(step) >= STEPS.index("committed")
    ledger = home.open()
    ledger.commit([home.frame()])
    assert (published(home.public) != before) is is_done
    assert published(home.public) == ledger._keys.get_public_key()
    ledger.rotate()
    ledger.commit([home.frame()])
    ledger.close()
    assert not Path(f"{home.key}.next").exists()
    report = home.verify()
    assert report.verdict == "verified", report.findings
    rotations = [one for one in home.receipts() if type_of(one) == "agent.key.rotate"]
    assert len(rotations) == 1 + is_done


def test_a_rotation_that_is_not_finished_stops_the_ledger(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the next key can't be put in place behind the commit, only a start goes on."""
    ledger = home.open()
    ledger.commit([home.frame()])

    def fails() -> None:
        raise KeyFileError("no room")

    monkeypatch.setattr(ledger._keys, "install", fails)
    with pytest.raises(KeyFileError):
        ledger.rotate()
    with pytest.raises(StoreStoppedError, match="start again"):
        ledger.commit([home.frame()])
    ledger.close()
    ledger = home.open()
    ledger.commit([home.frame()])
    ledger.close()
    assert home.verify().verdict == "verified"


def test_a_rotation_that_fails_early_leaves_all_as_it_was(home: Home) -> None:
    """Where the old public key can't be kept, there is no rotation, and the ledger goes on."""
    ledger = home.open()
    ledger.commit([home.frame()])
    key = published(home.public)
    assert key is not None
    Path(archive_path(home.public, key)).symlink_to("/nowhere")
    with pytest.raises(KeyFileError, match="symbolic link"):
        ledger.rotate()
    ledger.commit([home.frame()])
    assert not Path(f"{home.key}.next").exists()
    ledger.close()
    assert published(home.public) == key
    assert home.verify().verdict == "verified"


def test_a_signer_hands_over_to_a_named_one(home: Home) -> None:
    """Any signer can rotate: its successor is named, and signs from the hand-over on."""
    first, second = LocalSigner(generate_key_pair()), LocalSigner(generate_key_pair())
    home.public.unlink()
    keys = KeySuccession(SignerKeySource(first, METHOD), second)
    ledger = home.open(keys=keys)
    ledger.commit([home.frame()])
    ledger.rotate()
    ledger.commit([home.frame()])
    with pytest.raises(SettingError, match="no next signer"):
        ledger.rotate()
    ledger.close()
    assert published(home.public) == second.get_public_key()
    assert home.verify().verdict == "verified"
    with pytest.raises(KeyFileError, match="another public key"):
        home.open(keys=SignerKeySource(first, METHOD))
    # Settings that still name both go on with the second; those that name only it do, too.
    ledger = home.open(keys=KeySuccession(SignerKeySource(first, METHOD), second))
    assert ledger.status().fingerprint == fingerprint_of(second.get_public_key())
    ledger.close()
    home.open(keys=SignerKeySource(second, METHOD)).close()


def test_the_chains_of_a_file_move_to_a_signer(home: Home) -> None:
    """A key file is followed by a token's key, without a break that a verifier would see."""
    signer = LocalSigner(generate_key_pair())
    ledger = home.open(keys=KeySuccession(FileKeySource(home.key, METHOD), signer))
    ledger.commit([home.frame(), home.frame(agent_id="a")])
    ledger.rotate()
    ledger.commit([home.frame()])
    ledger.close()
    ledger = home.open(keys=SignerKeySource(signer, METHOD))
    ledger.commit([home.frame()])
    ledger.close()
    report = home.verify()
    assert report.verdict == "verified", report.findings


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("first", ["file", "signer"])
@pytest.mark.parametrize("then", ["nobody", "signer"])
def test_a_reload_while_a_rotation_runs_changes_nothing_of_it(
    home: Home, step: str, first: str, then: str
) -> None:
    """Who is staged is who signs and is published; who is named meanwhile follows after that."""
    a, b = LocalSigner(generate_key_pair()), LocalSigner(generate_key_pair())
    after = b if then == "signer" else None
    keys = KeySuccession(FileKeySource(home.key, METHOD), a if first == "signer" else None)
    ledger = home.open(keys=keys)
    ledger.commit([home.frame(), home.frame(agent_id="a")])
    _, incoming = ledger.rotate(lambda now: keys.take_successor(after) if now == step else None)
    assert keys.get_public_key() == incoming == published(home.public)
    assert (incoming == a.get_public_key()) is (first == "signer")
    assert not Path(f"{home.key}.next").exists()
    ledger.commit([home.frame()])
    if after is not None:
        assert ledger.rotate()[1] == b.get_public_key()
    elif first == "signer":
        with pytest.raises(SettingError, match="no next signer"):
            ledger.rotate()
    ledger.close()
    report = home.verify()
    assert report.verdict == "verified", report.findings


def test_a_successor_that_is_away_changes_nothing(home: Home) -> None:
    """Nothing is written, and the ledger goes on with its key."""

    class Away(LocalSigner):
        def sign(self, message: bytes, /) -> bytes:
            raise SignerUnavailable("not now")

    ledger = home.open(
        keys=KeySuccession(FileKeySource(home.key, METHOD), Away(generate_key_pair()))
    )
    ledger.commit([home.frame()])
    before = home.rows()
    with pytest.raises(SignerUnavailable):
        ledger.rotate()
    assert home.rows() == before
    ledger.commit([home.frame()])
    ledger.close()
    assert home.verify().verdict == "verified"


def test_a_planted_next_key_is_thrown_away(home: Home) -> None:
    """A staged key that the store knows nothing of never signs."""
    home.open().close()
    before = public_key_from(home.public.read_bytes())
    planted = Path(f"{home.key}.next")
    planted.write_text(generate_key_pair().private_key)
    planted.chmod(0o600)
    ledger = home.open()
    assert ledger._keys.get_public_key() == before
    assert not planted.exists()
    ledger.close()


def forge_hand_over(home: Home) -> None:
    """Have the hand-over carry a signature that the outgoing key has not made."""
    with closing(sqlite3.connect(home.db)) as connection, connection:
        connection.execute("DROP TRIGGER receipts_update")
        which = "WHERE action_type = 'agent.key.rotate'"
        ((body,),) = connection.execute(f"SELECT receipt_json FROM receipts {which}").fetchall()
        receipt = json.loads(body)
        signature = receipt["proof"]["proofValue"]
        other = "A" if signature[1] != "A" else "B"
        forged = body.replace(signature, f"{signature[0]}{other}{signature[2:]}")
        assert forged != body
        connection.execute(f"UPDATE receipts SET receipt_json = ? {which}", (forged,))


def test_a_forged_hand_over_installs_no_key(home: Home) -> None:
    """A staged key that the outgoing one has not signed for stays staged: nothing is changed."""
    home.die_at("committed")
    forge_hand_over(home)
    key, before = home.key.read_bytes(), published(home.public)
    with pytest.raises(StoreCorruptError, match="not signed by the key before it"):
        home.open()
    assert (home.key.read_bytes(), published(home.public)) == (key, before)
    assert Path(f"{home.key}.next").exists()


def test_a_forged_hand_over_publishes_no_key(home: Home) -> None:
    """A key that lies in place without such a signature is not the published one's successor."""
    home.die_at("installed")
    forge_hand_over(home)
    before = published(home.public)
    with pytest.raises(KeyFileError, match="another public key"):
        home.open()
    assert published(home.public) == before


def test_the_old_key_is_gone_from_memory(home: Home) -> None:
    """After a rotation, and after the end, nothing signs with what was put away."""
    keys = FileKeySource(home.key, METHOD)
    ledger = home.open(keys=keys)
    ledger.commit([home.frame()])
    old = keys._key
    assert old is not None
    ledger.rotate()
    assert old.is_erased
    ledger.close()
    with pytest.raises(SigningError):
        keys.sign(b"x")


def test_the_staged_key_outlives_a_commit_of_unknown_fate(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the store fails under the hand-over, the next key is kept until the fate is known."""
    ledger = home.open()
    ledger.commit([home.frame()])

    def fails(_: object) -> None:
        raise StoreError("the disk is gone")

    monkeypatch.setattr(ledger._store, "append", fails)
    with pytest.raises(StoreError, match="the disk"):
        ledger.rotate()
    assert Path(f"{home.key}.next").exists()
