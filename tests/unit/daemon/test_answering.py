# SPDX-License-Identifier: Apache-2.0
"""What becomes of frames: all in order, across portions, and each refused for itself."""

from __future__ import annotations

from typing import Any

import pytest
from tests.frames import body
from tests.ledgers import ISSUER, METHOD, NOON_MS, PEER, frame
from tests.portions import stated_frame

from tallystick.daemon.answering import answers_of
from tallystick.daemon.attested import ArrivedFrame, AttestedFrame
from tallystick.daemon.batch import Draft, Issuing, Place
from tallystick.daemon.drafter import Drafter
from tallystick.daemon.drafting import DraftSettings
from tallystick.daemon.principal_names import PrincipalNames
from tallystick.daemon.turn import Standing, Turn
from tallystick.errors import CanonicalError, FrameRefused, SignerUnavailable, SigningError
from tallystick.keys.local import LocalSigner, generate_key_pair
from tallystick.model.chain import Head
from tallystick.model.frame import Acknowledgement, Refusal
from tallystick.model.redact import Redactor


class Moody(LocalSigner):
    """A signer that raises at what names a session."""

    fault: Exception = SigningError("not this one")
    signs_nothing = False

    def sign(self, message: bytes, /) -> bytes:
        if self.signs_nothing or b'"odd"' in message:
            raise self.fault
        return super().sign(message)


class Drafting(Drafter):
    """The daemon's own, but for what it can't draft."""

    def receipt(self, one: AttestedFrame) -> dict[str, Any]:
        if one.frame.session_id == "refused":
            raise FrameRefused("FRAME_NUMBER", "a number")
        if one.frame.session_id == "no receipt":
            raise CanonicalError("a number")
        return super().receipt(one)


SIGNER = Moody(generate_key_pair())
DRAFTING = Drafting(
    DraftSettings(issuer_id=ISSUER, redactor=Redactor()),
    PrincipalNames("linux", lookup=lambda uid: f"user{uid}"),
)


def new_turn(signer: Moody = SIGNER) -> Turn:
    """Return a turn on chains that nobody has used."""
    return Turn(
        Issuing(issuer_id=ISSUER, verification_method=METHOD, signer=signer),
        Standing(),
        place_of=lambda name: Place(head=Head(chain_id=name)),
        base="day",
        is_used=lambda _: False,
    )


def arrived(session: str = "s", **members: Any) -> AttestedFrame:
    """Return a frame with these members."""
    told = frame(session_id=session, **members)
    return AttestedFrame(frame=told, peer=PEER, received_ns=NOON_MS * 1_000_000)


def test_answers_keep_their_order() -> None:
    """Also over more than a portion; what is refused is in no chain, and its neighbours are."""
    frames = [arrived() for _ in range(150)]
    frames[3], frames[70], frames[149] = arrived("refused"), arrived("no receipt"), arrived("odd")
    turn = new_turn()
    answers = answers_of(turn, frames, DRAFTING, SIGNER)
    refused = {at: one for at, one in enumerate(answers) if isinstance(one, Refusal)}
    assert {at: one.code for at, one in refused.items()} == {
        3: "FRAME_NUMBER", 70: "FRAME_VALUE", 149: "SIGNER",
    }  # fmt: skip
    told = [one.sequence for one in answers if isinstance(one, Acknowledgement)]
    assert told == list(range(1, 148))
    assert [row[2] for row in turn.batch.rows] == told


def test_a_receipt_that_can_not_be_made_is_named_by_its_place() -> None:
    """Not by words, which may quote the frame."""

    class Broken(Drafter):
        def receipt(self, one: AttestedFrame) -> Draft:  # type: ignore[override]  # a mapping, too
            return {**super().receipt(one), "correlation_id": ""}

    drafting = Broken(DRAFTING.settings, DRAFTING._names)
    (answer,) = answers_of(new_turn(), [arrived()], drafting, SIGNER)
    assert isinstance(answer, Refusal)
    assert answer.message == "makes no receipt: /credentialSubject/correlation_id"


