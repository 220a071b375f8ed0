# SPDX-License-Identifier: Apache-2.0
"""Pauses: within their bounds, spread over all of them, and as long as the collector asks."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.deliver.retry import (
    RetryConfig,
    backoff_s,
    http_date_s,
    retry_after_s,
    uniform,
    within,
)
from tallystick.errors import RefusedInput
from tallystick.limits import EMIT_ATTEMPTS_MAX, EMIT_WAIT_MS_MAX

NOW = datetime(2026, 11, 20, 10, 0, 0, tzinfo=UTC).timestamp()


def test_the_bound_doubles_up_to_the_cap() -> None:
    """100 ms, 200 ms, 400 ms, … and never above 10 s, however many failures there were."""
    retry = RetryConfig()
    tops = [backoff_s(retry, failures, 1.0) for failures in range(1, 10)]
    assert tops == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
    assert backoff_s(retry, 10_000, 1.0) == 10.0
    assert backoff_s(RetryConfig(base_delay_ms=0), 5, 1.0) == 0.0


@given(st.integers(1, 200), st.floats(0, 1, exclude_max=True))
def test_full_jitter(failures: int, chance: float) -> None:
    """Any time from nothing up to the bound, in proportion to the chance."""
    pause = backoff_s(RetryConfig(), failures, chance)
    assert 0 <= pause <= min(10.0, 0.1 * 2 ** min(failures - 1, 30))


def test_uniform_is_spread_out() -> None:
    """Numbers from 0 up to 1, on both sides of the middle, and not twice the same."""
    drawn = [uniform() for _ in range(200)]
    assert all(0 <= number < 1 for number in drawn)
    assert min(drawn) < 0.25
    assert max(drawn) > 0.75
    assert len(set(drawn)) == 200


@pytest.mark.parametrize(
    "settings",
    [
        {"max_attempts": 0},
        {"max_attempts": EMIT_ATTEMPTS_MAX + 1},
        {"max_attempts": True},
        {"max_attempts": 2.0},
        {"base_delay_ms": -1},
        {"base_delay_ms": 200, "max_delay_ms": 100},
        {"max_delay_ms": EMIT_WAIT_MS_MAX + 1},
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, int]) -> None:
    """Each is refused when it is made."""
    with pytest.raises(RefusedInput, match="must be a whole number"):
        RetryConfig(**settings)


def test_within() -> None:
    """Both bounds belong to it."""
    within("x", 1, 1, 2)
    within("x", 2, 1, 2)
    with pytest.raises(RefusedInput, match="x must be a whole number from 1 to 2"):
        within("x", 3, 1, 2)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "120"}, 120.0),
        ({"retry-after": "Fri, 20 Nov 2026 10:00:30 GMT"}, 30.0),
        ({"retry-after": "Fri, 20 Nov 2026 09:00:00 GMT"}, 0.0),
        (
            {
                "retry-after": "Sat, 01 Jan 2000 00:00:05 GMT",
                "date": "Sat, 01 Jan 2000 00:00:00 GMT",
            },
            5.0,
        ),
        ({"retry-after": "Fri, 20 Nov 2026 10:00:30 GMT", "date": "now"}, 30.0),
        ({}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "1, 2"}, None),
        ({"retry-after": "9" * 40}, None),
        ({"retry-after": "٣"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Fri, 32 Nov 2026 10:00:30 GMT"}, None),
        ({"retry-after": "Fri, 20 Foo 2026 10:00:30 GMT"}, None),
        ({"retry-after": "Fri, 20 Nov 2026 10:00:30 CET"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds, and dates by the collector's clock or by ours; anything else is not there."""
    assert retry_after_s(headers, NOW) == seconds


def test_a_leap_second_is_a_moment() -> None:
    """23:59:60 is written by some clocks."""
    assert http_date_s("Sat, 31 Dec 2016 23:59:60 GMT") is not None


@given(st.integers(0, 7_000_000_000))
def test_dates_are_read_back(seconds: int) -> None:
    """What the standard library writes as an HTTP date is read as that second."""
    from email.utils import format_datetime

    moment = datetime.fromtimestamp(seconds, tz=UTC)
    assert http_date_s(format_datetime(moment, usegmt=True)) == seconds
