# SPDX-License-Identifier: Apache-2.0
"""Statements with a gap: filled, they are what would have been stated at that place at once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledgers import NOON_MS, PEER
from tests.portions import SETTINGS, ids

from tallystick.chain.gapped import Gap, filled
from tallystick.chain.issue import timestamp
from tallystick.chain.straight import Stated, state_straight
from tallystick.crypto.digest import sha256_tagged
from tallystick.daemon.drafting import draft_receipt
from tallystick.errors import ReceiptError
from tallystick.limits import RECEIPT_BYTES_MAX
from tallystick.model.chain import Head, Link
from tallystick.model.frame import parse_frame

GAP = Gap("0123456789abcdef0123456789abcdef")
MARK = b'{"chain_id":"0123456789abcdef0123456789abcdef","previous_receipt_hash":null,"sequence":1}'
HASH = "sha256:" + "a" * 64
LINK = Head(chain_id="2026-03-10", sequence=6, hash=HASH).link()
LINKS = st.builds(
    Head,
    chain_id=st.text(min_size=1, max_size=12),
    sequence=st.integers(0, 2**53 - 2),
    hash=st.none() | st.just(HASH),
).map(Head.link) | st.builds(
    Head(chain_id="c", sequence=6, hash=HASH).link,
    terminal=st.just(True),
    status=st.sampled_from(("complete", "interrupted")),
)


def stated(link: Link, **members: Any) -> Stated:
    """State a frame at a place, with the same ids each time."""
    whole = {
        "v": "1",
        "ts_emit": "2026-11-21T18:50:13Z",
        "session_id": "s",
        "channel": "mcp",
        "tool": {"name": "t"},
        "decision": "allowed",
        **members,
    }
    frame = parse_frame(json.dumps(whole).encode())
    draft = draft_receipt(frame, PEER, "did:user:u", SETTINGS, is_parsed=True)
    moment = timestamp(NOON_MS * 1_000_000)
    return state_straight(chain=link, moment=moment, ids=ids(), **draft)


@given(LINKS)
def test_a_filled_gap_is_no_gap(link: Link) -> None:
    """At whatever place: the bytes and the hash that are stated there at once."""
    before, after = GAP.cut(stated(GAP.link).statement)
    there = stated(link)
    assert filled(before, link, after) == (there.statement, there.hash)
    assert there.hash == sha256_tagged(there.statement)


@pytest.mark.parametrize("text", ["chain", MARK.decode(), json.dumps(MARK.decode()), '"' + "}" * 9])
def test_texts_of_emitters_are_no_gap(text: str) -> None:
    """Not even the very text of a link, wherever an emitter may write."""
    members = {
        "error": text,
        "prompt_preview": text,
        "usage": {"a": text, "chain": {"chain_id": "c", "sequence": 1}},
        "rule": {"reason": text},
    }
    before, after = GAP.cut(stated(GAP.link, **members).statement)
    there = stated(LINK, **members)
    assert filled(before, LINK, after) == (there.statement, there.hash)


def test_another_link_is_no_gap() -> None:
    """An emitter can write a whole link as a value; its name is not the one of the gap."""
    usage = {"chain_id": "guessed", "previous_receipt_hash": None, "sequence": 1}
    before, after = GAP.cut(stated(GAP.link, usage=usage).statement)
    assert filled(before, LINK, after)[0] == stated(LINK, usage=usage).statement


def test_a_name_that_was_guessed_is_found_out() -> None:
    """Where a value is the gap itself, nobody can tell which: the statement is refused."""
    usage = json.loads(MARK)
    with pytest.raises(ValueError, match="another place than one"):
        GAP.cut(stated(GAP.link, usage=usage).statement)


@pytest.mark.parametrize("statement", [b"", b"{}", MARK[:-1], MARK + MARK, b"a" + MARK * 3 + b"b"])
def test_one_gap_is_needed(statement: bytes) -> None:
    """None is no place, and two are none either."""
    with pytest.raises(ValueError, match="another place than one"):
        GAP.cut(statement)
    assert GAP.cut(b"a" + MARK + b"b") == (b"a", b"b")


def test_what_is_too_long_is_refused() -> None:
    """With its place a statement leaves room for its proof, or there is none."""
    with pytest.raises(ReceiptError, match="over the limit"):
        filled(b"x" * RECEIPT_BYTES_MAX, LINK, b"")
    with pytest.raises(ReceiptError, match="over the limit"):
        filled(b"", LINK, b"x" * RECEIPT_BYTES_MAX)


def test_gaps_of_other_names_differ() -> None:
    """A statement with the gap of another process has none of ours."""
    with pytest.raises(ValueError, match="another place"):
        GAP.cut(stated(Gap("another").link).statement)
