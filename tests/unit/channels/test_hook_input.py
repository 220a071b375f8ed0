# SPDX-License-Identifier: Apache-2.0
"""Standard input is one strict JSON object; what is not is known by its hash and size."""

from __future__ import annotations

import hashlib
import json
import os
import threading

import pytest

from tallystick.channels.hook_input import UnreadInput, parse_event, read_event
from tallystick.limits import HOOK_INPUT_BYTES_MAX


def told(data: bytes) -> int:
    """Return the reading end of a pipe into which a thread writes."""
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb") as file:
            file.write(data)

    threading.Thread(target=write).start()
    return reading


def test_an_object_is_read() -> None:
    """With or without a line feed at its end, in as many pieces as it takes."""
    event = {"a": "x" * 200_000, "b": [1, 2.5, None]}
    for end in (b"", b"\n"):
        data = json.dumps(event).encode() + end
        reading = told(data)
        assert read_event(reading) == (event, data)
        os.close(reading)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"7",
        b'"x"',
        b"{",
        b"{} {}",
        b'{"a":1,"a":2}',
        b'{"a":{"b":1,"b":1}}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b"\xff",
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
def test_what_is_no_object_is_known_by_its_hash(data: bytes) -> None:
    """Anything that two parsers may read differently, or not at all."""
    with pytest.raises(UnreadInput) as fault:
        parse_event(data)
    digest = hashlib.sha256(data).hexdigest()
    assert fault.value.omitted == {
        "omitted": {"bytes": len(data), "hash": f"sha256:{digest}", "of": "hook input"}
    }


def test_what_is_too_large_is_hashed_and_not_kept() -> None:
    """Over the bound the rest is read to its end, for the hash alone."""
    data = b'{"a":"' + b"x" * (HOOK_INPUT_BYTES_MAX + 300_000) + b'"}'
    reading = told(data)
    with pytest.raises(UnreadInput) as fault:
        read_event(reading)
    os.close(reading)
    omitted = fault.value.omitted["omitted"]
    assert isinstance(omitted, dict)
    assert (omitted["bytes"], omitted["hash"]) == (
        len(data),
        f"sha256:{hashlib.sha256(data).hexdigest()}",
    )
