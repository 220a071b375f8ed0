# SPDX-License-Identifier: Apache-2.0
"""Numbers, hashes and lines of a log's files: exactly one spelling of each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.errors import LogFormatError
from tallystick.limits import PATH_HASHES_MAX
from tallystick.model.log_text import (
    NUMBER_MAX,
    after,
    encode_proof,
    hash_in,
    lines_of,
    number_in,
    path_from,
    split_proof,
)


@given(st.integers(0, NUMBER_MAX))
def test_numbers(number: int) -> None:
    """Each number has its decimal digits, and no more."""
    assert number_in(str(number), "it") == number


@pytest.mark.parametrize(
    "text",
    ["", "00", "08", "+8", "-1", " 8", "8 ", "8\n", "1_0", "８", "٨", "8.0", "1e3", "0x8",
     str(2**63), "9" * 5000],
)  # fmt: skip
def test_other_spellings_of_numbers(text: str) -> None:
    """What Python would read besides is refused."""
    with pytest.raises(LogFormatError, match="it is not a number"):
        number_in(text, "it")


@pytest.mark.parametrize("text", ["", "AAAA", "A" * 44, "A" * 43, "A" * 43 + "=\n", "a" * 64])
def test_other_spellings_of_hashes(text: str) -> None:
    """32 bytes in canonical base64, and nothing else."""
    with pytest.raises(LogFormatError):
        hash_in(text, "it")
    assert hash_in("A" * 43 + "=", "it") == bytes(32)


def test_lines() -> None:
    """A line stands after its word; a text has its number of lines, each with its end."""
    assert after("by", "by  5") == " 5"
    for line in ("by", "bye 5", "By 5", ""):
        with pytest.raises(LogFormatError):
            after("by", line)
    assert lines_of("a\nb\n", 2, "it") == ["a", "b"]
    for text in ("a\nb", "a\n", "a\nb\n\n", "a\nb\nc\n", ""):
        with pytest.raises(LogFormatError):
            lines_of(text, 2, "it")


def test_proofs() -> None:
    """A proof is parted at its first empty line, however many follow."""
    data = encode_proof(["head"], [bytes(32)], b"text\n\nmore\n")
    lines, note = split_proof(data, 1000, "it")
    assert (lines[0], note) == ("head", b"text\n\nmore\n")
    assert path_from(lines[1:], "it") == (bytes(32),)
    assert len(path_from(lines[1:] * PATH_HASHES_MAX, "it")) == PATH_HASHES_MAX
    with pytest.raises(LogFormatError, match="path"):
        path_from(lines[1:] * (PATH_HASHES_MAX + 1), "it")
    for wrong in (b"no empty line\n", b"\xff\n\nnote\n", b"x" * 1001):
        with pytest.raises(LogFormatError):
            split_proof(wrong, 1000, "it")
