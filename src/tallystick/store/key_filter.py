# SPDX-License-Identifier: Apache-2.0
"""Which segments of the log may hold a key: answered from memory, never wrongly no.

A Bloom filter for each segment, 64 of them side by side: bit s of a word belongs to segment s, so
that one lookup reads at most five words for 64 segments. At 32 bits for each key, one in 15 000
keys that a full segment lacks is held for possible. In a log of 10^7 entries one insert in 25 then
looks into a run that lacks its keys; with 16 bits and four words, each looked into 1.5 of them.

Before it stands one filter for all 64 together, of 8 bits for each key: it rules out 19 keys of 20
that none of them has by two bytes, and mostly by one.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from tallystick.limits import INDEX_SEGMENT_ENTRIES

# Segments whose filters lie side by side in one group: the bits of a word.
GROUP_SEGMENTS: Final = 64

_POSITIONS: Final = INDEX_SEGMENT_ENTRIES * 32
_MASK: Final = _POSITIONS - 1

# The filter of a whole group: so many bits, and the byte that a bit is in.
_FLAGS: Final = GROUP_SEGMENTS * INDEX_SEGMENT_ENTRIES * 8
_BYTE: Final = _FLAGS // 8 - 1

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
                del self._groups[oldest]
                self._first = max(self._first, oldest + 1)
        return found

    def add(self, segment: int, keys: Iterable[int]) -> None:
        """Note that a segment holds these keys. Only their lowest 48 bits count.

        Its byte is taken out of all words and put back into them: a megabyte stays in the
        processor's cache, eight don't.
        """
        place, bit = divmod(segment % GROUP_SEGMENTS, 8)
        at = place if sys.byteorder == "little" else 7 - place
        words, flags = self._group(segment)
        column = memoryview(words).cast("B")[at::8]
        part, bit = bytearray(column), 1 << bit
        for key in keys:
            part[key & _MASK] |= bit
            part[key >> 7 & _MASK] |= bit
            part[key >> 14 & _MASK] |= bit
            part[key >> 21 & _MASK] |= bit
            part[key >> 28 & _MASK] |= bit
            flags[key >> 3 & _BYTE] |= 1 << (key & 7)
            flags[key >> 27 & _BYTE] |= 1 << (key >> 24 & 7)
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
                        and flags[key >> 27 & _BYTE] >> (key >> 24 & 7) & 1
                        and (bits := words[key & _MASK] & words[key >> 28 & _MASK])
                        and (bits := bits & words[key >> 14 & _MASK])
                        and bits & words[key >> 7 & _MASK] & words[key >> 21 & _MASK]
                    ]
                )
            elif number < self._first:  # dropped by another thread meanwhile
                return set(keys)
        return found

    def segments(self, key: int, stop: int) -> list[int]:
        """Return the segments below `stop` that may hold a key, oldest first."""
        began = self._first
        found = list(range(min(began * GROUP_SEGMENTS, stop)))
        first, last = key & _MASK, key >> 28 & _MASK
        between = (key >> 7 & _MASK, key >> 14 & _MASK, key >> 21 & _MASK)
        for number in range(began, -(-stop // GROUP_SEGMENTS)):
            group = self._groups.get(number)
            if group is None:
                if number < self._first:  # dropped by another thread meanwhile
                    base = number * GROUP_SEGMENTS
                    found += range(base, min(base + GROUP_SEGMENTS, stop))
                continue
            bits = group.words[first] & group.words[last]
            if bits:
                for position in between:
                    bits &= group.words[position]
                base = number * GROUP_SEGMENTS
                while bits:
                    low = bits & -bits
                    segment = base + low.bit_length() - 1
                    if segment < stop:
                        found.append(segment)
                    bits ^= low
        return found
