# SPDX-License-Identifier: Apache-2.0
"""Rows of a batch, without any database."""

from __future__ import annotations

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
    """Entries, bodies and leaves side by side, from the start; the chain counts along."""
    rows, chain = Rows(10, 99), chain_at(10)
    given = [submission(str(number), sequence=number) for number in range(3)]
    assert [rows.take(one, chain, sequence_of(one)) for one in given] == [10, 11, 12]
    assert [row[0] for row in rows.entries] == [row[0] for row in rows.bodies] == [10, 11, 12]
    assert rows.leaves == [leaf_hash(encode_entry(99, one.digest, one.id_hash)) for one in given]
    assert (chain.length, chain.last_sequence, chain.last_index, chain.last_ms) == (3, 2, 12, 99)


def test_a_batch_knows_its_positions() -> None:
    """Family and sequence together, also of what came after one has looked."""
    rows, chain = Rows(10, 99), chain_at(10)
    for sequence in (4, 5):
        assert not rows.holds(10, sequence)
        rows.take(submission(str(sequence), sequence=sequence), chain, sequence)
        assert rows.holds(10, sequence)
        assert not rows.holds(11, sequence)


def test_a_chain_ends_with_its_highest_sequence() -> None:
    """The terminal of the highest sequence counts, the first one there; a higher one undoes it."""
    chain = chain_at(0)
    for sequence, terminal, expected in (
        (1, 0, 0), (3, 2, 2), (2, 1, 2), (3, 1, 2), (4, 0, 0), (4, 1, 1), (-1, 2, 1),
    ):  # fmt: skip
        chain.take(0, 0, sequence, terminal)
        assert chain.terminal == expected


def test_places_of_a_batch_are_proven() -> None:
    """Each entry's path leads to the batch's root."""
    leaves = [leaf_hash(bytes([number])) for number in range(7)]
    tree = BatchTree(100, 5, leaves)
    assert (tree.batch.start, tree.batch.stop, tree.batch.root) == (100, 107, tree_root(leaves))
    for at, leaf in enumerate(leaves):
        placed = tree.old_place(100 + at, bytes(32), bytes(32))
        assert placed.leaf_hash == leaf
        assert placed.path_lines == tree.paths()[at]
        path = path_of(placed)
        assert verify_inclusion(leaf, at, 7, path, tree.batch.root)
