# SPDX-License-Identifier: Apache-2.0
"""Sequencing inside one batch: what a later submission shares with an earlier one."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.stores import Place
from tests.submissions import submission

from tallystick.store.fsck import check_engine
from tallystick.store.sequencing import CHAIN_COLUMNS
from tallystick.store.sql import Access


@pytest.mark.parametrize(("count", "names"), [(60, 8), (300, 250)])
def test_one_batch_is_as_good_as_many(place: Place, count: int, names: int) -> None:
    """The same submissions in one batch or one by one: the same indexes, flags and chains.

    So also where there are enough new ones to be written by their columns.
    """
    dice = random.Random(2)
    given = [
        submission(
            str(dice.randrange(names)),
            tenant=dice.choice("tu"),
            chain_id=dice.choice(["one", "two"]),
            issuer=dice.choice(["did:a", "did:b"]),
            sequence=dice.choice([None, 0, 1, 2, 3]),
            terminal=dice.choice([None, "complete"]),
        )
        for _ in range(count)
    ]
    store = place.open()
    whole = store.place(given)
    singly = [
        store.place([one])[0]
        for one in (
            submission(
                one.receipt_id.rpartition(":")[2],
                tenant=f"{one.tenant}-singly",
                chain_id=one.chain_id,
                issuer=one.issuer,
                sequence=one.sequence,
                terminal=one.terminal,
            )
            for one in given
        )
    ]
    new = sum(one.is_new for one in whole)
    assert [(one.index + new, one.is_new, one.shares_id, one.shares_position) for one in whole] == [
        (one.index, one.is_new, one.shares_id, one.shares_position) for one in singly
    ]
    for tenant in "tu":
        summed, others = (
            [
                (one.chain_id, one.issuer, one.length, one.last_sequence, one.termination)
                for one in store.chains(name, issuer=None, since_ms=None, after=-1, limit=99)
            ]
            for name in (tenant, f"{tenant}-singly")
        )
        assert summed == others
    assert check_engine(store.engine).faults == []


def test_columns_stand_in_the_table_s_order(place: Place) -> None:
    """The one list of columns names all of a chain's, on each engine."""
    store = place.open()
    store.place([submission("1")])
    with store.engine.reading() as access:
        (row,) = access.rows(f"SELECT {CHAIN_COLUMNS} FROM chain")
        (all_columns,) = access.rows("SELECT * FROM chain")
    assert row == all_columns


def test_what_was_rolled_back_is_forgotten(place: Place) -> None:
    """Also where nothing fails before the commit: chains are then as they are stored."""
    store = place.open()
    store.place([submission("0", chain_id="known", sequence=1)])
    writing = store.engine.writing

    @contextmanager
    def failing() -> Iterator[Access]:
        with writing() as access:
            yield access
            raise MemoryError

    given = [submission(f"{at}", chain_id=at, sequence=2) for at in ("known", "new")]
    store.engine.writing = failing  # type: ignore[method-assign]  # a commit that comes to nothing
    with pytest.raises(MemoryError):
        store.place(given)
    store.engine.writing = writing  # type: ignore[method-assign]
    for one in given[::-1]:
        (placed,) = store.place([one])
        assert (placed.is_new, placed.shares_id, placed.shares_position) == (True, False, False)
    assert check_engine(store.engine).faults == []
