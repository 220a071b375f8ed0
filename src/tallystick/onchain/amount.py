# SPDX-License-Identifier: Apache-2.0
"""Amounts as people write them: `0.1 ether`, `30gwei`, `5 wei`; never a bare number."""

from __future__ import annotations

import re
from typing import Final

from tallystick.errors import PostingError

_UNITS: Final = {"wei": 0, "gwei": 9, "ether": 18, "eth": 18}
_AMOUNT: Final = re.compile(r"([0-9]{1,30})(?:\.([0-9]{1,18}))? ?(wei|gwei|ether|eth)")
_DURATION: Final = re.compile(r"([0-9]{1,9})(s|m|h|d)")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_amount(text: str) -> int:
    """Return the wei of an amount with its unit."""
    found = _AMOUNT.fullmatch(text)
    if found is None:
        raise PostingError(
            f"{text[:40]!r} is no amount: wanted is a number with its unit, as 1ether, 3gwei, 5wei"
        )
    places = _UNITS[found[3]]
    fraction = found[2] or ""
    if len(fraction) > places:
        raise PostingError(f"{text[:40]!r} is finer than one wei")
    wei = int(found[1] + fraction.ljust(places, "0"))
    if wei >= 1 << 96:
        raise PostingError(f"{text[:40]!r} is more than there is")
    return wei


def shown_amount(wei: int) -> str:
    """Return an amount in the unit that suits it."""
    if wei == 0:
        return "0 ether"
    unit, places = ("ether", 18) if wei >= 10**14 else ("gwei", 9) if wei >= 10**6 else ("wei", 0)
    whole, part = divmod(wei, 10**places)
    fraction = f"{part:0{places}d}".rstrip("0") if part else ""
    return f"{whole}.{fraction} {unit}" if fraction else f"{whole} {unit}"


def parse_duration(text: str) -> int:
    """Return the seconds of `90s`, `10m`, `1h` or `7d`."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise PostingError(f"{text[:40]!r} is no duration: wanted is 90s, 10m, 1h or 7d")
    return int(found[1]) * _SECONDS[found[2]]
