# SPDX-License-Identifier: Apache-2.0
"""RLP is what the yellow paper says, and what the `rlp` library says."""

from __future__ import annotations

from typing import Any

import pytest
import rlp
from hypothesis import given
from hypothesis import strategies as st

from tallystick.crypto.rlp import rlp_encode, rlp_texts
from tallystick.errors import EncodingError


@pytest.mark.parametrize(
    ("item", "encoded"),
    [
        (b"dog", "83646f67"),
        ([b"cat", b"dog"], "c88363617483646f67"),
        (b"", "80"),
        ([], "c0"),
        (0, "80"),
        (15, "0f"),
        (1024, "820400"),
        ([[], [[]], [[], [[]]]], "c7c0c1c0c3c0c1c0"),
        (b"a" * 56, "b838" + "61" * 56),
    ],
)
def test_known_items(item: Any, encoded: str) -> None:
    """The published examples come out."""
    assert rlp_encode(item).hex() == encoded


ITEMS = st.recursive(
    st.binary(max_size=70) | st.integers(min_value=0, max_value=1 << 256),
    lambda inner: st.lists(inner, max_size=8),
    max_leaves=20,
)


@given(ITEMS)
def test_another_library_agrees(item: Any) -> None:
    """Bytes, numbers and lists of any nesting are encoded as `rlp` encodes them."""
    assert rlp_encode(item) == rlp.encode(item)


@pytest.mark.parametrize("item", [-1, True, [False]])
def test_what_has_no_encoding(item: Any) -> None:
    """Negative numbers and truth values are refused."""
    with pytest.raises(EncodingError):
        rlp_encode(item)


@given(st.lists(st.binary(max_size=70), max_size=8), st.binary(min_size=60, max_size=300))
def test_the_first_items_come_back(items: list[bytes], more: bytes) -> None:
    """Short, long and empty ones, out of short and long lists, whatever comes behind them."""
    encoded = rlp_encode([*items, more, [b"a list"]])
    assert rlp_texts(encoded, len(items)) == items
    assert rlp_texts(rlp_encode(items), len(items)) == items
