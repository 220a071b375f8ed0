# SPDX-License-Identifier: Apache-2.0
"""Which earlier keys the published one vouches for."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.ledgers import Home

from tallystick.daemon.publishing import archive, archived, published
from tallystick.daemon.vouching import vouched_keys
from tallystick.keys.local import generate_key_pair
from tallystick.store.ledger_reads import LedgerReader


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A folder with a store of three keys."""
    home = Home(tmp_path)
    ledger = home.open()
    for _ in range(2):
        ledger.commit([home.frame(), home.frame(agent_id="a")])
        ledger.rotate()
    ledger.commit([home.frame()])
    ledger.close()
    return home


def keys_of(home: Home) -> list[bytes]:
    """Return the keys that the published one vouches for."""
    key = published(home.public)
    assert key is not None
    with LedgerReader(home.db) as reader:
        return vouched_keys(reader, key, archived(home.public))


def test_each_key_vouches_for_the_one_before_it(home: Home) -> None:
    """All keys of the store are found from the published one; a planted file adds none."""
    expected = {published(home.public), *archived(home.public)}
    assert set(keys_of(home)) == expected
    archive(home.public, generate_key_pair().signing_key().public_key)
    assert set(keys_of(home)) == expected


def test_without_its_archive_a_key_and_those_before_it_are_unknown(home: Home) -> None:
    """The chain of vouching ends where a file is missing: older keys are then not trusted."""
    newest = keys_of(home)[1]
    for path in home.folder.glob("*.rotated-*"):
        if published(path) == newest:
            path.unlink()
    assert keys_of(home) == [published(home.public)]


def test_a_hand_over_that_nobody_took_up_vouches_for_nothing(home: Home) -> None:
    """Anyone can sign a hand-over to a public key: it counts only with what that key signed."""
    with closing(sqlite3.connect(home.db)) as connection, connection:
        connection.execute("DROP TRIGGER receipts_delete")
        connection.execute(
            "DELETE FROM receipts WHERE terminal = 1 AND chain_id = "
            "(SELECT max(chain_id) FROM receipts WHERE action_type = 'agent.key.rotate')"
        )
    assert keys_of(home) == [published(home.public)]


def test_damaged_rows_are_passed_over(home: Home) -> None:
    """Bytes that are no receipt vouch for nothing, and stop nothing."""
    with closing(sqlite3.connect(home.db)) as connection, connection:
        connection.execute("DROP TRIGGER receipts_update")
        connection.execute("UPDATE receipts SET receipt_json = '{}'")
    assert keys_of(home) == [published(home.public)]
