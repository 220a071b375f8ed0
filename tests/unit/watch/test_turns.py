# SPDX-License-Identifier: Apache-2.0
"""Whose bundle is looked at when: nobody is forgotten, and nobody is first for ever."""

from __future__ import annotations

from tallystick.watch.cursor import Seen
from tallystick.watch.turns import (
    ASK_BEFORE_SECONDS,
    LAST_LOOK_SECONDS,
    Open,
    in_turn,
    is_due,
    looked,
)

END = 10_000
DUE = END - ASK_BEFORE_SECONDS


def seen(name: str) -> Seen:
    return Seen(receipt_id=name, solver="", intent="", evidence="")


def test_pauses_grow_until_a_look_near_the_end() -> None:
    """Each is twice the one before; one look is where the post has to have shown its bundle."""
    one, now, moments = seen("one"), 0, []
    while now <= END:
        moments.append(now)
        looked(one, now, END, is_missing=False)
        now = one.look_at
    assert moments == [0, 60, 180, 420, 900, 1860, 3780, 7620, DUE]


def test_who_was_not_looked_at_comes_first() -> None:
    """Then whose window ends first; what is due comes before all of them."""
    first, later, again, urgent = (seen(name) for name in ("first", "later", "again", "urgent"))
    looked(again, 0, END, is_missing=True)
    looked(urgent, 0, END, is_missing=True)
    found = in_turn(
        [
            Open(seen=again, deadline=END + ASK_BEFORE_SECONDS),
            Open(seen=later, deadline=END + 2),
            Open(seen=first, deadline=END + 1),
            Open(seen=urgent, deadline=END),
        ],
        DUE,
    )
    assert [one.seen.receipt_id for one in found] == ["urgent", "first", "later", "again"]


def test_who_is_not_looked_at() -> None:
    """Before its pause is over, and, of what could not be had, when it must be asked at once."""
    one = seen("one")
    looked(one, 0, END, is_missing=True)
    at = Open(seen=one, deadline=END)
    assert [bool(in_turn([at], now)) for now in (59, 60)] == [False, True]
    assert [bool(in_turn([Open(seen=seen("two"), deadline=END)], END + n)) for n in (0, 1)] == [
        True,
        False,
    ]
    late = END - LAST_LOOK_SECONDS
    assert [bool(in_turn([at], now)) for now in (late - 1, late)] == [True, False]
    looked(one, 0, END, is_missing=False, again=True)
    assert in_turn([at], 1)
    assert in_turn([at], late)


def test_due() -> None:
    """A quarter of an hour before the end, and as much earlier as a round may take."""
    assert [is_due(left) for left in (901, 900)] == [False, True]
    assert is_due(1000, 100.0)
