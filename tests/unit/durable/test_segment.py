# SPDX-License-Identifier: Apache-2.0
"""The bytes of a journal: what is whole is found, what a crash tore is cut, damage is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.durable.segment import (
    HEADER_BYTES,
    ITEM_BYTES,
    Header,
    Item,
    item_bytes,
    payload_at,
    read_contents,
    read_header,
    whole_items,
)

HEADER = Header(seed=b"12345678")
SECTOR = 512


def file_of(*payloads: bytes, header: Header = HEADER, batch: int = 1) -> bytes:
    """Return a file with these payloads, made stable after each `batch` of them."""
    data, stable = header.to_bytes(), HEADER_BYTES
    for number, payload in enumerate(payloads):
        if number % batch == 0:
            stable = len(data)
        data += item_bytes(
            header, len(data), position=number + 1, kind=7, stable=stable, payload=payload
        )
    return data


def found(data: bytes) -> list[bytes]:
    """Return the payloads of the whole items of a file without damage."""
    contents = read_contents(data, HEADER)
    assert contents.fault is None, contents.fault
    whole = [payload_at(data[item.offset : item.end], HEADER) for item in contents.items]
    assert None not in whole
    return [payload for payload in whole if payload is not None]


def fault_of(data: bytes) -> str | None:
    """Return what is wrong with the items of a file."""
    return read_contents(data, HEADER).fault


@given(st.binary(min_size=8, max_size=8), st.integers(1, 2**63), st.integers(0, 2**63))
def test_a_header_comes_back(seed: bytes, first: int, sealed: int) -> None:
    """What is written is what is read."""
    header = Header(seed=seed, first=first, sealed=sealed)
    assert len(header.to_bytes()) == HEADER_BYTES
    assert read_header(header.to_bytes()) == header


def test_every_flipped_bit_of_a_header_is_told() -> None:
    """No bit of it can change unseen."""
    data = HEADER.to_bytes()
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        assert isinstance(read_header(bytes(changed)), str), bit


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not a journal"),
        (b'{"id":"urn:receipt:"}' * 9, "not a journal"),
        (HEADER.to_bytes()[:-1], "cut short"),
    ],
)
def test_what_is_no_header(data: bytes, says: str) -> None:
    """An empty file, a foreign one and half a header are told apart."""
    assert says in str(read_header(data))


def test_a_later_format_is_named() -> None:
    """A version that we don't know is not read as if we knew it."""
    from tallystick.durable import segment

    body = segment._HEADER.pack(segment._MAGIC, 2, b"12345678", 1, HEADER_BYTES)
    data = body + segment._check(b"12345678", body, 8)
    assert "version 2" in str(read_header(data))


@given(st.lists(st.binary(max_size=700), max_size=6))
def test_items_come_back_in_order(payloads: list[bytes]) -> None:
    """All that was written is found, with its place and kind."""
    data = file_of(*payloads)
    assert found(data) == payloads
    contents = read_contents(data, HEADER)
    assert [item.position for item in contents.items] == list(range(1, len(payloads) + 1))
    assert {item.kind for item in contents.items} <= {7}
    assert contents.end == len(data)
    assert [item.size for item in contents.items] == [ITEM_BYTES + len(one) for one in payloads]


def test_a_file_cut_anywhere_keeps_what_is_whole() -> None:
    """A crash may cut off any suffix that was not stable; whole items before it are all there."""
    payloads = [b"one" * 30, b"two" * 200, b"three" * 5]
    data = file_of(*payloads)
    ends = [HEADER_BYTES] + [item.end for item in read_contents(data, HEADER).items]
    for length in range(HEADER_BYTES, len(data) + 1):
        whole = sum(end <= length for end in ends) - 1
        assert found(data[:length]) == payloads[:whole], length


def test_a_file_grown_but_not_filled_keeps_what_is_whole() -> None:
    """Zeros from any sector on, or from any byte of the last item's check on, are a torn end."""
    payloads = [b"one" * 30, b"two" * 500]
    data = file_of(*payloads)
    first = read_contents(data, HEADER).items[0].end
    for start in range(first - first % SECTOR + SECTOR, len(data), SECTOR):
        assert found(data[:start] + bytes(len(data) - start)) == payloads[:1]
    assert found(data[:first] + bytes(len(data) - first)) == payloads[:1]
    assert found(data[:-4] + bytes(4)) == payloads[:1]


