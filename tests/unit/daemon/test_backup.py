# SPDX-License-Identifier: Apache-2.0
"""A backup holds what a store is verified with and put back from, and no secret."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.ledgers import Home
from tests.material import chain_of, lines
from tests.stored import fill as fill_store

from tallystick.daemon.backup import Contents, fill, size_of
from tallystick.daemon.publishing import archived, published
from tallystick.errors import KeyFileError, UnreadableError
from tallystick.keys.local import generate_key_pair
from tallystick.store.imported import keep_chain


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A store with a few receipts."""
    return fill_store(tmp_path / "home")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder."""
    (tmp_path / "b").mkdir()
    return tmp_path / "b"


def back_up(home: Home, folder: Path, **more: Any) -> Contents:
    return fill(str(folder), store=home.db, public_path=home.public, **more)


def import_one(home: Home, chain_id: str = "run-1") -> None:
    chain = chain_of(3, chain_id=chain_id)
    keep_chain(str(home.db), chain_id, lines(chain).splitlines())


def test_what_is_in_it(home: Home, folder: Path) -> None:
    """Store, key and proof, each readable by owner and group alone; no key that signs, no heads."""
    umask = os.umask(0o077)
    try:
        contents = back_up(home, folder)
    finally:
        os.umask(umask)
    assert sorted(os.listdir(folder)) == ["receipts.db", "receipts.proof", "signing.key.pub"]
    assert {stat.S_IMODE(one.stat().st_mode) for one in folder.iterdir()} == {0o640}
    assert contents.stores == (str(folder / "receipts.db"),)
    assert published(folder / "signing.key.pub") == published(home.public)
    assert contents.proof is not None
    assert contents.proof.receipts == 8
    secret = home.key.read_text().splitlines()[1]
    assert all(secret not in one.read_text("latin-1") for one in folder.iterdir())


def test_imported_chains_come_along(home: Home, folder: Path) -> None:
    """Byte for byte, with modes that do not depend on the umask; bytes and files are told."""
    import_one(home)
    import_one(home, "run-2")
    (Path(f"{home.db}.imported") / ".half.tmp").write_bytes(b"half")
    told: list[tuple[int, int]] = []
    umask = os.umask(0o077)
    try:
        contents = back_up(home, folder, progress=lambda *done: told.append(done))
    finally:
        os.umask(umask)
    copies = folder / "receipts.db.imported"
    assert stat.S_IMODE(copies.stat().st_mode) == 0o750
    assert {one.name: one.read_bytes() for one in copies.iterdir()} == {
        one.name: one.read_bytes() for one in Path(f"{home.db}.imported").glob("*.jsonl")
    }
    assert {stat.S_IMODE(one.stat().st_mode) for one in copies.iterdir()} == {0o640}
    assert contents.stores[1:] == tuple(sorted(map(str, copies.iterdir())))
    assert told[-1] == (2, size_of(home.db))


@pytest.mark.parametrize("make", [lambda path: path.symlink_to("/etc/hostname"), os.mkfifo])
def test_what_only_looks_like_a_chain_is_refused(home: Home, folder: Path, make: Any) -> None:
    """A link could lead to what its maker may not read; a pipe would be waited for."""
    Path(f"{home.db}.imported").mkdir()
    make(Path(f"{home.db}.imported") / "x.jsonl")
    with pytest.raises(UnreadableError, match=r"x\.jsonl"):
        back_up(home, folder)


def test_a_folder_of_chains_that_is_none_is_told(home: Home, folder: Path) -> None:
    """What can't be listed is not taken for empty."""
    Path(f"{home.db}.imported").write_bytes(b"")
    with pytest.raises(UnreadableError, match="imported could not be read: Not a directory"):
        back_up(home, folder)


def test_earlier_keys_come_along(home: Home, folder: Path, tmp_path: Path) -> None:
    """Those beside the published key, and those beside keys from elsewhere; each once."""
    ledger = home.open()
    ledger.rotate()
    ledger.rotate()
    ledger.close()
    elsewhere = tmp_path / "elsewhere.pub"
    for one in home.folder.glob("signing.key.pub*"):
        (tmp_path / one.name.replace("signing.key.pub", "elsewhere.pub")).write_bytes(
            one.read_bytes()
        )
    contents = back_up(home, folder, beside=[elsewhere])
    assert contents.earlier_keys == 2
    assert sorted(archived(folder / "signing.key.pub")) == sorted(archived(home.public))
    assert contents.proof is not None
    assert len(contents.proof.keys) == len(contents.proof.hand_overs) == 2


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_rotation_meanwhile(home: Home, folder: Path, when: str) -> None:
    """The key in the backup is the one that its newest receipt was signed with."""
    ledger = home.open()
    ledger.commit([home.frame(input={"n": number}) for number in range(3)])
    first = published(home.public)
    if when == "before":  # the store is handed over; what is published is a moment behind
        old = home.public.read_bytes()
        ledger.rotate()
        new = home.public.read_bytes()
        home.public.write_bytes(old)
    rotated: list[object] = []

    def rotate(_files: int, _bytes: int) -> None:
        if when == "after" and not rotated:
            rotated.append(ledger.rotate())
        elif when == "before":
            home.public.write_bytes(new)

    contents = back_up(home, folder, progress=rotate)
    ledger.close()
    assert contents.public_key is not None
    assert (published(contents.public_key) == first) == (when == "after")
    assert published(home.public) != first


def test_without_a_published_key(home: Home, folder: Path) -> None:
    """One that is trusted stands in; without any there is none, and the rest is there."""
    key = published(home.public)
    assert key is not None
    home.public.unlink()
    assert back_up(home, folder, trusted=[key]).public_key == str(folder / "signing.key.pub")
    assert published(folder / "signing.key.pub") == key
    other = folder.parent / "c"
    other.mkdir()
    assert back_up(home, other).public_key is None
    assert sorted(os.listdir(other)) == ["receipts.db", "receipts.proof"]


def test_a_private_key_is_never_copied(home: Home, folder: Path) -> None:
    """Also not where it stands in the public one's place."""
    home.public.write_bytes(home.key.read_bytes())
    with pytest.raises(KeyFileError, match="no public key"):
        back_up(home, folder)
    home.public.unlink()
    (home.folder / "signing.key.pub.rotated-0123456789abcdef").write_bytes(home.key.read_bytes())
    assert back_up(home, folder).earlier_keys == 0


def test_what_was_tampered_with_is_evidence(home: Home, folder: Path) -> None:
    """It is copied as it is; where it can't be read as a ledger, there is no proof of it."""
    with closing(sqlite3.connect(home.db)) as connection, connection:
        connection.execute("DROP TRIGGER IF EXISTS receipts_update")
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'trigger'"
        ).fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("UPDATE receipts SET chain_id = CAST(x'ff' AS TEXT) WHERE rowid = 2")
    other = generate_key_pair().signing_key().public_key
    home.public.unlink()
    contents = back_up(home, folder, trusted=[other, other[::-1]])
    assert contents.proof is None
    assert published(folder / "signing.key.pub") == other
    with closing(sqlite3.connect(folder / "receipts.db")) as copy:
        rows = copy.execute("SELECT CAST(chain_id AS BLOB) FROM receipts WHERE rowid = 2")
        assert rows.fetchall() == [(b"\xff",)]
