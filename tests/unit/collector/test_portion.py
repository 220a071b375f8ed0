# SPDX-License-Identifier: Apache-2.0
"""Portions of batches between two processes: what comes back is what would be found here."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.lines import honest_lines, strange_lines

from tallystick.collector.ingest import parse_submissions
from tallystick.collector.portion import answer, is_same, lines_asked, parsed_from, question
from tallystick.model.submission import Submission
from tallystick.verify.pieces import pieces

LINES = [*honest_lines(2), *strange_lines()]


def asked_in(data: bytes) -> tuple[int, list[bytes]]:
    (piece,) = pieces(BytesIO(data))
    return lines_asked(piece)


def there_and_back(lines: list[bytes], number: int = 7) -> Any:
    asked_number, asked = asked_in(question(number, lines))
    piece = answer(asked_number, parse_submissions("", asked))
    return parsed_from(piece, number, "t", lines)


def test_a_question_is_read_as_it_was_asked() -> None:
    """Number and lines, whatever bytes are in them."""
    for number, lines in ((0, [b"{}"]), (2**40 + 10, [b"\r", b"\0", b" a "]), (10, [b"\n"[1:]])):
        assert asked_in(question(number, lines)) == (number, lines)


@given(st.data())
def test_the_way_there_and_back_changes_nothing(data: st.DataObject) -> None:
    """Any lines in any order, whole or with a byte changed: submissions and refusals are equal."""
    lines = data.draw(st.lists(st.sampled_from(LINES), min_size=1, max_size=8))
    at = data.draw(st.integers(0, len(lines) - 1))
    place = data.draw(st.integers(0, len(lines[at]) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda one: one != 10))
    lines[at] = lines[at][:place] + bytes([byte]) + lines[at][place + 1 :]
    here = parse_submissions("t", lines)
    for one, other in zip(there_and_back(lines), here, strict=True):
        assert is_same(one, other)
        assert not isinstance(one, Submission) or one.tenant == "t"


def test_every_kind_of_line_is_among_them() -> None:
    """Some are refused, and some are not."""
    parsed = parse_submissions("t", LINES)
    kept = sum(isinstance(one, Submission) for one in parsed)
    assert 10 < kept < len(parsed) - 10


@pytest.fixture
def answered() -> list[Any]:
    """An answer to a receipt and a line that is none, taken apart."""
    lines = [LINES[0], b"{}"]
    found: list[Any] = msgspec.msgpack.decode(answer(3, parse_submissions("", lines)))
    return found


def change(answered: list[Any], name: str) -> Any:
    _, columns, refused = answered
    changed: dict[str, Any] = {
        "another number": [4, columns, refused],
        "a line too few": [3, columns[:1], []],
        "a line too many": [3, [*columns, None], [*refused, [2, *refused[0][1:]]]],
        "no reason": [3, columns, []],
        "two reasons": [3, columns, [*refused, refused[0]]],
        "the reason of another line": [3, columns, [[0, *refused[0][1:]]]],
        "a place that is none": [3, columns, [[-1, *refused[0][1:]]]],
        "a reason that is none": [3, columns, [[1, "x", "", {}]]],
        "members that are none": [3, columns, [[1, *refused[0][1:3], {"where": 1}]]],
        "a short digest": [3, [[*columns[0][:7], b"", columns[0][8]], None], refused],
        "a digest as text": [3, [[*columns[0][:7], "x" * 32, columns[0][8]], None], refused],
        "a column too few": [3, [columns[0][:-1], None], refused],
        "a sequence as text": [3, [[*columns[0][:3], "1", *columns[0][4:]], None], refused],
        "a name that is none": [3, [[None, *columns[0][1:]], None], refused],
        "not a list": {"a": 1},
    }
    return changed[name]


@pytest.mark.parametrize(
    "name",
    [
        "another number",
        "a line too few",
        "a line too many",
        "no reason",
        "two reasons",
        "the reason of another line",
        "a place that is none",
        "a reason that is none",
        "members that are none",
        "a short digest",
        "a digest as text",
        "a column too few",
        "a sequence as text",
        "a name that is none",
        "not a list",
    ],
)
def test_an_answer_of_another_form_is_none(answered: list[Any], name: str) -> None:
    """Nothing is made of it."""
    piece = msgspec.msgpack.encode(change(answered, name))
    with pytest.raises(ValueError, match="it "):
        parsed_from(piece, 3, "t", [LINES[0], b"{}"])
    assert parsed_from(msgspec.msgpack.encode(answered), 3, "t", [LINES[0], b"{}"])


@pytest.mark.parametrize("cut", [0, 1, -1])
def test_bytes_that_are_no_answer_are_none(answered: list[Any], cut: int) -> None:
    """Half an answer is no answer."""
    with pytest.raises(ValueError, match="another form"):
        parsed_from(msgspec.msgpack.encode(answered)[:cut], 3, "t", [LINES[0], b"{}"])


def test_what_differs_is_not_the_same() -> None:
    """A receipt and a refusal, two refusals, two receipts."""
    one, other, no, other_no = parse_submissions("t", [*LINES[:2], b"x", b"{}"])
    for first, second in ((one, other), (one, no), (no, one), (no, other_no)):
        assert not is_same(first, second)
        assert is_same(first, first)
    assert is_same(no, parse_submissions("t", [b"x"])[0])
