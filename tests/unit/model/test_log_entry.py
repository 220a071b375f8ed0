# SPDX-License-Identifier: Apache-2.0
"""Entries of a log: 87 bytes, read and written in one way."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.logs import needs_vectors, vectors

from tallystick.errors import CanonicalError, LogFormatError
from tallystick.model.log_entry import (
    ENTRY_BYTES,
    Entry,
    encode_entry,
    parse_entry,
    receipt_digest,
    receipt_id_hash,
)


@needs_vectors
def test_published_entries() -> None:
    """The published entry has the published bytes and leaf; all twelve are read and written."""
    published = vectors()["promise"]
    # The published digests are of raw bytes; ours are of canonical forms. The layout is the same.
    digest = sha256(published["receipt"].encode()).digest()
    entry = Entry(published["time_ms"], digest, receipt_id_hash(published["id"]))
    assert entry.encode().hex() == published["entry5_hex"]
    assert entry.leaf_hash.hex() == published["leaf_hash"]
    assert len(published["entries_hex"]) == 12
    for text in published["entries_hex"]:
        assert parse_entry(bytes.fromhex(text)).encode().hex() == text


@given(st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_both_ways(time_ms: int, digest: bytes) -> None:
    """What is written is read."""
    data = encode_entry(time_ms, digest, digest[::-1])
    assert len(data) == ENTRY_BYTES
    assert parse_entry(data) == Entry(time_ms, digest, digest[::-1])


GOOD = encode_entry(5, bytes(32), bytes(32))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        GOOD[:-1],
        GOOD + b"\0",
        b"T" + GOOD[1:],
        GOOD.replace(b"v1\n", b"v2\n"),
        GOOD[:15] + b"\x80" + GOOD[16:],
    ],
)
def test_other_bytes_are_no_entry(data: bytes) -> None:
    """Another length, another beginning, or a time beyond 2^63."""
    with pytest.raises(LogFormatError):
        parse_entry(data)


def test_the_digest_is_of_the_whole_receipt() -> None:
    """Order and spelling of a receipt don't matter; every member does, nulls and proof too."""
    one = {"b": 1, "a": [None], "proof": {"proofValue": "u"}}
    same = {"proof": {"proofValue": "u"}, "a": [None], "b": 1.0}
    assert receipt_digest(one) == receipt_digest(same)
    assert receipt_digest(one) == sha256(b'{"a":[null],"b":1,"proof":{"proofValue":"u"}}').digest()
    others = [{**one, "c": None}, {**one, "proof": {}}, {"b": 1, "a": [None]}, {**one, "b": 2}]
    assert len({receipt_digest(other) for other in [one, *others]}) == 5
    with pytest.raises(CanonicalError):
        receipt_digest({"a": float("nan")})
