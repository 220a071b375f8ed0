# SPDX-License-Identifier: Apache-2.0
"""Bytes to lines, lines to pipes."""

from __future__ import annotations

import hashlib
import os
import threading

from hypothesis import given
from hypothesis import strategies as st

from tallystick.channels.line_flow import Inlet, Lines, Outlet


@given(st.lists(st.binary(max_size=20)), st.integers(1, 30))
def test_nothing_is_lost_or_changed(chunks: list[bytes], limit: int) -> None:
    """However bytes come in, the same bytes come out: in lines, or in parts where too long."""
    out: list[bytes] = []
    over: list[tuple[int, str]] = []
    lines = Lines(
        overlong=lambda size, digest: over.append((size, digest)),
        part=lambda data, _: out.append(data),
        limit=limit,
    )
    for chunk in chunks:
        out.extend(lines.feed(chunk))
    out.append(lines.last())
    assert b"".join(out) == b"".join(chunks)


def test_whole_lines() -> None:
    """A line ends with a line feed and with nothing else."""
    lines = Lines(overlong=lambda *_: None)
    assert lines.feed(b"a\nb") == [b"a\n"]
    assert lines.feed(b"\r\nc\rd\n\n") == [b"b\r\n", b"c\rd\n", b"\n"]
    assert lines.feed(b"e\x0bf\x0cg\xe2\x80\xa8h\nrest") == [b"e\x0bf\x0cg\xe2\x80\xa8h\n"]
    assert lines.last() == b"rest"


def test_a_line_over_the_limit() -> None:
    """It is known by size and digest, and what comes behind it is not lost."""
    over: list[tuple[int, str]] = []
    parts: list[tuple[bytes, bool]] = []
    lines = Lines(
        overlong=lambda size, digest: over.append((size, digest)),
        part=lambda data, last: parts.append((data, last)),
        limit=4,
    )
    assert lines.feed(b"abcd") == []
    assert lines.feed(b"ef") == []
    assert lines.feed(b"g\nok\n") == [b"ok\n"]
    whole = b"abcdefg\n"
    assert over == [(8, "sha256:" + hashlib.sha256(whole).hexdigest())]
    assert parts == [(b"abcdef", False), (b"g\n", True)]
    lines.feed(b"never ends")
    assert lines.last() == b""
    assert over[1][0] == 10


def test_a_pipe_that_nobody_reads() -> None:
    """Who writes is told once, and writes into nothing from then on."""
    read, write = os.pipe()
    os.close(read)
    gone: list[bool] = []
    outlet = Outlet(write, lambda: gone.append(True))
    outlet.write(b"a")
    outlet.write(b"b")
    assert gone == [True]
    os.close(write)


def test_a_slow_pipe_that_would_not_wait() -> None:
    """Also one that is set not to block is written to the end, and read from."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    os.set_blocking(read, False)
    outlet = Outlet(write, lambda: None)
    data = b"x" * 500_000

    def write_all() -> None:
        outlet.write(data)
        outlet.close()

    writer = threading.Thread(target=write_all)
    writer.start()
    found = b""
    inlet = Inlet(read)
    while part := inlet.read():
        found += part
    writer.join()
    assert found == data
    outlet.close()
    os.close(read)
    assert inlet.read() == b""


def test_parts_are_not_interrupted() -> None:
    """Between the parts of one line, no other line is written."""
    read, write = os.pipe()
    outlet = Outlet(write, lambda: None)
    outlet.write_part(b"a", False)
    other = threading.Thread(target=outlet.write, args=(b"other\n",))
    other.start()
    outlet.write_part(b"b", False)
    outlet.write_part(b"c\n", True)
    other.join()
    outlet.close()
    with os.fdopen(read, "rb") as file:
        assert file.read() == b"abc\nother\n"


def test_what_comes_byte_by_byte() -> None:
    """It costs as much as it is long, not a piece of memory for each byte."""
    import tracemalloc

    lines = Lines(overlong=lambda _size, _digest: None)
    pieces = [b"%c" % (97 + number % 26) for number in range(26)]
    tracemalloc.start()
    for number in range(200_000):
        lines.feed(pieces[number % 26])
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < 1_000_000
    assert len(lines.feed(b"\n")[0]) == 200_001
