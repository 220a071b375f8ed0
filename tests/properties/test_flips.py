# SPDX-License-Identifier: Apache-2.0
"""The smallest changes to the bytes of a signed receipt: one bit, one byte.

The law: bytes that differ from a signed receipt are refused, unless they say the same. They say the
same when they are JSON of the same value (another spelling), or when only `proof.created` or
`proof.verificationMethod` differ, which no signature covers.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.material import METHOD, PUBLIC, Members, signed, statement, wire
from tests.properties.receipts import receipts

from tallystick.crypto.canonical import canonicalize
from tallystick.verify.verification import verify_receipt

SMALL = signed(statement())
BYTES = wire(SMALL)
UNSIGNED = ("created", "verificationMethod")


def unsigned_spans(data: bytes) -> list[range]:
    """Return where the values of the members stand that no signature covers."""
    spans = []
    for name in UNSIGNED:
        start = data.index(f'"{name}":"'.encode()) + len(name) + 4
        spans.append(range(start, data.index(b'"', start)))
    return spans


def says_the_same(one: bytes, other: Members) -> bool:
    """Whether bytes are another spelling of a receipt, unsigned members aside."""
    value: Any = json.loads(one, parse_int=float)  # every number is a double
    for name in UNSIGNED:
        value["proof"][name] = other["proof"][name]
    return canonicalize(value) == canonicalize(other)


@pytest.mark.parametrize("bit", range(8))
def test_every_single_bit_counts(bit: int) -> None:
    """Each bit of each byte of a small receipt: flipped, it is refused.

    Where the flipped bit is in an unsigned member, a receipt may still verify, if the member is
    still of its shape; whoever states the expected method notices that one too.
    """
    free = [place for span in unsigned_spans(BYTES) for place in span]
    for place in range(len(BYTES)):
        flipped = bytearray(BYTES)
        flipped[place] ^= 1 << bit
        report = verify_receipt(bytes(flipped), PUBLIC)
        if report.verified:
            assert place in free, (place, bit)
            assert says_the_same(bytes(flipped), SMALL)
        else:
            assert str(report.verdict) == "refused"


def test_a_flipped_method_is_noticed_by_whoever_expects_one() -> None:
    """With the expected method stated, every bit of it counts as well."""
    _, method = unsigned_spans(BYTES)
    for place in method:
        for bit in range(8):
            flipped = bytearray(BYTES)
            flipped[place] ^= 1 << bit
            assert not verify_receipt(bytes(flipped), PUBLIC, verification_method=METHOD)


@given(st.data())
def test_a_bit_of_any_receipt_counts(data: st.DataObject) -> None:
    """One bit of a receipt of any shape: refused, unless it is in an unsigned member."""
    receipt = data.draw(receipts())
    flipped = bytearray(wire(receipt))
    flipped[data.draw(st.integers(0, len(flipped) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    report = verify_receipt(bytes(flipped), PUBLIC)
    assert not report.verified or says_the_same(bytes(flipped), receipt)


def edits(data: bytes) -> dict[str, list[bytes]]:
    """Return all copies without one byte, with one byte doubled, or with a blank put in."""
    places = range(len(data))
    return {
        "deleted": [data[:at] + data[at + 1 :] for at in places],
        "doubled": [data[:at] + data[at : at + 1] + data[at:] for at in places],
        "blank": [data[:at] + b" " + data[at:] for at in range(len(data) + 1)],
        "line": [data[:at] + b"\n" + data[at:] for at in range(len(data) + 1)],
        "swapped": [data[:at] + data[at : at + 2][::-1] + data[at + 2 :] for at in places],
    }


@pytest.mark.parametrize("kind", sorted(edits(b"")))
def test_every_single_byte_counts(kind: str) -> None:
    """One byte deleted, doubled, put in or swapped: refused, or the same said otherwise."""
    same = 0
    for edited in edits(BYTES)[kind]:
        report = verify_receipt(edited, PUBLIC)
        if report.verified:
            assert says_the_same(edited, SMALL)
            same += edited != BYTES
        else:
            assert str(report.verdict) == "refused"
    assert same > 0  # a blank between members, a digit of `created`: the exceptions do exist


@given(st.data())
def test_a_byte_of_any_receipt_counts(data: st.DataObject) -> None:
    """A few bytes replaced anywhere in a receipt of any shape: the same law."""
    receipt = data.draw(receipts())
    raw = wire(receipt)
    start = data.draw(st.integers(0, len(raw)))
    stop = start + data.draw(st.integers(0, 3))
    put = data.draw(st.binary(max_size=3) | st.sampled_from([b" ", b'"', b"0", b",", b"\\u0041"]))
    edited = raw[:start] + put + raw[stop:]
    report = verify_receipt(edited, PUBLIC)
    assert not report.verified or says_the_same(edited, receipt)


@given(st.data())
def test_bytes_before_and_behind_count(data: st.DataObject) -> None:
    """Nothing but blanks may stand around a receipt."""
    before, behind = data.draw(st.binary(max_size=4)), data.draw(st.binary(max_size=4))
    report = verify_receipt(before + BYTES + behind, PUBLIC)
    if report.verified:
        array = before.strip(b" \t\r\n") == b"[" and behind.strip(b" \t\r\n") == b"]"
        assert array or not (before + behind).strip(b" \t\r\n")
