# SPDX-License-Identifier: Apache-2.0
"""Merkle trees: the published vectors, a second implementation, and every small tree."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree
from pymerkle import verify_consistency as their_consistency
from pymerkle import verify_inclusion as their_inclusion
from tests.large_tree import check_a_large_tree
from tests.logs import lookup, needs_vectors, numbered, root_by_definition, vectors

from tallystick.crypto.merkle import (
    EMPTY_ROOT,
    Edge,
    consistency,
    inclusion,
    leaf_hash,
    path_in,
    path_len,
    paths_in,
    perfect_root,
    subtree,
    tree_root,
    tree_rows,
    verify_consistency,
    verify_inclusion,
)
from tallystick.errors import RefusedInput

SMALL = 40


def unhex(texts: list[str]) -> list[bytes]:
    """Return bytes of hexadecimal texts."""
    return [bytes.fromhex(text) for text in texts]


def flipped(data: bytes, bit: int) -> bytes:
    """Return the bytes with one bit changed."""
    changed = bytearray(data)
    changed[bit // 8 % len(data)] ^= 1 << bit % 8
    return bytes(changed)


# ---- the published vectors


@needs_vectors
def test_published_hashes() -> None:
    """Leaves, nodes and heads are the published ones, up to 70 000 leaves."""
    published = vectors()["hashing"]
    assert published["empty_root"] == EMPTY_ROOT.hex()
    assert leaf_hash(b"").hex() == published["leaf_of_empty_string"]
    leaves = numbered(70_000)
    assert [one.hex() for one in leaves[:8]] == published["leaf_hashes"]
    hash_at = lookup(leaves)
    for name, expected in published["nodes"].items():
        start, stop = map(int, name.strip("[)").split(","))
        assert subtree(hash_at, start, stop).hex() == expected, name
    assert len(published["roots"]) == 17
    edge = Edge()
    for size in range(70_001):
        if str(size) in published["roots"]:
            assert edge.root().hex() == published["roots"][str(size)], size
        if size < 70_000:
            edge.append(leaves[size])
    assert edge.size == 70_000


@needs_vectors
@pytest.mark.parametrize("part", ["inclusion", "consistency"])
def test_published_proofs(part: str) -> None:
    """Every published proof passes or fails as published, and the good ones are what we make."""
    rows = vectors()[part]["vectors"]
    assert len(rows) == 35
    hash_at = lookup(numbered(70_000))
    made = 0
    for row in rows:
        assert accepts(part, row) is row["valid"], row["name"]
        if row["valid"] and row["name"].startswith("ok-"):
            made += 1
            if part == "inclusion":
                path = inclusion(hash_at, row["index"], row["size"])
            else:
                path = consistency(hash_at, row["old_size"], row["new_size"])
            assert path == unhex(row["path"]), row["name"]
    assert made > 10


def accepts(part: str, row: dict[str, Any]) -> bool:
    """Judge one published proof."""
    path = unhex(row["path"])
    if part == "inclusion":
        leaf, root = unhex([row["leaf_hash"], row["root"]])
        return verify_inclusion(leaf, row["index"], row["size"], path, root)
    old, new = unhex([row["old_root"], row["new_root"]])
    return verify_consistency(row["old_size"], row["new_size"], old, new, path)


@needs_vectors
def test_published_traps() -> None:
    """A path passes with other sizes than its own: why size and root come from one note."""
    traps = vectors()["inclusion"]["traps"]
    assert len(traps) == 3
    for trap in traps:
        leaf, root = unhex([trap["leaf_hash"], trap["root"]])
        size = trap["claimed_size"]
        assert verify_inclusion(leaf, trap["index"], size, unhex(trap["path"]), root)
    rows = {row["name"]: row for row in vectors()["consistency"]["vectors"]}
    for trap in vectors()["consistency"]["size_traps"]:
        true, claimed = trap["true"], trap["also_accepted_as"]
        row = rows["ok-{}-{}".format(*true)]
        assert accepts("consistency", row)
        assert accepts("consistency", {**row, "old_size": claimed[0], "new_size": claimed[1]})


# ---- every small tree


@pytest.mark.parametrize("size", range(SMALL))
def test_heads_by_definition(size: int) -> None:
    """Edge, rows and the definition agree on the head."""
    leaves = numbered(size)
    expected = root_by_definition(leaves)
    assert tree_root(leaves) == expected
    edge = Edge()
    edge.extend(leaves)
    assert (edge.size, edge.root(), len(edge.hashes)) == (size, expected, size.bit_count())
    if size:
        assert tree_rows(leaves)[-1] == [expected]
        assert subtree(lookup(leaves), 0, size) == expected


@pytest.mark.parametrize("size", range(1, SMALL))
def test_inclusion_in_every_small_tree(size: int) -> None:
    """Each leaf's path has its exact length, passes, and passes for no other leaf."""
    leaves = numbered(size)
    hash_at, root, rows = lookup(leaves), tree_root(leaves), tree_rows(leaves)
    paths = paths_in(rows)
    for index in range(size):
        path = inclusion(hash_at, index, size)
        assert path == path_in(rows, index)
        assert b"".join(path) == paths[index]
        assert len(path) == path_len(index, size)
        for other in range(size):
            assert verify_inclusion(leaves[index], other, size, path, root) is (other == index)
            assert verify_inclusion(leaves[other], index, size, path, root) is (other == index)


