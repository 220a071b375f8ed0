# SPDX-License-Identifier: Apache-2.0
"""One transaction in the making: it changes nothing but itself."""

from __future__ import annotations

from typing import Any

import pytest
from tests.frames import body
from tests.ledgers import ISSUER, METHOD, NOON_MS, PEER, frame
from tests.portions import stated_frame

from tallystick.daemon.attested import AttestedFrame
from tallystick.daemon.batch import Issuing, Place
from tallystick.daemon.drafter import Drafter
from tallystick.daemon.drafting import DraftSettings
from tallystick.daemon.principal_names import PrincipalNames
from tallystick.daemon.turn import Standing, Turn
from tallystick.errors import ReceiptError
from tallystick.keys.local import LocalSigner, generate_key_pair
from tallystick.model.chain import Head
from tallystick.model.redact import Redactor

ISSUING = Issuing(
    issuer_id=ISSUER, verification_method=METHOD, signer=LocalSigner(generate_key_pair())
)
DRAFTER = Drafter(
    DraftSettings(issuer_id=ISSUER, redactor=Redactor()),
    PrincipalNames("linux", lookup=lambda uid: f"user{uid}"),
)


def new_turn(standing: Standing | None = None, used: tuple[str, ...] = ()) -> Turn:
    """Return a turn on chains that nobody has used but those named."""
    return Turn(
        ISSUING,
        standing or Standing(),
        place_of=lambda name: Place(head=Head(chain_id=name)),
        base="day",
        is_used=used.__contains__,
    )


def add(turn: Turn, **members: Any) -> None:
    """Add a frame with these members."""
    one = AttestedFrame(frame=frame(**members), peer=PEER, received_ns=NOON_MS * 1_000_000)
    turn.add(one, DRAFTER.receipt(one), DRAFTER.drops(one) if one.frame.drop_count else None)


def test_a_turn_is_a_copy() -> None:
    """Where things stood is unchanged, where they stand behind the turn is told."""
    before = Standing()
    turn = new_turn(before)
    add(turn)
    assert before == Standing()
    after = turn.standing
    assert after.root is not None
    assert (after.root.head.chain_id, after.root.head.sequence) == ("day", 1)
    assert after.last_ms == NOON_MS


def test_a_root_takes_the_next_free_name() -> None:
    """Names of the store and of this very turn are taken."""
    turn = new_turn(used=("day", "day-2"))
    add(turn)
    turn.end_all("complete", [], NOON_MS)
    add(turn)
    assert [row[1] for row in turn.batch.rows] == ["day-3", "day-3", "day-4"]
    assert turn.standing.previous == turn.batch.places["day-3"].head


def test_a_frame_counts_as_a_whole() -> None:
    """Where its receipt can't be made, neither announcement nor losses nor a root are left."""
    turn = new_turn()
    one = AttestedFrame(
        frame=frame(agent_id="a", drop_count=1), peer=PEER, received_ns=NOON_MS * 1_000_000
    )
    bad = {**DRAFTER.receipt(one), "correlation_id": ""}
    with pytest.raises(ReceiptError):
        turn.add(one, bad, DRAFTER.drops(one))
    assert turn.batch.rows == []
    assert turn.standing == Standing()
    add(turn, agent_id="a")
    assert [row[1:3] for row in turn.batch.rows] == [("day", 1), ("day/agent/a", 1)]


def test_ending_twice_ends_once() -> None:
    """Without an open root there is nothing to close."""
    turn = new_turn()
    turn.end_all("interrupted", [], NOON_MS)
    assert turn.batch.rows == []


def test_what_was_stated_ahead_goes_into_the_open_root() -> None:
    """Without one it is for the long way, as behind the end of one; with one it goes on there."""
    turn = new_turn()
    assert turn.add_stated(stated_frame(body())) is None
    assert (turn.standing, turn.batch.rows) == (Standing(), [])
    add(turn)
    answer = turn.add_stated(stated_frame(body()))
    assert answer is not None
    assert (answer.chain_id, answer.sequence) == ("day", 2)
    add(turn, agent_id="a")
    assert turn.add_stated(stated_frame(body())) is not None
    assert turn.standing.root == turn.batch.places["day"]
    assert [row[1:3] for row in turn.batch.rows] == [
        ("day", 1), ("day", 2), ("day", 3), ("day/agent/a", 1), ("day", 4),
    ]  # fmt: skip
    turn.end_all("complete", [], NOON_MS)
    assert turn.add_stated(stated_frame(body())) is None
    assert len(turn.batch.rows) == 6


def test_what_was_stated_for_another_moment_leaves_no_trace() -> None:
    """It is stated anew, and the root goes on where it was."""
    turn = new_turn()
    add(turn)
    before = turn.standing
    assert turn.add_stated(stated_frame(body(), stated_ms=NOON_MS - 1)) is None
    assert turn.standing == before
