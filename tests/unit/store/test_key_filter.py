# SPDX-License-Identifier: Apache-2.0
"""The filter of keys: never wrongly no, seldom wrongly yes, bounded."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any, overload

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
    chosen = sorted({*range(10), GROUP_SEGMENTS - 1, *range(GROUP_SEGMENTS, GROUP_SEGMENTS + 9)})
    own = {segment: dice.getrandbits(64) for segment in chosen}
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
    """With a whole group of random keys, fewer than one in 300 strange keys is held possible.

    A long log has several groups, and each insert asks all of them about two keys.
    """
    dice = random.Random(1)
    keys = KeyFilter(GROUP_BYTES)
    some = [dice.getrandbits(64) for _ in range(INDEX_SEGMENT_ENTRIES)]
    for segment in range(GROUP_SEGMENTS):
        change = dice.getrandbits(64)
        keys.add(segment, [key ^ change for key in some])
    asked = [dice.getrandbits(64) for _ in range(20_000)]
    wrong = keys.possible(asked, GROUP_SEGMENTS)
    assert 0 < len(wrong) < 65
    assert wrong == {key for key in asked if keys.segments(key, GROUP_SEGMENTS)}


def test_beyond_its_bound_everything_is_possible() -> None:
    """The oldest groups go first; of their segments none is ruled out any more."""
    keys = KeyFilter(2 * GROUP_BYTES)
    for segment in (0, GROUP_SEGMENTS, 2 * GROUP_SEGMENTS):
        keys.add(segment, [7])
    possible = keys.segments(9, 3 * GROUP_SEGMENTS)
    assert possible == list(range(GROUP_SEGMENTS))
    assert keys.segments(7, 3 * GROUP_SEGMENTS)[-2:] == [GROUP_SEGMENTS, 2 * GROUP_SEGMENTS]
    assert keys.segments(9, 2) == [0, 1]


class Meanwhile(Sequence[int]):
    """Keys that are asked for while another thread goes on: it does so when they are looked at."""

    def __init__(self, keys: Sequence[int], then: Callable[[], None]) -> None:
        self._keys = keys
        self._then = then

    @overload
    def __getitem__(self, at: int) -> int: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[int]: ...
    def __getitem__(self, at: int | slice) -> int | Sequence[int]:
        return self._keys[at]

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[int]:
        self._then()
        return iter(self._keys)


class Key(int):
    """A key of which the same holds."""

    then: Callable[[], None]

    def __rshift__(self, bits: int) -> int:
        self.then()
        return int(self) >> bits


def growing() -> tuple[KeyFilter, Callable[[], None]]:
    """Return a filter of two groups that know a key, and what makes it drop both."""
    keys = KeyFilter(2 * GROUP_BYTES)
    for segment in (0, GROUP_SEGMENTS):
        keys.add(segment, [7])

    def grow() -> None:
        for segment in (2 * GROUP_SEGMENTS, 3 * GROUP_SEGMENTS):
            keys.add(segment, [])

    return keys, grow


def test_a_group_that_is_dropped_under_the_look_rules_nothing_out() -> None:
    """Another thread drops it between two steps of a question: then all is possible in it."""
    keys, grow = growing()
    assert keys.possible(Meanwhile([9, 10], grow), 2 * GROUP_SEGMENTS) == {9, 10}
    keys, grow = growing()
    key = Key(9)
    key.then = grow
    assert keys.segments(key, 2 * GROUP_SEGMENTS - 1) == list(range(2 * GROUP_SEGMENTS - 1))


def test_a_group_is_told_to_be_dropped_before_it_goes() -> None:
    """There is no moment at which a key of a group that goes is taken for one that nobody has."""
    keys = KeyFilter(GROUP_BYTES)
    seen: list[tuple[set[int], list[int]]] = []

    class Groups(dict[int, Any]):
        """Looked at by another thread in the very moment in which one goes."""

        def __delitem__(self, number: int) -> None:
            super().__delitem__(number)
            seen.append((keys.possible([7], 1), keys.segments(7, 1)))

    keys._groups = Groups()
    keys.add(0, [7])
    keys.add(GROUP_SEGMENTS, [8])
    assert seen == [({7}, [0])]
