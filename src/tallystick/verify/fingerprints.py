# SPDX-License-Identifier: Apache-2.0
"""Finds repeated texts among millions, with eight bytes for each.

A text is kept as a 64-bit fingerprint: Python's own `hash` of text, SipHash under a key that is
drawn anew in every process. Fingerprints are spread over buckets, so that sorting needs the memory
of one bucket. A hit is only a suspicion: the caller reads its input again and compares the texts.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterator

_BUCKETS = 1024
_MASK = 2**64 - 1


def fingerprint(text: str) -> int:
    """Return the 64-bit keyed fingerprint of a text; equal for equal texts in this process."""
    return hash(text) & _MASK


def in_chain(chain_id: str | None, text: str) -> str:
    """Return a text that is another one in each chain, whatever characters both are made of."""
    return f"{len(chain_id or '')}:{chain_id}:{text}"


def _bucket() -> array[int]:
    return array("Q")


class Fingerprints:
    """A multiset of fingerprints."""

    def __init__(self) -> None:
        # Made when first used: to look at one receipt should not cost a thousand of them.
        self._buckets: defaultdict[int, array[int]] = defaultdict(_bucket)

    def add(self, text: str) -> None:
        """Add the fingerprint of a text."""
        mark = hash(text) & _MASK
        self._buckets[mark & (_BUCKETS - 1)].append(mark)

    def repeated(self) -> Iterator[int]:
        """Yield each fingerprint that was added more than once."""
        for bucket in self._buckets.values():
            marks = sorted(bucket)
            last = hit = -1
            for mark in marks:
                if mark == last and mark != hit:
                    hit = mark
                    yield mark
                last = mark
