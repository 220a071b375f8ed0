# SPDX-License-Identifier: Apache-2.0
"""The texts and numbers that the protocol gives a shape, as annotated types.

Bounds and choices are checked by msgspec while it parses. Patterns are not (it would take half of
the time to parse): they stand in the annotation for the two that check them, `has_shape` for the
fast path and `model/reader.py` for the explaining one. Both read the same patterns.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Annotated, Final

from msgspec import Meta

from tallystick.limits import IDENTIFIER_CHARS_MAX, JSON_INTEGER_MAX

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

ID_PATTERN: Final = rf"urn:receipt:{_UUID}"
ACTION_ID_PATTERN: Final = rf"act_{_UUID}"
HASH_PATTERN: Final = r"sha256:[0-9a-f]{64}"
PROOF_VALUE_PATTERN: Final = r"u[A-Za-z0-9_-]{85}[AQgw]"
INSTANT_PATTERN: Final = (
    r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?"
    r"(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
BASE64_PATTERN: Final = r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
PUBLIC_KEY_PATTERN: Final = r"u[A-Za-z0-9_-]+"


def _shaped(pattern: str) -> Meta:
    return Meta(extra={"pattern": pattern})


ReceiptId = Annotated[str, _shaped(ID_PATTERN)]
ActionId = Annotated[str, _shaped(ACTION_ID_PATTERN)]
Sha256 = Annotated[str, _shaped(HASH_PATTERN)]
ProofValue = Annotated[str, _shaped(PROOF_VALUE_PATTERN)]
Instant = Annotated[str, _shaped(INSTANT_PATTERN)]
Base64 = Annotated[str, _shaped(BASE64_PATTERN)]
PublicKeyText = Annotated[str, _shaped(PUBLIC_KEY_PATTERN)]
Identifier = Annotated[str, Meta(max_length=IDENTIFIER_CHARS_MAX)]
NonEmpty = Annotated[str, Meta(min_length=1, max_length=IDENTIFIER_CHARS_MAX)]
Count = Annotated[int, Meta(ge=0, le=JSON_INTEGER_MAX)]
Sequence = Annotated[int, Meta(ge=1, le=JSON_INTEGER_MAX)]
Integer = Annotated[int, Meta(ge=-JSON_INTEGER_MAX, le=JSON_INTEGER_MAX)]


@cache
def matcher(pattern: str) -> Callable[[str], object]:
    """Return the full match of a pattern, compiled when it is first asked for: a cold start asks
    for none, and compiling all would take longer than the first signature.
    """
    return re.compile(pattern).fullmatch


def is_hash(text: str) -> bool:
    """Whether a text is `sha256:` and 64 lower-case hex digits."""
    return matcher(HASH_PATTERN)(text) is not None


def is_instant(text: str) -> bool:
    """Whether a text has the shape of a timestamp."""
    return matcher(INSTANT_PATTERN)(text) is not None


_INSTANT_CHARS_MAX: Final = len("2026-01-01T00:00:00.123456789+00:00")
_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@lru_cache(maxsize=256)
def is_calendar_day(day: str) -> bool:
    """Whether `YYYY-MM-DD`, already of that shape, names a day that exists."""
    year, month, number = int(day[:4]), int(day[5:7]), int(day[8:10])
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return year > 0 and number <= _DAYS[month - 1] + (month == 2 and leap)


def is_moment(text: str) -> bool:
    """Whether a text has the shape of a timestamp, and its day exists."""
    # The cache never sees a long text: 256 of a megabyte each would stay in memory.
    return len(text) <= _INSTANT_CHARS_MAX and _is_moment(text)


@lru_cache(maxsize=256)
def _is_moment(text: str) -> bool:
    # Neighbours often repeat.
    return is_instant(text) and is_calendar_day(text[:10])


def instant_ns(instant: str) -> int:
    """Return a timestamp of the protocol's shape as nanoseconds since the year 1."""
    year, month, day = int(instant[:4]), int(instant[5:7]), int(instant[8:10])
    hour, minute, second = int(instant[11:13]), int(instant[14:16]), int(instant[17:19])
    rest = instant[19:]
    zone_at = len(rest) - 1 if rest.endswith("Z") else len(rest) - 6
    fraction, zone = rest[:zone_at].lstrip("."), rest[zone_at:]
    seconds = _days_before(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second
    if zone != "Z":
        offset = int(zone[1:3]) * 3600 + int(zone[4:6]) * 60
        seconds -= offset if zone[0] == "+" else -offset
    return seconds * 1_000_000_000 + int(fraction.ljust(9, "0"))


def _days_before(year: int, month: int, day: int) -> int:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    earlier = year - 1
    days = earlier * 365 + earlier // 4 - earlier // 100 + earlier // 400
    return days + sum(_DAYS[: month - 1]) + (month > 2 and leap) + day - 1


def is_before(earlier: str, later: str) -> bool:
    """Whether the instant `earlier` lies strictly before `later`."""
    if len(earlier) == len(later) and earlier[-1] == "Z" == later[-1]:
        return earlier < later
    return instant_ns(earlier) < instant_ns(later)
