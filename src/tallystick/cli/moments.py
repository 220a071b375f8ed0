# SPDX-License-Identifier: Apache-2.0
"""Moments as people and scripts read them: ISO 8601, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def told_ms(time_ms: int) -> str:
    """Return a moment to the millisecond; what lies beyond the calendar is shown as it is."""
    try:
        return _spelled(timedelta(milliseconds=time_ms), "milliseconds")
    except OverflowError:  # a log's own words: any 63 bits
        return f"{time_ms} ms"


def told_s(time_s: int) -> str:
    """Return a moment to the second; what lies beyond the calendar is shown as it is."""
    try:
        return _spelled(timedelta(seconds=time_s), "seconds")
    except OverflowError:  # a contract's own words: any 256 bits
        return f"{time_s} s"


def _spelled(since: timedelta, precision: str) -> str:
    moment = datetime.fromtimestamp(0, UTC) + since
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")
