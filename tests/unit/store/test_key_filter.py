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


def test_a_full_segment_is_seldom_wrong() -> None:
    """With a whole segment of random keys, fewer than one in 150 strange keys is held possible."""
    dice = random.Random(1)
    keys = KeyFilter(GROUP_BYTES)
    keys.add(5, [dice.getrandbits(64) for _ in range(INDEX_SEGMENT_ENTRIES)])
    wrong = sum(keys.segments(dice.getrandbits(64), 64) == [5] for _ in range(6000))
    assert wrong < 40


def test_beyond_its_bound_everything_is_possible() -> None:
    """The oldest groups go first; of their segments none is ruled out any more."""
    keys = KeyFilter(2 * GROUP_BYTES)
    for segment in (0, GROUP_SEGMENTS, 2 * GROUP_SEGMENTS):
        keys.add(segment, [7])
    possible = keys.segments(9, 3 * GROUP_SEGMENTS)
    assert possible == list(range(GROUP_SEGMENTS))
    assert keys.segments(7, 3 * GROUP_SEGMENTS)[-2:] == [GROUP_SEGMENTS, 2 * GROUP_SEGMENTS]
    assert keys.segments(9, 2) == [0, 1]
