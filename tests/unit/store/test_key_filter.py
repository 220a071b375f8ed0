# SPDX-License-Identifier: Apache-2.0
"""The filter of keys: never wrongly no, seldom wrongly yes, bounded."""

from __future__ import annotations

import random

from tallystick.limits import INDEX_SEGMENT_ENTRIES
from tallystick.store.key_filter import GROUP_BYTES, GROUP_SEGMENTS, KeyFilter


def test_a_key_is_found_in_each_of_its_segments() -> None:
    """What was added is possible; what lies in later segments than asked for is left out."""
    keys = KeyFilter(8 * GROUP_BYTES)
    keys.add(0, [7, 8])
    keys.add(3, [7])
    keys.add(GROUP_SEGMENTS + 1, [7])
    assert keys.segments(7, 1000) == [0, 3, GROUP_SEGMENTS + 1]
    assert keys.segments(7, 3) == [0]
    assert keys.segments(9, 1000) == []
    assert KeyFilter(GROUP_BYTES).segments(7, 0) == []


def test_segments_of_a_group_stand_apart() -> None:
    """Each has a bit of its own in words of eight bytes, added in whatever order and parts."""
    dice = random.Random(2)
    own = {segment: dice.getrandbits(64) for segment in range(2 * GROUP_SEGMENTS)}
    keys = KeyFilter(8 * GROUP_BYTES)
    for segment in dice.sample(sorted(own), len(own)):
        keys.add(segment, [5])
        keys.add(segment, iter([own[segment]]))
    assert keys.segments(5, 2 * GROUP_SEGMENTS) == list(own)
    assert all(keys.segments(key, 2 * GROUP_SEGMENTS) == [one] for one, key in own.items())


def test_many_keys_are_asked_as_each_by_itself() -> None:
    """Those that have a segment, and none else; all of them where old groups are dropped."""
    dice = random.Random(3)
    known = [dice.getrandbits(64) for _ in range(50)]
    asked = [*known, *(dice.getrandbits(64) for _ in range(50))]
    keys = KeyFilter(2 * GROUP_BYTES)
    assert keys.possible(asked, 1) == keys.possible(asked, 0) == set()
    keys.add(0, known[:25])
    keys.add(GROUP_SEGMENTS, known[25:])
    assert keys.possible(asked, GROUP_SEGMENTS + 1) == set(known)
    assert keys.possible(asked, GROUP_SEGMENTS) == set(known[:25])
    assert keys.possible([], GROUP_SEGMENTS) == keys.possible(asked, 0) == set()
    keys.add(2 * GROUP_SEGMENTS, [7])
    assert keys.possible(asked, 2 * GROUP_SEGMENTS) == set(asked)


def test_a_full_segment_is_seldom_wrong() -> None:
    """With a whole segment of random keys, fewer than one in 4000 strange keys is held possible.

    A long log has hundreds of segments, and each insert asks all of them about two keys.
    """
    dice = random.Random(1)
    keys = KeyFilter(GROUP_BYTES)
    keys.add(5, [dice.getrandbits(64) for _ in range(INDEX_SEGMENT_ENTRIES)])
    asked = [dice.getrandbits(64) for _ in range(60_000)]
    wrong = keys.possible(asked, 64)
    assert len(wrong) < 15
    assert wrong <= {key for key in asked if keys.segments(key, 64) == [5]}


def test_beyond_its_bound_everything_is_possible() -> None:
    """The oldest groups go first; of their segments none is ruled out any more."""
    keys = KeyFilter(2 * GROUP_BYTES)
    for segment in (0, GROUP_SEGMENTS, 2 * GROUP_SEGMENTS):
        keys.add(segment, [7])
    possible = keys.segments(9, 3 * GROUP_SEGMENTS)
    assert possible == list(range(GROUP_SEGMENTS))
    assert keys.segments(7, 3 * GROUP_SEGMENTS)[-2:] == [GROUP_SEGMENTS, 2 * GROUP_SEGMENTS]
    assert keys.segments(9, 2) == [0, 1]
