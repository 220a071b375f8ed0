# SPDX-License-Identifier: Apache-2.0
"""Texts of a shape, days that exist, and instants in order."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.model import shapes
from tallystick.model.shapes import (
    ACTION_ID_PATTERN,
    BASE64_PATTERN,
    HASH_PATTERN,
    ID_PATTERN,
    INSTANT_PATTERN,
    PROOF_VALUE_PATTERN,
    PUBLIC_KEY_PATTERN,
    instant_ns,
    is_before,
    is_calendar_day,
    is_hash,
    is_instant,
    is_moment,
)

UUID = "01234567-89ab-cdef-0123-456789abcdef"

FITTING = [
    (ID_PATTERN, f"urn:receipt:{UUID}"),
    (ACTION_ID_PATTERN, f"act_{UUID}"),
    (HASH_PATTERN, "sha256:" + "0123456789abcdef" * 4),
    (PROOF_VALUE_PATTERN, "u" + "-_9zZ" * 17 + "A"),
    (PROOF_VALUE_PATTERN, "u" + "A" * 85 + "w"),
    (INSTANT_PATTERN, "2026-12-31T23:59:59Z"),
    (INSTANT_PATTERN, "2026-01-01T00:00:00.123456789+23:59"),
    (INSTANT_PATTERN, "0000-01-01T00:00:00.0-00:00"),
    (BASE64_PATTERN, ""),
    (BASE64_PATTERN, "AAAA"),
    (BASE64_PATTERN, "+/9=AAAA"[0:3] + "="),
    (BASE64_PATTERN, "AA=="),
    (PUBLIC_KEY_PATTERN, "uA"),
]
MISFITS = [
    (ID_PATTERN, f"urn:receipt:{UUID.upper()}"),
    (ID_PATTERN, f"urn:receipt:{UUID}\n"),
    (ID_PATTERN, f" urn:receipt:{UUID}"),
    (ID_PATTERN, f"urn:uuid:{UUID}"),
    (ID_PATTERN, f"urn:receipt:{UUID.replace('-', '')}"),
    (ACTION_ID_PATTERN, f"act-{UUID}"),
    (ACTION_ID_PATTERN, UUID),
    (HASH_PATTERN, "sha256:" + "A" * 64),
    (HASH_PATTERN, "sha256:" + "a" * 63),
    (HASH_PATTERN, "sha256:" + "a" * 65),
    (HASH_PATTERN, "SHA256:" + "a" * 64),
    (HASH_PATTERN, "sha256:" + "a" * 64 + "\n"),
    (PROOF_VALUE_PATTERN, "u" + "A" * 85 + "B"),
    (PROOF_VALUE_PATTERN, "z" + "A" * 86),
    (PROOF_VALUE_PATTERN, "u" + "A" * 85),
    (PROOF_VALUE_PATTERN, "u" + "A" * 86 + "=="),
    (PROOF_VALUE_PATTERN, "u" + "A" * 84 + "+A"),
    (INSTANT_PATTERN, "2026-01-01T00:00:00"),
    (INSTANT_PATTERN, "2026-01-01 00:00:00Z"),
    (INSTANT_PATTERN, "2026-01-01t00:00:00z"),
    (INSTANT_PATTERN, "2026-13-01T00:00:00Z"),
    (INSTANT_PATTERN, "2026-00-01T00:00:00Z"),
    (INSTANT_PATTERN, "2026-01-32T00:00:00Z"),
    (INSTANT_PATTERN, "2026-01-01T24:00:00Z"),
    (INSTANT_PATTERN, "2026-01-01T00:60:00Z"),
    (INSTANT_PATTERN, "2026-01-01T00:00:60Z"),
    (INSTANT_PATTERN, "2026-01-01T00:00:00.Z"),
    (INSTANT_PATTERN, "2026-01-01T00:00:00.1234567890Z"),
    (INSTANT_PATTERN, "2026-01-01T00:00:00+0000"),
    (INSTANT_PATTERN, "2026-01-01T00:00:00+24:00"),
    (INSTANT_PATTERN, "٢٠٢٦-01-01T00:00:00Z"),
    (INSTANT_PATTERN, "2026-01-01T00:00:00Z\n"),
    (BASE64_PATTERN, "A"),
    (BASE64_PATTERN, "AAA"),
    (BASE64_PATTERN, "AA=A"),
    (BASE64_PATTERN, "AA-_"),
    (BASE64_PATTERN, "AA==AAAA"),
    (PUBLIC_KEY_PATTERN, "u"),
    (PUBLIC_KEY_PATTERN, "uA="),
    (PUBLIC_KEY_PATTERN, "zA"),
]


@pytest.mark.parametrize(("pattern", "text"), FITTING)
def test_texts_that_fit(pattern: str, text: str) -> None:
    """Each shape lets its own texts pass."""
    assert re.fullmatch(pattern, text)


@pytest.mark.parametrize(("pattern", "text"), MISFITS)
def test_texts_that_do_not_fit(pattern: str, text: str) -> None:
    """Other cases, lengths, digits of other scripts and line ends are outside of each shape."""
    assert not re.fullmatch(pattern, text)


def test_the_quick_matches_are_whole_matches() -> None:
    """`is_hash` and `is_instant` look from end to end."""
    assert is_hash("sha256:" + "0" * 64)
    assert not is_hash("sha256:" + "0" * 64 + "0")
    assert is_instant("2026-01-01T00:00:00Z")
    assert not is_instant("x2026-01-01T00:00:00Z")


def test_no_shape_lets_a_line_feed_pass() -> None:
    """Several texts are matched at once with line feeds between them: none may hold one."""
    for pattern, text in FITTING:
        for place in range(len(text) + 1):
            assert not re.fullmatch(pattern, text[:place] + "\n" + text[place:])


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("2026-01-01T00:00:00Z", True),
        ("2026-01-01T00:00:00.123456789+23:59", True),
        ("2026-02-29T00:00:00Z", False),
        ("2026-01-01T00:00:00.1234567891+23:59", False),
        ("2026-01-01", False),
        ("", False),
        ("2" * 1_000_000, False),
    ],
)
def test_moments_have_the_shape_and_a_day(text: str, fits: bool) -> None:
    """A moment is a timestamp whose day exists."""
    assert is_moment(text) is fits


def test_long_texts_are_not_remembered() -> None:
    """What is too long for a timestamp never gets into the cache."""
    before = shapes._is_moment.cache_info().currsize
    for number in range(10):
        assert not is_moment(f"{number}" * 100)
    assert shapes._is_moment.cache_info().currsize == before


@given(st.integers(0, 9999), st.integers(1, 12), st.integers(1, 31))
def test_calendar_days(year: int, month: int, day: int) -> None:
    """A day exists when Python's calendar has it."""
    try:
        date(year, month, day)
    except ValueError:
        exists = False
    else:
        exists = True
    assert is_calendar_day(f"{year:04d}-{month:02d}-{day:02d}") is exists


