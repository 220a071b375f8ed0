# SPDX-License-Identifier: Apache-2.0
"""Which earlier keys the published one vouches for."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.ledgers import Home, type_of

from tallystick.daemon.publishing import archive, archived, published
from tallystick.daemon.vouching import hand_overs, unpublished_key, vouched_keys
from tallystick.keys.local import generate_key_pair
from tallystick.store.ledger_reads import LedgerReader
from tallystick.verify.trust import TrustedKey


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


def trusted(home: Home) -> list[TrustedKey]:
    """Return the keys that the published one vouches for, and until when."""
    key = published(home.public)
    assert key is not None
    with LedgerReader(home.db) as reader:
        return vouched_keys(key, archived(home.public), hand_overs(reader))


def keys_of(home: Home) -> list[bytes]:
    """Return the keys that the published one vouches for."""
    return [one.public_key for one in trusted(home)]


def test_each_key_vouches_for_the_one_before_it(home: Home) -> None:
    """All keys of the store are found from the published one; a planted file adds none."""
    expected = {published(home.public), *archived(home.public)}
    assert set(keys_of(home)) == expected
    archive(home.public, generate_key_pair().signing_key().public_key)
    assert set(keys_of(home)) == expected


def test_a_key_counts_up_to_its_hand_over(home: Home) -> None:
    """The published one counts always, the others no longer than until they were handed over."""
    handed_over = [one for one in home.receipts() if type_of(one) == "agent.key.rotate"]
    ends = [one["issuanceDate"] for one in reversed(handed_over)]
    assert [one.valid_until for one in trusted(home)] == [None, *ends]
    assert all(one.valid_from is None for one in trusted(home))
    assert [one.is_earlier for one in trusted(home)] == [False, True, True]


def test_only_the_first_key_needs_its_file(home: Home) -> None:
    """The hand-over before it names each other one in full; without its file the first is unknown.

    Its chains are then refused: of nobody's word it is known what it was.
    """
    before = keys_of(home)
    assert len(before) == 3
    for path in home.folder.glob("*.rotated-*"):
        path.unlink()
    assert keys_of(home) == before[:2]


def test_a_hand_over_that_nobody_took_up_vouches_for_nothing(home: Home) -> None:
    """Anyone can sign a hand-over to a public key: it counts only with what that key signed."""
    with closing(sqlite3.connect(home.db)) as connection, connection:
        connection.execute("DROP TRIGGER receipts_delete")
        connection.execute(
            "DELETE FROM receipts WHERE terminal = 1 AND chain_id = "
            "(SELECT max(chain_id) FROM receipts WHERE action_type = 'agent.key.rotate')"
        )
    assert keys_of(home) == [published(home.public)]


def test_a_key_that_is_not_published_yet_follows_the_published_one(home: Home) -> None:
    """By the newest hand-over alone: which key an earlier one went on to says nothing of today."""
    newest, middle, oldest = keys_of(home)
    with LedgerReader(home.db) as reader:
        given = hand_overs(reader)
    found = {key: unpublished_key(key, given) for key in (newest, middle, oldest)}
    assert found == {newest: None, middle: newest, oldest: None}
    assert unpublished_key(middle, []) is None
    assert unpublished_key(middle, [(given[-1][0], given[0][1])]) is None
    assert unpublished_key(middle, [(b"{}", given[-1][1])]) is None


def test_damaged_rows_are_passed_over(home: Home) -> None:
    """Bytes that are no receipt vouch for nothing, and stop nothing."""
    with closing(sqlite3.connect(home.db)) as connection, connection:
        connection.execute("DROP TRIGGER receipts_update")
        connection.execute("UPDATE receipts SET receipt_json = '{}'")
    assert keys_of(home) == [published(home.public)]
