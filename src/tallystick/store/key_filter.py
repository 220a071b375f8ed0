# SPDX-License-Identifier: Apache-2.0
"""Which segments of the log may hold a key: answered from memory, never wrongly no.

A Bloom filter for each segment, 64 of them side by side: bit s of a word belongs to segment s, so
that one lookup reads at most four words for 64 segments. At 32 bits for each key, one in 5000 keys
that a full segment lacks is held for possible. Before it stands one filter for all 64 together, of
a byte for each key: one look into it rules out eight keys of nine that none of the 64 has. So in a
log of 10^7 entries one insert in a hundred looks into a run that lacks its id.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Final, NamedTuple

from tallystick.limits import INDEX_SEGMENT_ENTRIES

# Segments whose filters lie side by side in one group: the bits of a word.
GROUP_SEGMENTS: Final = 64

_POSITIONS: Final = INDEX_SEGMENT_ENTRIES * 32
_MASK: Final = _POSITIONS - 1

# The filter of a whole group: so many bits, and the byte that a bit is in.
_FLAGS: Final = GROUP_SEGMENTS * INDEX_SEGMENT_ENTRIES * 8
_BYTE: Final = _FLAGS // 8 - 1

# Keys that are noted in one go: half a millisecond.
KEYS_AT_ONCE: Final = 1024

# Is called between two portions.
Rest = Callable[[], None]

GROUP_BYTES: Final = _POSITIONS * 8 + _FLAGS // 8


class _Group(NamedTuple):
    """64 segments: the words that tell them apart, and the flags of all together."""

    words: array[int]
    flags: bytearray


class KeyFilter:
    """Grows by one group for each 64 segments; beyond its bound it calls everything possible."""

    def __init__(self, bytes_max: int) -> None:
        self._groups_max = max(1, bytes_max // GROUP_BYTES)
        self._groups: dict[int, _Group] = {}
        self._first = 0

    def _group(self, segment: int) -> _Group:
        """Return a segment's group, made anew where there was none."""
        number = segment // GROUP_SEGMENTS
        found = self._groups.get(number)
        if found is None:
            words = array("Q", bytes(_POSITIONS * 8))
            found = self._groups[number] = _Group(words, bytearray(_FLAGS // 8))
            while len(self._groups) > self._groups_max:
                oldest = min(self._groups)
                # First: who looks meanwhile must not take a group that is dropped for an empty one.
                self._first = max(self._first, oldest + 1)
                del self._groups[oldest]
        return found

    def add(self, segment: int, keys: Iterable[int], rest: Rest = lambda: None) -> None:
        """Note that a segment holds these keys. Only their lowest 48 bits count.

        Its byte is taken out of all words and put back into them: a megabyte stays in the
        processor's cache, eight don't. `rest` is called between portions of the keys.
        """
        place, bit = divmod(segment % GROUP_SEGMENTS, 8)
        at = place if sys.byteorder == "little" else 7 - place
        words, flags = self._group(segment)
        column = memoryview(words).cast("B")[at::8]
        part, bit = bytearray(column), 1 << bit
        left = iter(keys)
        while some := [*islice(left, KEYS_AT_ONCE)]:
            for key in some:
                part[key & _MASK] |= bit
                part[key >> 9 & _MASK] |= bit
                part[key >> 18 & _MASK] |= bit
                part[key >> 28 & _MASK] |= bit
                flags[key >> 3 & _BYTE] |= 1 << (key & 7)
            rest()
        column[:] = part

    def possible(self, keys: Sequence[int], stop: int) -> set[int]:
        """Return those of many keys that `segments` may find anything for, at a third of its cost.

        Segments from `stop` on may count, too.
        """
        found: set[int] = set()
        if self._first and stop:
            return set(keys)
        for number in range(-(-stop // GROUP_SEGMENTS)):
            group = self._groups.get(number)
            if group is not None:
                words, flags = group
                found.update(
                    [
                        key
                        for key in keys
                        if flags[key >> 3 & _BYTE] >> (key & 7) & 1
                        and (bits := words[key & _MASK] & words[key >> 28 & _MASK])
                        and bits & words[key >> 9 & _MASK] & words[key >> 18 & _MASK]
                    ]
                )
            elif number < self._first:  # dropped by another thread meanwhile
                return set(keys)
        return found

    def segments(self, key: int, stop: int) -> list[int]:
        """Return the segments below `stop` that may hold a key, oldest first."""
        began = self._first
        found = list(range(min(began * GROUP_SEGMENTS, stop)))
        byte, bit = key >> 3 & _BYTE, key & 7
        first, second, third, fourth = (
            key & _MASK, key >> 9 & _MASK, key >> 18 & _MASK, key >> 28 & _MASK,
        )  # fmt: skip
        for number in range(began, -(-stop // GROUP_SEGMENTS)):
            group = self._groups.get(number)
            if group is None:
                if number < self._first:  # dropped by another thread meanwhile
                    base = number * GROUP_SEGMENTS
                    found += range(base, min(base + GROUP_SEGMENTS, stop))
                continue
            words, flags = group
            if flags[byte] >> bit & 1:
                bits = words[first] & words[second] & words[third] & words[fourth]
                base = number * GROUP_SEGMENTS
                while bits:
                    low = bits & -bits
                    segment = base + low.bit_length() - 1
                    if segment < stop:
                        found.append(segment)
                    bits ^= low
        return found
