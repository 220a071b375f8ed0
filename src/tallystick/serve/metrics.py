# SPDX-License-Identifier: Apache-2.0
"""What a service counts, in the form that Prometheus reads."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any, Final, TypeVar

import msgspec

from tallystick.errors import MissingExtraError, how_to_install

_T = TypeVar("_T")

CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"


class Meter(msgspec.Struct, frozen=True):
    """One thing that is counted."""

    name: str
    kind: str  # counter, gauge or histogram
    labels: tuple[str, ...]
    purpose: str
    buckets: tuple[float, ...] = ()


_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class _Counts:
    """One histogram's values, by bucket."""

    def __init__(self, buckets: tuple[float, ...]) -> None:
        self.buckets = buckets
        self.counts = [0] * (len(buckets) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.buckets, value)] += 1
        self.sum += value

    def cumulated(self) -> list[tuple[str, float]]:
        """Return how many values are at most as large as each bucket."""
        bounds = [*(str(bound) for bound in self.buckets), "+Inf"]
        return list(zip(bounds, map(float, accumulate(self.counts)), strict=True))


class Meters:
    """All meters of one service.

    Counting is an addition to a number of ours: the client's own costs ten times as much, for
    locks that are not needed here, since each meter is fed by one thread.
    """

    def __init__(self, table: tuple[Meter, ...]) -> None:
        """Take what is to be counted."""
        try:
            import prometheus_client as client
            from prometheus_client import core
        except ImportError:
            raise MissingExtraError(
                f"metrics need prometheus-client; {how_to_install('collector')}"
            ) from None
        self._core = core
        self._table = {meter.name: meter for meter in table}
        self._numbers: dict[tuple[str, tuple[str, ...]], float] = {
            (meter.name, ()): 0.0
            for meter in table
            if meter.kind != "histogram" and not meter.labels
        }
        self._counts: dict[tuple[str, tuple[str, ...]], _Counts] = {
            (meter.name, ()): _Counts(meter.buckets or _SECONDS)
            for meter in table
            if meter.kind == "histogram" and not meter.labels
        }
        self._sources: dict[str, Callable[[], float]] = {}
        registry = client.CollectorRegistry()
        registry.register(self)
        self._render: Callable[[], bytes] = lambda: client.generate_latest(registry)

    def count(self, name: str, *labels: str, by: float = 1) -> None:
        """Add to a counter."""
        key = (name, labels)
        self._numbers[key] = self._numbers.get(key, 0.0) + by

    def observe(self, name: str, value: float, *labels: str) -> None:
        """Note one value of a histogram."""
        key = (name, labels)
        counts = self._counts.get(key)
        if counts is None:
            counts = self._counts[key] = _Counts(self._table[name].buckets or _SECONDS)
        counts.add(value)

    def ask(self, name: str, source: Callable[[], float]) -> None:
        """Let a gauge ask for its value whenever it is read."""
        self._sources[name] = source

    def render(self) -> bytes:
        """Return all values."""
        return self._render()

    def collect(self) -> Iterator[Any]:
        """Yield each meter as the client's own kind of value."""
        for meter in self._table.values():
            if meter.kind == "histogram":
                family: Any = self._core.HistogramMetricFamily(
                    meter.name, meter.purpose, labels=meter.labels
                )
                for labels, counts in _of(self._counts, meter.name):
                    family.add_metric(labels, counts.cumulated(), counts.sum)
            else:
                kind: Any = self._core.CounterMetricFamily
                if meter.kind == "gauge":
                    kind = self._core.GaugeMetricFamily
                family = kind(meter.name, meter.purpose, labels=meter.labels)
                source = self._sources.get(meter.name)
                if source is not None:
                    family.add_metric((), source())
                else:
                    for labels, number in _of(self._numbers, meter.name):
                        family.add_metric(labels, number)
            yield family


def _of(
    values: dict[tuple[str, tuple[str, ...]], _T], name: str
) -> list[tuple[tuple[str, ...], _T]]:
    # A copy in one step: the loop may add a label meanwhile.
    return [(labels, value) for (of, labels), value in list(values.items()) if of == name]
