# SPDX-License-Identifier: Apache-2.0
"""What a service counts, in the form that Prometheus reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from tallystick.errors import MissingExtraError

CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"


class Meter(msgspec.Struct, frozen=True):
    """One thing that is counted."""

    name: str
    kind: str  # counter, gauge or histogram
    labels: tuple[str, ...]
    purpose: str
    buckets: tuple[float, ...] = ()


_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Meters:
    """All meters of one service, in a registry of their own."""

    def __init__(self, table: tuple[Meter, ...]) -> None:
        """Make each meter of a table."""
        try:
            import prometheus_client as client
        except ImportError:
            raise MissingExtraError(
                "metrics need prometheus-client; install tallystick[collector]"
            ) from None
        # A second series for each, which says when it began: half of the page, and nobody reads it.
        client.disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no types
        self._registry = client.CollectorRegistry()
        self._render = client.generate_latest
        self._children: dict[tuple[str, tuple[str, ...]], Any] = {}
        self._meters: dict[str, Any] = {}
        for meter in table:
            if meter.kind == "histogram":
                made: Any = client.Histogram(
                    meter.name,
                    meter.purpose,
                    meter.labels,
                    buckets=meter.buckets or _SECONDS,
                    registry=self._registry,
                )
            else:
                kind = client.Counter if meter.kind == "counter" else client.Gauge
                made = kind(meter.name, meter.purpose, meter.labels, registry=self._registry)
            self._meters[meter.name] = made

    def count(self, name: str, *labels: str, by: float = 1) -> None:
        """Add to a counter."""
        self._child(name, labels).inc(by)

    def observe(self, name: str, value: float, *labels: str) -> None:
        """Note one value of a histogram."""
        self._child(name, labels).observe(value)

    def ask(self, name: str, source: Callable[[], float]) -> None:
        """Let a gauge ask for its value whenever it is read."""
        self._meters[name].set_function(source)

    def set(self, name: str, value: float) -> None:
        """Set a gauge."""
        self._meters[name].set(value)

    def render(self) -> bytes:
        """Return all values."""
        text: bytes = self._render(self._registry)
        return text

    def _child(self, name: str, labels: tuple[str, ...]) -> Any:
        key = (name, labels)
        child = self._children.get(key)
        if child is None:
            meter = self._meters[name]
            child = self._children[key] = meter.labels(*labels) if labels else meter
        return child
