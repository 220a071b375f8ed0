# SPDX-License-Identifier: Apache-2.0
"""Files of a log as arguments."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.logs import LOG_KEY

from tallystick.cli.log_files import log_key_from, promise_in, read_file
from tallystick.cli.output import Exit, Stop
from tallystick.crypto.note import PLAIN, private_key_text


def test_a_key_or_its_file() -> None:
    """Both name the same key; the file may end with a line's end."""
    text = LOG_KEY.verifier.encode()
    assert log_key_from(text) == log_key_from("log.vkey") == LOG_KEY.verifier


@pytest.mark.parametrize("text", ["", "none", "agent.pub", "a+b+c", "garbage.json"])
def test_what_is_no_key(text: str) -> None:
    """Wrong usage, with a word on what is wanted."""
    with pytest.raises(Stop, match="--vkey") as caught:
        log_key_from(text)
    assert caught.value.code == Exit.USAGE


def test_a_private_key_is_not_repeated() -> None:
    """Who gives the private key by mistake does not find it in a log."""
    secret = private_key_text("log.example", PLAIN, b"s" * 32)
    for text in (secret, "secret.key"):
        Path("secret.key").write_text(secret)
        with pytest.raises(Stop) as caught:
            log_key_from(text)
        assert secret.rpartition("+")[2] not in caught.value.line


def test_files_have_a_limit() -> None:
    """What is larger than it could be is not read."""
    assert read_file("log.vkey", 100_000)
    with pytest.raises(Stop) as caught:
        read_file("log.vkey", 10)
    assert caught.value.code == Exit.UNCHECKED


def test_a_promise_or_the_answer_that_held_it() -> None:
    """Emitters keep answers; what is neither is left to be refused as it is."""
    promise = Path("receipt.promise").read_bytes()
    assert promise_in(promise) == promise
    assert promise_in(json.dumps({"id": "x", "promise": promise.decode()}).encode()) == promise
    for data in (b"", b"{", b"{}", b'{"promise":5}', b'{"promise":"a","promise":"b"}'):
        assert promise_in(data) == data