@pytest.mark.parametrize(
    ("day", "exists"),
    [
        ("2024-02-29", True),
        ("2026-02-29", False),
        ("2000-02-29", True),
        ("1900-02-29", False),
        ("2026-04-30", True),
        ("2026-04-31", False),
        ("0001-01-01", True),
        ("0000-01-01", False),
        ("9999-12-31", True),
    ],
)
def test_leap_days_and_edges(day: str, exists: bool) -> None:
    """Leap years follow the Gregorian rule, and there is no year 0."""
    assert is_calendar_day(day) is exists


ZONES = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda m: timezone(timedelta(minutes=m)))
MOMENTS = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=ZONES)  # noqa: DTZ001


def spelled(moment: datetime) -> str:
    text = moment.isoformat()
    return text.replace("+00:00", "Z") if moment.microsecond % 2 else text


@given(MOMENTS)
def test_instants_are_counted_in_nanoseconds(moment: datetime) -> None:
    """An instant is as many nanoseconds after the year 1 as Python's calendar says."""
    since = moment - datetime(1, 1, 1, tzinfo=UTC)
    exact = (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000
    assert instant_ns(spelled(moment)) == exact


def test_fractions_are_read_to_nine_digits() -> None:
    """Fewer digits are filled up from the right; the ninth still counts."""
    base = instant_ns("2026-01-01T00:00:00Z")
    assert instant_ns("2026-01-01T00:00:00.5Z") - base == 500_000_000
    assert instant_ns("2026-01-01T00:00:00.000000001Z") - base == 1
    assert instant_ns("2026-01-01T00:00:00.05+00:00") - base == 50_000_000


def test_offsets_move_instants() -> None:
    """East of Greenwich the same clock shows an earlier instant, west a later one."""
    utc = instant_ns("2026-01-01T12:00:00Z")
    assert instant_ns("2026-01-01T14:30:00+02:30") == utc
    assert instant_ns("2026-01-01T09:30:00-02:30") == utc


@given(MOMENTS, MOMENTS)
def test_before_is_the_order_of_time(one: datetime, two: datetime) -> None:
    """Whatever the spelling, an instant is before another when time says so."""
    assert is_before(spelled(one), spelled(two)) is (one < two)
    assert not is_before(spelled(one), spelled(one))


def test_before_with_fractions_of_other_lengths() -> None:
    """Texts of one length compare as texts; others by what they say."""
    assert is_before("2026-01-01T00:00:00.1Z", "2026-01-01T00:00:00.2Z")
    assert not is_before("2026-01-01T00:00:00.10Z", "2026-01-01T00:00:00.1Z")
    assert is_before("2026-01-01T00:00:00.09Z", "2026-01-01T00:00:00.1Z")
    assert is_before("2026-01-01T01:00:00+02:00", "2026-01-01T00:00:00Z")
