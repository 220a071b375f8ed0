# SPDX-License-Identifier: Apache-2.0
"""How all rows are measured: in turn, round by round, with the ratio taken within a round."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple


class Row(NamedTuple):
    """One line of the table: a ratio, and what it has to be."""

    what: str
    ratio: float
    at_least: float | None = None
    at_most: float | None = None

    @property
    def is_met(self) -> bool:
        """Whether the ratio is as good as it has to be."""
        low = self.at_least is None or self.ratio >= self.at_least
        return low and (self.at_most is None or self.ratio <= self.at_most)


def seconds(work: Callable[[], object]) -> float:
    """Return the wall time of one call, with the garbage of earlier ones gone."""
    gc.collect()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def paired(rounds: int, *works: Callable[[], object]) -> list[list[float]]:
    """Return the times of each work, measured in turn, after one round that does not count."""
    for work in works:
        work()
    turns = [[seconds(work) for work in works] for _ in range(rounds)]
    return [list(column) for column in zip(*turns, strict=True)]


def ratio(slow: list[float], fast: list[float]) -> float:
    """Return the median of slow/fast within the rounds."""
    return statistics.median(a / b for a, b in zip(slow, fast, strict=True))


def show_times(what: str, count: int, **columns: list[float]) -> None:
    """Print the medians in microseconds for each receipt."""
    medians = "  ".join(
        f"{name} {statistics.median(times) / count * 1e6:.1f}" for name, times in columns.items()
    )
    print(f"{what} (median µs each): {medians}", flush=True)


def show(rows: list[Row]) -> int:
    """Print the table, and return the exit code: 0 where all is met."""
    for row in rows:
        bound = f"≥ {row.at_least:g}" if row.at_least else f"≤ {row.at_most:.2f}"
        print(f"{row.ratio:7.2f}  {bound:7}  {'met' if row.is_met else 'NOT MET':8} {row.what}")
    return 0 if all(row.is_met for row in rows) else 1
