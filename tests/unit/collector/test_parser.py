# SPDX-License-Identifier: Apache-2.0
"""The program of a parser process."""

from __future__ import annotations

import io
import signal
from collections.abc import Iterator

import pytest
from tests.lines import honest_lines

from tallystick.collector.ingest import parse_submissions
from tallystick.collector.parser import serve
from tallystick.collector.portion import parsed_from, question
from tallystick.verify.pieces import pieces

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def signals_as_they_were() -> Iterator[None]:
    before = {one: signal.getsignal(one) for one in SIGNALS}
    yield
    for one, handler in before.items():
        signal.signal(one, handler)


def answers_to(data: bytes) -> list[bytes]:
    answers = io.BytesIO()
    serve(io.BytesIO(data), answers)
    answers.seek(0)
    return list(pieces(answers))


def test_each_portion_is_answered_in_order() -> None:
    """With its number and what each line says; half a portion is not answered."""
    portions = [honest_lines(3), [b"{}"]]
    asked = [question(at, lines) for at, lines in enumerate(portions)]
    answers = answers_to(b"".join(asked) + asked[0][:-1])
    assert len(answers) == 2
    assert parsed_from(answers[0], 0, "t", portions[0]) == parse_submissions("t", portions[0])
    (refused,) = parsed_from(answers[1], 1, "t", portions[1])
    assert getattr(refused, "name", "") == "malformed-receipt"


def test_signals_to_a_whole_service_are_not_for_it() -> None:
    """The collector needs it to the end of what it has begun."""
    answers_to(b"")
    assert {signal.getsignal(one) for one in SIGNALS} == {signal.SIG_IGN}