def test_losses_stand_before_the_frame_that_tells_them() -> None:
    """The emitter's own count is a receipt of its own, and the answer is the frame's."""
    turn = new_turn()
    (answer,) = answers_of(turn, [arrived(drop_count=2)], DRAFTING, SIGNER)
    assert isinstance(answer, Acknowledgement)
    assert answer.sequence == len(turn.batch.rows) == 2


@pytest.mark.parametrize("fault", [SignerUnavailable("not now"), SigningError("never")])
def test_a_signer_that_signs_nothing_is_no_refusal(fault: Exception) -> None:
    """One that is away is waited for, one that is broken is the end: both are raised."""
    signer = Moody(generate_key_pair())
    signer.fault, signer.signs_nothing = fault, True
    with pytest.raises(type(fault), match=str(fault)):
        answers_of(new_turn(signer), [arrived()], DRAFTING, signer)


def test_frames_that_were_stated_ahead_stand_among_others() -> None:
    """In their order; the first begins the root, and others fit only where they were stated for."""
    frames: list[ArrivedFrame] = [
        stated_frame(body(), stated_ms=NOON_MS - at % 7 // 6) if at % 3 else arrived()
        for at in range(150)
    ]
    frames[0] = stated_frame(body())
    frames[3], frames[70], frames[149] = arrived("refused"), arrived("no receipt"), arrived("odd")
    frames[5] = stated_frame(body(session_id="odd"))
    frames[13] = stated_frame(body(session_id="odd"), stated_ms=NOON_MS - 1)
    frames[20] = stated_frame(body(session_id="refused"), stated_ms=NOON_MS - 1)
    turn = new_turn()
    answers = answers_of(turn, frames, DRAFTING, SIGNER)
    refused = {at: one.code for at, one in enumerate(answers) if isinstance(one, Refusal)}
    assert refused == {
        3: "FRAME_NUMBER", 5: "SIGNER", 13: "SIGNER", 20: "FRAME_NUMBER", 70: "FRAME_VALUE",
        149: "SIGNER",
    }  # fmt: skip
    told = [one.sequence for one in answers if isinstance(one, Acknowledgement)]
    assert told == [row[2] for row in turn.batch.rows] == list(range(1, 145))
    assert [one.id for one in answers if isinstance(one, Acknowledgement)] == [
        row[0] for row in turn.batch.rows
    ]
    hashes = [row[11] for row in turn.batch.rows]
    assert [row[12] for row in turn.batch.rows] == [None, *hashes[:-1]]


def test_what_fits_is_not_stated_twice() -> None:
    """Only what goes elsewhere is drafted here."""
    drafted: list[str] = []

    class Noting(Drafter):
        def receipt(self, one: AttestedFrame) -> dict[str, Any]:
            drafted.append(one.frame.session_id)
            return super().receipt(one)

    frames = [stated_frame(body(session_id=f"s{at}")) for at in range(5)]
    frames.insert(3, stated_frame(body(session_id="later"), NOON_MS + 1, stated_ms=NOON_MS))
    drafting = Noting(DRAFTING.settings, DRAFTING._names)
    answers = answers_of(new_turn(), frames, drafting, SIGNER)
    assert all(isinstance(one, Acknowledgement) for one in answers)
    assert drafted == ["s0", "later", "s3", "s4"]  # what follows is of the later moment, too


@pytest.mark.parametrize("fault", [SignerUnavailable("not now"), SigningError("never")])
def test_a_signer_that_signs_nothing_is_no_refusal_of_what_was_stated(fault: Exception) -> None:
    """Neither of what is stated anew, nor of what fits."""
    signer = Moody(generate_key_pair())
    signer.fault = fault
    turn = new_turn(signer)
    answers_of(turn, [arrived()], DRAFTING, signer)
    signer.signs_nothing = True
    for stated_ms in (NOON_MS, NOON_MS - 1):
        with pytest.raises(type(fault), match=str(fault)):
            answers_of(turn, [stated_frame(body(), stated_ms=stated_ms)], DRAFTING, signer)
    assert len(turn.batch.rows) == 1
