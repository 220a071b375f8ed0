# SPDX-License-Identifier: Apache-2.0
"""`tally log verify`: its words are in `tests/sessions/log.txt`, its verdicts in `vectors/log`."""

from __future__ import annotations

import json

import pytest
from tests.command import tally

PROMISE = ("--promise", "receipt.promise", "--sheet", "log.sheet")
PROOF = ("--proof", "receipt.tlog-proof")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("receipt.json", *PROOF), 0),
        (("receipt.json", *PROOF, *PROMISE), 0),
        (("receipt.json", *PROMISE), 3),
        (("receipt.json", *PROMISE, "--checkpoint", "late.checkpoint"), 1),
        (("receipt.json", "--proof", "other.tlog-proof"), 1),
        (("receipt.json", "--proof", "none"), 3),
        (("none", *PROOF), 3),
        (("receipt.json",), 3),
        ((), 2),
        (("--checkpoint", "old.checkpoint"), 2),
        (PROOF, 2),
        (("receipt.json", "--consistency", "consistency.json"), 2),
        (("receipt.json", "--checkpoint", "a", "--checkpoint", "b"), 2),
    ],
)
def test_exit_codes(arguments: tuple[str, ...], code: int) -> None:
    """One exit code for each kind of answer, and a line on standard error with all but 0."""
    answer = tally("log", "verify", *arguments, "--vkey", "log.vkey")
    assert answer.code == code, answer
    assert (answer.err == "") is (code == 0)


def test_as_json() -> None:
    """The report as one object, whatever the verdict."""
    answer = tally("log", "verify", "receipt.json", *PROMISE, "--vkey", "log.vkey", "--json")
    told = json.loads(answer.out)
    assert (told["verdict"], told["index"]) == ("unchecked", 3)
    assert [one["code"] for one in told["findings"]] == ["LOG_PROMISE_PENDING"]
