# SPDX-License-Identifier: Apache-2.0
"""Meters: counted, observed, asked, and rendered for Prometheus."""

from __future__ import annotations

import sys

import pytest

from tallystick.errors import MissingExtraError
from tallystick.serve.metrics import Meter, Meters

TABLE = (
    Meter("a_total", "counter", ("kind",), "Counted."),
    Meter("b_seconds", "histogram", (), "Observed.", (1.0, 2.0)),
    Meter("c_seconds", "histogram", ("route",), "Observed."),
    Meter("d", "gauge", (), "Asked."),
)


def test_each_kind_is_rendered() -> None:
    """Labels, buckets and functions, in a registry of their own."""
    meters = Meters(TABLE)
    meters.count("a_total", "x")
    meters.count("a_total", "x", by=2)
    meters.observe("b_seconds", 1.5)
    meters.observe("c_seconds", 0.2, "/r")
    meters.ask("d", lambda: 7)
    text = meters.render().decode()
    for line in (
        'a_total{kind="x"} 3.0',
        'b_seconds_bucket{le="1.0"} 0.0',
        'b_seconds_bucket{le="2.0"} 1.0',
        'c_seconds_count{route="/r"} 1.0',
        "d 7.0",
    ):
        assert f"\n{line}\n" in text
    assert "# HELP d Asked." in text


def test_two_services_do_not_share_meters() -> None:
    """What one counts the other does not show."""
    one, other = Meters(TABLE), Meters(TABLE)
    one.count("a_total", "x")
    assert 'kind="x"' not in other.render().decode()


def test_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without prometheus-client it is said what to install."""
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(MissingExtraError, match="collector"):
        Meters(TABLE)
