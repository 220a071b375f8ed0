# SPDX-License-Identifier: Apache-2.0
"""A tree too large to look at all of it: checked at places that are spread over it."""

from __future__ import annotations

import random

from tests.logs import lookup, numbered

from tallystick.crypto.merkle import (
    EMPTY_ROOT,
    Edge,
    consistency,
    inclusion,
    node_hash,
    subtree,
    verify_consistency,
    verify_inclusion,
)


def check_a_large_tree(size: int) -> None:
    """Grow a tree leaf by leaf; check heads and proofs at places that are spread over it."""
    leaves = numbered(size)
    hash_at = lookup(leaves)
    edge = Edge()
    heads = {0: EMPTY_ROOT}
    chance = random.Random(size)
    places = sorted(
        {1, 2, size // 3, size // 2, size - 1, size}
        | {chance.randrange(1, size) for _ in range(50)}
    )
    for stop in places:
        edge.extend(leaves[edge.size : stop])
        heads[stop] = edge.root()
        assert heads[stop] == subtree(hash_at, 0, stop)
    root = heads[size]
    for place in places:
        path = consistency(hash_at, place, size)
        assert verify_consistency(place, size, heads[place], root, path)
        path = inclusion(hash_at, place - 1, size)
        assert verify_inclusion(leaves[place - 1], place - 1, size, path, root)
        assert not verify_inclusion(node_hash(root, root), place - 1, size, path, root)
        assert len(path) <= size.bit_length()
