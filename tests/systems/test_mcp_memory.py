# SPDX-License-Identifier: Apache-2.0
"""The proxy's memory over many calls: it keeps nothing of those that are answered."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest
from tests.frame_listener import FrameListener
from tests.proxies import Proxy, call

IN_FLIGHT = 50


class Deaf(FrameListener):
    """Reads frames, and remembers none."""

    def _take(self, one: object, body: bytes) -> None:
        pass


def resident(proxy: Proxy) -> int:
    for line in Path(f"/proc/{proxy.process.pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no RssAnon")


def calls(proxy: Proxy, count: int) -> None:
    """Make calls, so many at a time."""
    for start in range(0, count, IN_FLIGHT):
        numbers = range(start, start + IN_FLIGHT)
        proxy.send(*(call(n, "read_file", {"path": f"/srv/{n}"}) for n in numbers))
        for _ in numbers:
            proxy.line()


@pytest.mark.parametrize(
    ("warm", "count", "bytes_per_call_max"),
    [(4000, 4000, 10), pytest.param(4000, 20_000, 1, marks=pytest.mark.soak)],
    ids=["short", "long"],
)
def test_memory_does_not_grow(
    tmp_path: Path, warm: int, count: int, bytes_per_call_max: int
) -> None:
    """Below one byte for each call, once the heap has found its size; the short run sees leaks.

    Of two stretches the flatter one counts: a heap grows once by some pages, a leak in both.
    """
    if not os.path.exists("/proc/self/status"):
        pytest.skip("only Linux says how much memory a process holds")
    with Deaf() as listener, Proxy(None, socket=listener.path, folder=tmp_path) as proxy:
        calls(proxy, warm)
        sizes = [resident(proxy)]
        for _ in range(2):
            calls(proxy, count)
            sizes.append(resident(proxy))
        grown = min(after - before for before, after in pairwise(sizes))
        assert grown < count * bytes_per_call_max, sizes
        assert proxy.end() == 0
