# SPDX-License-Identifier: Apache-2.0
"""Rows of a batch, without any database."""

from __future__ import annotations

import msgspec
import pytest
from tests.logs import path_of
from tests.submissions import submission

from tallystick.crypto.merkle import leaf_hash, tree_root, verify_inclusion
from tallystick.model.log_entry import encode_entry
from tallystick.store.batch_plan import BatchTree, ChainState, Rows, hash_of, sequence_of


def chain_at(no: int) -> ChainState:
    """Return a new chain."""
    name = (b"t", hash_of("chain"), hash_of("issuer"))
    return ChainState(name, chain_id=b"chain", issuer=b"issuer", no=no, family=no, first_ms=5)


def test_only_counting_sequences_count() -> None:
    """What is no sequence, or none that a column holds, is -1."""
    for sequence, column in ((None, -1), (-1, -1), (0, 0), (2**62, 2**62), (2**63, -1)):
        assert sequence_of(submission("x", sequence=sequence)) == column


def test_rows_are_numbered_on() -> None:
    """Entries, bodies and leaves side by side, from the start; the chains count along."""
    given = [submission(str(number), sequence=number) for number in range(3)]
    rows, chain, other = Rows(10, 99, given), chain_at(10), chain_at(12)
    rows.take(chain, 2)
    rows.take(other, 1)
    entries, bodies = ([*zip(*columns, strict=True)] for columns in (rows.entries(), rows.bodies()))
    assert [row[0] for row in entries] == [row[0] for row in bodies] == [10, 11, 12]
    assert [row[1:6] for row in entries] == [
        (b"t", 10, 10, 0, 0), (b"t", 10, 10, 1, 0), (b"t", 12, 12, 2, 0),
    ]  # fmt: skip
    assert [row[6:8] for row in entries] == [(one.digest, one.id_hash) for one in given]
    assert [row[5] for row in bodies] == [one.body for one in given]
    assert [row[8] for row in entries] == rows.leaves
    assert rows.leaves == [leaf_hash(encode_entry(99, one.digest, one.id_hash)) for one in given]
    assert (chain.length, chain.last_sequence, chain.last_index, chain.last_ms) == (2, 1, 11, 99)
    assert (other.length, other.last_sequence, other.last_index) == (1, 2, 12)


def test_an_entry_has_its_length() -> None:
    """What has a digest of another length is a fault of ours, and never gets a row."""
    with pytest.raises(AssertionError):
        Rows(0, 1, [msgspec.structs.replace(submission("x"), digest=b"short")])


def test_a_batch_knows_its_positions() -> None:
    """Family and sequence together, of those before one, and never of that one itself."""
    given = [submission(str(number), sequence=sequence) for number, sequence in enumerate((4, 5))]
    rows = Rows(10, 99, given)
    rows.take(chain_at(10), 2)
    for place, sequence in enumerate((4, 5)):
        assert not rows.holds(10, sequence, place)
        assert rows.holds(10, sequence, place + 1)
        assert not rows.holds(11, sequence, place + 1)


def test_a_chain_ends_with_its_highest_sequence() -> None:
    """The terminal of the highest sequence counts, the first one there; a higher one undoes it."""
    steps = ((1, 0, 0), (3, 2, 2), (2, 1, 2), (3, 1, 2), (4, 0, 0), (4, 1, 1), (-1, 2, 1))
    chain, at_once = chain_at(0), chain_at(0)
    for place, (sequence, terminal, expected) in enumerate(steps):
        chain.take(place + 1, 0, [(sequence, terminal)], 1)
        assert chain.terminal == expected
    at_once.take(len(steps), 0, [step[:2] for step in steps], len(steps))
    assert at_once.counts() == chain.counts()


def test_places_of_a_batch_are_proven() -> None:
    """Each entry's path leads to the batch's root."""
    leaves = [leaf_hash(bytes([number])) for number in range(7)]
    tree = BatchTree(100, 5, leaves)
    assert (tree.batch.start, tree.batch.stop, tree.batch.root) == (100, 107, tree_root(leaves))
    for at, leaf in enumerate(leaves):
        placed = tree.old_place(100 + at, bytes(32), bytes(32))
        assert placed.leaf_hash == leaf
        assert placed.path_text == tree.paths()[at]
        path = path_of(placed)
        assert verify_inclusion(leaf, at, 7, path, tree.batch.root)
