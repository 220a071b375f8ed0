# SPDX-License-Identifier: Apache-2.0
"""A second process that checks signatures."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence

import pytest

from tallystick.crypto.checking import pack
from tallystick.crypto.ed25519 import SigningKey
from tallystick.verify.checker_process import CheckerProcess

KEY = SigningKey.from_seed(bytes(32))
GOOD = (KEY.sign(b"m"), b"m", KEY.public_key)
BAD = (KEY.sign(b"m"), b"n", KEY.public_key)


@pytest.fixture
def checker() -> Iterator[CheckerProcess]:
    one = CheckerProcess()
    yield one
    one.end()


def answers(checker: CheckerProcess, pieces: int) -> list[Sequence[int]]:
    got: list[Sequence[int]] = []
    while len(got) < pieces:
        got += checker.receive()
    return got


def test_pieces_are_answered_in_order(checker: CheckerProcess) -> None:
    """Each piece that was handed over gets as many answers as it has questions."""
    for asked in ([GOOD, BAD], [BAD], [GOOD] * 40):
        checker.ask(pack(asked), len(asked))
    assert [list(one) for one in answers(checker, 3)] == [[1, 0], [0], [1] * 40]


def ask_on_and_on(checker: CheckerProcess) -> None:
    while True:  # its two ends of the pipes need not close at the same moment
        checker.ask(pack([GOOD]), 1)


def test_one_that_is_gone_is_an_error(checker: CheckerProcess) -> None:
    """Whoever waits for one that was killed is told, at once."""
    checker.ask(pack([GOOD]), 1)
    assert answers(checker, 1)
    os.kill(checker.pid, signal.SIGKILL)
    with pytest.raises(ChildProcessError, match="is gone"):
        checker.receive()
    with pytest.raises(BrokenPipeError):
        ask_on_and_on(checker)


def test_what_is_no_piece_ends_it(checker: CheckerProcess) -> None:
    """A checker that can't read what it is given answers nothing, rather than anything."""
    checker.ask(b"?", 1)
    with pytest.raises(ChildProcessError, match="is gone"):
        checker.receive()


def test_answers_without_questions_are_refused(checker: CheckerProcess) -> None:
    """More answers than questions would be taken for those to what is asked next."""
    checker.ask(pack([GOOD, BAD]), 1)
    with pytest.raises(ChildProcessError, match="not asked"):
        answers(checker, 2)
