# SPDX-License-Identifier: Apache-2.0
"""When the bundle of a post is looked at again, and whose turn comes first.

Who is due comes first. Else, who was never looked at comes before who was, and then whose window
ends first: a crowd of posts that answer slowly holds up no other by being looked at again and
again. Moments are the contracts'.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tallystick.watch.cursor import Seen

# How long before its window ends a post must have shown its bundle.
ASK_BEFORE_SECONDS: Final = 15 * 60
# How long before that one whose bundle could not be had is asked without another look.
LAST_LOOK_SECONDS: Final = 5 * 60
# After the first look; each pause is twice the one before.
_PAUSE_SECONDS: Final = 60
_DOUBLED_MAX: Final = 10


class Open(msgspec.Struct, frozen=True, kw_only=True):
    """A post whose window is open, and when that ends."""

    seen: Seen
    deadline: int


def in_turn(open_posts: list[Open], now: int) -> list[Open]:
    """Return the posts whose bundles are to be looked at now, in the order of their turns."""

    def place(one: Open) -> tuple[bool, int, int]:
        return not is_due(one.deadline - now), one.seen.looks, one.deadline

    return sorted((one for one in open_posts if _is_wanted(one, now)), key=place)


def _is_wanted(one: Open, now: int) -> bool:
    if one.deadline < now:
        return False
    if one.seen.is_missing and one.deadline - now <= LAST_LOOK_SECONDS:
        return False
    return one.seen.look_at <= now


def is_due(left: int, longer: float = 0.0) -> bool:
    """Whether a post with so many seconds left must have shown its bundle."""
    return left <= ASK_BEFORE_SECONDS + longer


def looked(seen: Seen, now: int, deadline: int, *, is_missing: bool, again: bool = False) -> None:
    """Write down that a bundle was looked at, and when it is again: at the latest when it is due.

    Who shows a bundle once and then no more is noticed by that. With `again` it is the next round.
    """
    pause = _PAUSE_SECONDS << min(seen.looks, _DOUBLED_MAX)
    due = deadline - ASK_BEFORE_SECONDS
    following = now + pause
    seen.look_at = 0 if again else min(following, due) if now < due else following
    seen.looks += 1
    seen.is_missing = is_missing
