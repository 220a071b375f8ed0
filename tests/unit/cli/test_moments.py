# SPDX-License-Identifier: Apache-2.0
"""Moments are told in UTC, whatever number they are."""

from __future__ import annotations

import pytest

from tallystick.cli.moments import told_ms, told_s


def test_moments_are_told_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the machine stands."""
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    assert told_ms(0) == "1970-01-01T00:00:00.000Z"
    assert told_ms(1_769_860_800_005) == "2026-01-31T12:00:00.005Z"
    assert told_s(1_769_860_800) == "2026-01-31T12:00:00Z"


@pytest.mark.parametrize("number", [2**63 - 1, 2**256 - 1])
def test_times_beyond_the_calendar(number: int) -> None:
    """A log and a contract may say any number; it is shown and not computed with."""
    assert told_ms(number) == f"{number} ms"
    assert told_s(number) == f"{number} s"
