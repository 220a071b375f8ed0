# SPDX-License-Identifier: Apache-2.0
"""Repeated texts are found among many, with eight bytes for each."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tallystick.verify.fingerprints import Fingerprints, fingerprint, in_chain


def test_fingerprints_fit_in_eight_bytes() -> None:
    """A fingerprint is a number of 64 bits, and the same for the same text."""
    for text in ("", "a", "urn:receipt:1", "\U0001f600" * 100):
        assert 0 <= fingerprint(text) < 2**64
        assert fingerprint(text) == fingerprint("".join(list(text)))
    assert fingerprint("a") != fingerprint("b")


@given(st.lists(st.text(max_size=3), max_size=60))
def test_exactly_the_repeated_are_found(texts: list[str]) -> None:
    """Each text that was added more than once is named, once, and no other."""
    seen = Fingerprints()
    for text in texts:
        seen.add(text)
    repeated = list(seen.repeated())
    expected = [fingerprint(text) for text, count in Counter(texts).items() if count > 1]
    assert sorted(repeated) == sorted(expected)


def test_many_texts_fall_into_many_buckets() -> None:
    """Among ten thousand, the three that come again are found."""
    seen = Fingerprints()
    for number in range(10_000):
        seen.add(f"id-{number}")
    assert list(seen.repeated()) == []
    for number in (5, 5, 77, 9_999):
        seen.add(f"id-{number}")
    assert set(seen.repeated()) == {fingerprint(f"id-{number}") for number in (5, 77, 9_999)}


def test_a_text_takes_ten_bytes() -> None:
    """Of an id and of a key less is kept than half of the 24 bytes that are promised for both."""
    seen = Fingerprints()
    for number in range(200_000):
        seen.add(f"urn:receipt:{number}")
    kept = sum(sys.getsizeof(bucket) for bucket in seen._buckets)
    assert kept <= 200_000 * 10


def test_every_process_has_its_own_key() -> None:
    """Nobody can make texts beforehand whose fingerprints are equal."""
    program = "from tallystick.verify.fingerprints import fingerprint; print(fingerprint('a'))"
    free = {name: value for name, value in os.environ.items() if name != "PYTHONHASHSEED"}
    marks = {
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=free
        ).stdout
        for _ in range(3)
    }
    assert len(marks) == 3


@given(*[st.text(alphabet="a1:\0", max_size=3)] * 4)
def test_texts_of_different_chains_differ(one: str, text: str, other: str, its: str) -> None:
    """Wherever the name of a chain ends, and whatever follows it."""
    assert (in_chain(one, text) == in_chain(other, its)) == ((one, text) == (other, its))
