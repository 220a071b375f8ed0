# SPDX-License-Identifier: Apache-2.0
"""How long to wait before trying again: exponential backoff with full jitter, and Retry-After."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Final

import msgspec

from tallystick.errors import RefusedInput
from tallystick.limits import EMIT_ATTEMPTS_MAX, EMIT_WAIT_MS_MAX

_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
_DATE: Final = r"[A-Z][a-z]{2}, (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT"


class RetryConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How often to try, and the bounds of the pause between: `max_attempts` counts the first."""

    max_attempts: int = 5
    base_delay_ms: int = 100
    max_delay_ms: int = 10_000

    def __post_init__(self) -> None:
        within("max_attempts", self.max_attempts, 1, EMIT_ATTEMPTS_MAX)
        within("base_delay_ms", self.base_delay_ms, 0, EMIT_WAIT_MS_MAX)
        within("max_delay_ms", self.max_delay_ms, self.base_delay_ms, EMIT_WAIT_MS_MAX)


def within(name: str, value: object, least: int, most: int) -> None:
    """Raise `RefusedInput` unless a setting is a whole number between two bounds."""
    if type(value) is not int or not least <= value <= most:
        raise RefusedInput(f"{name} must be a whole number from {least} to {most}")


def uniform() -> float:
    """Return a number from 0 up to 1; the operating system's, so that a fork does not repeat it."""
    return int.from_bytes(os.urandom(6), "big") / 2**48


def backoff_s(retry: RetryConfig, failures: int, chance: float) -> float:
    """Return the pause after so many failures: any time up to a bound that doubles, in seconds."""
    doubled = retry.base_delay_ms * (1 << min(failures - 1, 30))
    return chance * min(retry.max_delay_ms, doubled) / 1000


def retry_after_s(headers: Mapping[str, str], now_s: float) -> float | None:
    """Return what Retry-After asks for, in seconds from now; None without one that makes sense.

    A date is counted from the answer's own Date, where it has one: the collector's clock and ours
    need not agree.
    """
    asked = headers.get("retry-after", "")
    if re.fullmatch(r"[0-9]{1,9}", asked):
        return float(asked)
    until = http_date_s(asked)
    if until is None:
        return None
    said = http_date_s(headers.get("date", ""))
    return max(0.0, until - (now_s if said is None else said))


def http_date_s(text: str) -> float | None:
    """Return the seconds since 1970 of a date as HTTP writes it, or None for anything else."""
    found = re.fullmatch(_DATE, text)
    if found is None or found[2] not in _MONTHS:
        return None
    from datetime import UTC, datetime

    day, _, year, hour, minute, second = found.groups()
    try:
        moment = datetime(
            int(year),
            _MONTHS.index(found[2]) + 1,
            int(day),
            int(hour),
            int(minute),
            min(int(second), 59),  # a leap second
            tzinfo=UTC,
        )
    except ValueError:
        return None
    return moment.timestamp()