@pytest.mark.parametrize("level", range(5))
def test_whole_subtrees_are_added_at_once(level: int) -> None:
    """A tree that grows by subtrees is the one that grows leaf by leaf; elsewhere it is refused."""
    leaves, width = numbered(100), 1 << level
    edge = Edge()
    for start in range(0, 100 - width + 1, width):
        root = perfect_root(leaves[start : start + width])
        assert root == tree_root(leaves[start : start + width])
        edge.append_subtree(root, level)
        assert (edge.size, edge.root()) == (start + width, tree_root(leaves[: start + width]))
    if level:
        edge.append(leaves[0])
        with pytest.raises(RefusedInput, match="no place"):
            edge.append_subtree(leaves[1], level)


@pytest.mark.parametrize("size", range(SMALL))
def test_consistency_of_every_small_tree(size: int) -> None:
    """Each beginning of a tree is proven, and no altered path or root passes."""
    leaves = numbered(size)
    hash_at, root = lookup(leaves), tree_root(leaves)
    for old in range(size + 1):
        path = consistency(hash_at, old, size)
        before = tree_root(leaves[:old])
        assert verify_consistency(old, size, before, root, path)
        if old in (0, size):
            continue
        assert not verify_consistency(old, size, flipped(before, old), root, path)
        assert not verify_consistency(old, size, before, flipped(root, old), path)
        assert not verify_consistency(old, size, before, root, path[:-1])
        assert not verify_consistency(old, size, before, root, [*path, before])
        for at in range(len(path)):
            wrong = [flipped(one, old) if at == k else one for k, one in enumerate(path)]
            assert not verify_consistency(old, size, before, root, wrong)


def test_one_bit_refuses_an_inclusion() -> None:
    """Every single bit of leaf, path and root counts."""
    leaves = numbered(13)
    path, root = inclusion(lookup(leaves), 5, 13), tree_root(leaves)
    for bit in range(256):
        assert not verify_inclusion(flipped(leaves[5], bit), 5, 13, path, root)
        assert not verify_inclusion(leaves[5], 5, 13, path, flipped(root, bit))
        for at in range(len(path)):
            wrong = [flipped(one, bit) if at == k else one for k, one in enumerate(path)]
            assert not verify_inclusion(leaves[5], 5, 13, wrong, root)


# ---- edges and refusals


def test_an_edge_goes_on_where_it_was_taken_up() -> None:
    """Size and hashes are all that a growing tree needs to be kept."""
    edge = Edge()
    edge.extend(numbered(21))
    again = Edge(edge.size, edge.hashes)
    copy = edge.copy()
    again.append(leaf_hash(b"x"))
    assert copy.root() == edge.root() == tree_root(numbered(21))
    assert again.root() == tree_root([*numbered(21), leaf_hash(b"x")])


@pytest.mark.parametrize(
    ("size", "hashes"),
    [(1, []), (0, [b"h" * 32]), (2, [b"h" * 31]), (-1, []), (2**63, [b"h" * 32])],
)
def test_an_impossible_edge_is_refused(size: int, hashes: list[bytes]) -> None:
    """An edge has one hash of 32 bytes for each 1-bit of its size."""
    with pytest.raises(RefusedInput):
        Edge(size, hashes)


def test_proofs_that_no_tree_has() -> None:
    """No proof is made or accepted for a leaf or a beginning that is not there."""
    leaves = numbered(4)
    hash_at, root = lookup(leaves), tree_root(leaves)
    for index, size in [(-1, 4), (4, 4), (0, 0)]:
        assert not verify_inclusion(leaves[0], index, size, [], root)
        with pytest.raises(RefusedInput):
            inclusion(hash_at, index, size)
    for old, new in [(-1, 4), (5, 4)]:
        assert not verify_consistency(old, new, root, root, [])
        with pytest.raises(RefusedInput):
            consistency(hash_at, old, new)
    assert not verify_inclusion(root, 0, 2**63, [], root)
    assert not verify_consistency(2**63, 2**63, root, root, [])
    assert not verify_consistency(0, 0, root, root, [])
    assert not verify_consistency(0, 4, root, root, [])
    assert verify_consistency(0, 0, EMPTY_ROOT, EMPTY_ROOT, [])


# ---- a second implementation


def their_tree(count: int) -> Any:
    """Return the published log in pymerkle."""
    return InmemoryTree.init_from_entries([b"leaf%d" % number for number in range(count)])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 31, 100, 255, 256, 257])
def test_pymerkle_agrees(size: int) -> None:
    """pymerkle computes the same heads, and accepts the proofs that it makes as we accept them."""
    tree, leaves = their_tree(size), numbered(size)
    hash_at = lookup(leaves)
    assert tree.get_root(size) == tree_root(leaves)
    chance = random.Random(size)
    for index in {0, size - 1, *(chance.randrange(size) for _ in range(8))}:
        proof = tree.prove_inclusion(index + 1, size)
        their_inclusion(leaves[index], tree.get_root(size), proof)
        theirs = [one for one in proof.path if one != leaves[index]]
        assert sorted(theirs) == sorted(inclusion(hash_at, index, size))
        old = index + 1
        their_consistency(tree.get_root(old), tree.get_root(size), tree.prove_consistency(old))


@given(st.integers(0, 300), st.integers(0, 300))
def test_proofs_of_random_sizes(one: int, other: int) -> None:
    """What we make passes, at every pair of sizes."""
    old, new = sorted((one, other))
    leaves = numbered(new)
    path = consistency(lookup(leaves), old, new)
    assert verify_consistency(old, new, tree_root(leaves[:old]), tree_root(leaves), path)


def test_a_large_tree() -> None:
    """A tree of 50 000 leaves, grown one by one, equals the definition at every place looked at."""
    check_a_large_tree(50_000)
