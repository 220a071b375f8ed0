# SPDX-License-Identifier: Apache-2.0
"""Receipts on their way through a verification, some at a time."""

from __future__ import annotations

from typing import Any

import pytest
from tests.material import OTHER_PUBLIC, PUBLIC, chain_of, wire

from tallystick.verify.batch import BATCH_BYTES, BATCH_ITEMS, next_batch, tried_here
from tallystick.verify.receipt import Examined, examine_all

RAWS = [wire(one) for one in chain_of(3)]
EMPTY = Examined(receipt=None, faults=[])


def test_a_batch_is_bounded() -> None:
    """In items, and in bytes by the item that fills it; what is no bytes has no size."""
    many = next_batch(iter([b"x"] * 100))
    assert (len(many.raws), many.size, many.is_large) == (BATCH_ITEMS, BATCH_ITEMS, False)
    wide = next_batch(iter([b"x" * 10_000] * 100))
    assert BATCH_BYTES <= wide.size < BATCH_BYTES + 10_000
    assert len(next_batch(iter([{}] * 5)).raws) == 5
    assert next_batch(iter([])).raws == []


def test_values_have_the_size_of_their_bodies() -> None:
    """A dict counts once it is read; bytes count as they came; what is no JSON holds nothing."""
    values = chain_of(3)
    bodies = sum(len(one.body or b"") for one in examine_all(RAWS))
    cases: list[tuple[list[Any], int]] = [
        (values, bodies),
        (RAWS, sum(map(len, RAWS))),
        ([*values, *RAWS], bodies + sum(map(len, RAWS))),
        ([{}, {"x": object()}], len(b"{}")),
    ]
    for raws, size in cases:
        batch = next_batch(iter(raws))
        batch.read(examine_all, lambda _: None)
        assert batch.size == size


@pytest.mark.parametrize(("size", "is_large"), [(64 * 1024 - 1, False), (64 * 1024, True)])
def test_one_large_item_makes_a_batch_large(size: int, is_large: bool) -> None:
    """Then it is taken apart by itself, later."""
    assert next_batch(iter([b"small", b"x" * size])).is_large is is_large


def test_what_is_large_is_taken_apart_alone() -> None:
    """Of large items one at a time is in memory as values; of small ones all of a batch."""
    seen: list[int] = []

    def examine(raws: list[Any]) -> list[Examined]:
        seen.append(len(raws))
        return [EMPTY] * len(raws)

    small, large = [b"x"] * 4, [b"x", b"x" * 70_000]
    assert len(list(tried_here(next_batch(iter(small)), examine, lambda _: None))) == 4
    assert len(list(tried_here(next_batch(iter(large)), examine, lambda _: None))) == 2
    assert seen == [4, 1, 1]


def test_signatures_are_tried_under_the_key_that_is_guessed() -> None:
    """Each receipt has the key that was chosen for it, and whether it fits; or none."""
    keys = iter([PUBLIC, OTHER_PUBLIC, None])
    batch = next_batch(iter(RAWS))
    told = list(tried_here(batch, examine_all, lambda _: next(keys)))
    assert [(one.tried_key, one.fits_tried_key) for one in told] == [
        (PUBLIC, True), (OTHER_PUBLIC, False), (None, False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "is_for_checkers"), [(PUBLIC, True), (PUBLIC + b"x", False), (None, False)]
)
def test_what_can_be_handed_over(key: bytes | None, is_for_checkers: bool) -> None:
    """Only what has something to check, in the sizes that keys and signatures have."""
    batch = next_batch(iter(RAWS))
    batch.read(examine_all, lambda _: key)
    assert batch.is_for_checkers is is_for_checkers
    batch.try_here()
    assert batch.is_tried
    assert all(one.fits_tried_key is (key == PUBLIC) for one in batch.examined)