@pytest.mark.parametrize("lost", range(1, 5))
def test_a_lost_sector_of_the_last_batch_is_a_torn_end(lost: int) -> None:
    """Sectors reach the disk in any order: one that is missing tears its item, and no more."""
    payloads = [b"stable" * 10, b"x" * 900, b"y" * 900]
    data = HEADER.to_bytes()
    for position, payload in enumerate(payloads, 1):
        stable = HEADER_BYTES if position == 1 else len(file_of(payloads[0]))
        data += item_bytes(
            HEADER, len(data), position=position, kind=7, stable=stable, payload=payload
        )
    start = lost * SECTOR
    torn = data[:start] + bytes(SECTOR) + data[start + SECTOR :]
    whole = found(torn[: len(data)])
    assert whole == payloads[: len(whole)]
    assert 1 <= len(whole) < 3


def test_every_flipped_byte_is_told_wherever_it_is() -> None:
    """Damage in what was stable is never taken for a torn end, not even in the last item."""
    data = file_of(b"one" * 30, b"two" * 30, b"three" * 200)
    for place in range(HEADER_BYTES, len(data)):
        changed = bytearray(data)
        changed[place] ^= 0x55
        contents = read_contents(bytes(changed), HEADER)
        assert contents.fault is not None, place
        assert len(contents.items) < 3


def test_damage_before_what_followed_is_told_even_where_it_looks_torn() -> None:
    """Zeroed sectors in the middle are damage: later items say that they had been stable."""
    data = file_of(b"a" * 1500, b"b" * 1500, b"c" * 10)
    for start in range(SECTOR, 2900, SECTOR):
        holed = data[:start] + bytes(SECTOR) + data[start + SECTOR :]
        assert "damaged" in str(fault_of(holed)), start


def test_a_batch_does_not_call_itself_stable() -> None:
    """Items of one batch say nothing about each other: the first may be torn and the second not."""
    data = file_of(b"a" * 1500, b"b" * 300, batch=2)
    assert found(data[:SECTOR] + bytes(SECTOR) + data[2 * SECTOR :]) == []


def test_a_sealed_file_is_whole_or_damaged() -> None:
    """What was stable when the file got its name can't be torn, only damaged."""
    whole = file_of(b"one", b"two")
    header = Header(seed=HEADER.seed, sealed=len(whole))
    sealed = file_of(b"one", b"two", header=header)
    assert read_contents(sealed, header).fault is None
    for length in range(HEADER_BYTES, len(sealed)):
        assert read_contents(sealed[:length], header).fault is not None


def test_items_of_another_file_are_not_taken() -> None:
    """An item is bound to its file and to its place in it."""
    other = file_of(b"stale" * 100, header=Header(seed=b"87654321"))
    assert found(HEADER.to_bytes()) == []
    assert "damaged" in str(fault_of(HEADER.to_bytes() + other[HEADER_BYTES:]))
    shifted = file_of(b"one", b"two")
    first = read_contents(shifted, HEADER).items[0]
    assert "damaged" in str(fault_of(HEADER.to_bytes() + shifted[first.end :]))


def test_positions_only_grow() -> None:
    """A repeated position is damage: a file is written once, from its beginning to its end."""
    data = HEADER.to_bytes()
    for _ in range(2):
        data += item_bytes(HEADER, len(data), position=1, kind=0, stable=len(data), payload=b"x")
    assert len(read_contents(data, HEADER).items) == 1
    assert fault_of(data) is not None
    assert len(list(whole_items(data, HEADER))) == 1


@given(st.integers(0, 3), st.data())
def test_salvage_finds_what_is_whole_behind_damage(hit: int, data: st.DataObject) -> None:
    """Whatever happens inside one item, the others are found."""
    payloads = [bytes([65 + number]) * (90 + number) for number in range(4)]
    content = bytearray(file_of(*payloads))
    items = read_contents(bytes(content), HEADER).items
    place = data.draw(st.integers(items[hit].offset, items[hit].end - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    left = list(whole_items(bytes(content), HEADER))
    assert left == items[:hit] + items[hit + 1 :]


def test_payload_at_refuses_what_is_not_whole() -> None:
    """Each byte of an item counts; too few bytes are no item either."""
    data = file_of(b"payload")[HEADER_BYTES:]
    assert payload_at(data, HEADER) == b"payload"
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1
        assert payload_at(bytes(changed), HEADER) is None
    for length in range(len(data)):
        assert payload_at(data[:length], HEADER) is None


def test_an_item_knows_its_extent() -> None:
    """The end of one is the offset of the next."""
    item = Item(position=1, kind=0, offset=HEADER_BYTES, length=10)
    assert item.size == ITEM_BYTES + 10
    assert item.end == HEADER_BYTES + ITEM_BYTES + 10
