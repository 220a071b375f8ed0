# SPDX-License-Identifier: Apache-2.0
"""Rate limits: what passes, what waits, and for how long."""

from __future__ import annotations

import pytest

from tallystick.serve import rate as module
from tallystick.serve.rate import RateLimit


class Clock:
    def __init__(self) -> None:
        self.now = 5.0

    def __call__(self) -> float:
        return self.now


def test_no_rate_is_no_limit() -> None:
    """0 lets everything pass."""
    limit = RateLimit(0, 1, Clock())
    assert all(limit.take("a", 1000) == 0 for _ in range(1000))


def test_a_burst_passes_and_then_the_rate() -> None:
    """What was taken comes back at the rate, and no more than the burst of it."""
    clock = Clock()
    limit = RateLimit(2, 4, clock)
    assert [limit.take("a") for _ in range(5)] == [0, 0, 0, 0, 1]
    clock.now += 0.5
    assert [limit.take("a"), limit.take("a")] == [0, 1]
    clock.now += 1000
    assert [limit.take("a") for _ in range(5)] == [0, 0, 0, 0, 1]


def test_tenants_do_not_slow_each_other_down() -> None:
    """Each has its own bucket."""
    limit = RateLimit(1, 1, Clock())
    assert limit.take("a") == 0
    assert limit.take("a") == 1
    assert limit.take("b") == 0


def test_a_large_batch_passes_and_leaves_a_debt() -> None:
    """Refusing it for ever would lose it; in the long run the rate holds."""
    clock = Clock()
    limit = RateLimit(10, 20, clock)
    assert limit.take("a", 100) == 0
    assert limit.take("a") == 9  # 81 more than nothing, at 10 a second
    clock.now += 8.1
    assert limit.take("a") == 0


def test_few_tenants_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that was idle the longest is forgotten, which is as if it had rested."""
    monkeypatch.setattr(module, "RATED_TENANTS_MAX", 2)
    limit = RateLimit(1, 1, Clock())
    assert [limit.take(name) for name in ("a", "b", "c", "c", "b", "a")] == [0, 0, 0, 1, 1, 0]
