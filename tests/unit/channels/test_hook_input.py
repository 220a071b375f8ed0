# SPDX-License-Identifier: Apache-2.0
"""Standard input is one strict JSON object; what is not is known by its hash and size."""

from __future__ import annotations

import hashlib
import json
import os
import signal
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


def test_an_input_that_never_ends() -> None:
    """What came until its time was up is known by its hash, within the bound and beyond it."""

    def late(_number: int, _frame: object) -> None:
        raise TimeoutError("not within 1 s")

    for size in (100, HOOK_INPUT_BYTES_MAX + (1 << 16)):
        reading, writing = os.pipe()
        data = b"x" * size
        writer = threading.Thread(target=_write_all, args=(writing, data))
        writer.start()
        before = signal.signal(signal.SIGALRM, late)
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        try:
            with pytest.raises(UnreadInput) as fault:
                read_event(reading)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            writer.join()
            os.close(writing)
            os.close(reading)
        omitted = fault.value.omitted["omitted"]
        assert isinstance(omitted, dict)
        assert omitted["hash"] == f"sha256:{hashlib.sha256(data).hexdigest()}"


def _write_all(writing: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(writing, rest) :]


def test_no_input_at_all() -> None:
    """A descriptor that is closed is told as what it is."""
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    with pytest.raises(UnreadInput, match="could not be read"):
        read_event(reading)
