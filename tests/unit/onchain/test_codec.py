# SPDX-License-Identifier: Apache-2.0
"""Calls and events have the source's selectors and topics, and survive the way there and back."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tallystick.errors import NodeError
from tallystick.onchain.artifact import DISPUTES, RECEIPTS, REGISTRY
from tallystick.onchain.codec import (
    call_data,
    constructor_data,
    event_members,
    outputs,
    selector,
    topic,
)
from tallystick.onchain.node import Event


def test_the_sources_selector_and_topics() -> None:
    """postReceipt, and the three events that indexers of the source look for."""
    assert selector(RECEIPTS, "postReceipt").hex() == "0c1d4cc2"
    assert topic(RECEIPTS, "ReceiptPosted").hex().startswith("de3c955f4b")
    assert topic(RECEIPTS, "DisputeOpened").hex().startswith("bad4bf9394")
    assert topic(RECEIPTS, "ReceiptFinalized").hex().startswith("fe25e2df8d")


def test_calls() -> None:
    """A call is its selector and its ABI words; a constructor its code and its words."""
    data = call_data(RECEIPTS, "finalize", b"\1" * 32)
    assert data == selector(RECEIPTS, "finalize") + b"\1" * 32
    made = constructor_data(REGISTRY, "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed")
    assert made.endswith(bytes.fromhex("5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"))
    with pytest.raises(KeyError, match="no function"):
        call_data(RECEIPTS, "no such function")


def test_events() -> None:
    """Indexed and other members come back by name; another event's log is refused."""
    topics = (topic(RECEIPTS, "ReceiptPosted"), b"\1" * 32, b"\2" * 32, b"\3" * 32)
    log = Event(block=1, topics=topics, data=(7).to_bytes(32, "big"))
    assert event_members(RECEIPTS, "ReceiptPosted", log) == {
        "receiptId": b"\1" * 32,
        "intentHash": b"\2" * 32,
        "solverId": b"\3" * 32,
        "expiry": 7,
    }
    with pytest.raises(NodeError, match="another event"):
        event_members(RECEIPTS, "ReceiptFinalized", log)
    with pytest.raises(NodeError, match="another form"):
        event_members(RECEIPTS, "ReceiptPosted", replace(log, topics=topics[:2]))
    with pytest.raises(NodeError, match="another form"):
        event_members(RECEIPTS, "ReceiptPosted", replace(log, data=b"\1"))


def test_strings_that_are_none() -> None:
    """A contract takes any bytes for a string: they come back, and can be hashed as they were."""
    words = [0, 0, 0, 0, 0, 0, 0, 8 * 32, 1, 0xFF << 248]
    topics = (topic(RECEIPTS, "TypedReceiptRecorded"), b"\1" * 32, bytes(32))
    data = b"".join(one.to_bytes(32, "big") for one in words)
    found = event_members(
        RECEIPTS, "TypedReceiptRecorded", Event(block=1, topics=topics, data=data)
    )
    assert found["location"].encode(errors="surrogateescape") == b"\xff"


def test_answers_of_other_contracts() -> None:
    """Bytes that a call of ours would not return are refused, not misread."""
    with pytest.raises(NodeError, match="are these our contracts"):
        outputs(RECEIPTS, "getPost", b"")
    assert outputs(DISPUTES, "receiptHub", bytes(12) + b"\5" * 20) == ("0x" + "05" * 20,)
