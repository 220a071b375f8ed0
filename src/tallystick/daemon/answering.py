# SPDX-License-Identifier: Apache-2.0
"""What becomes of each frame of a transaction: a receipt in the making, or a refusal.

In portions, and step by step: all of a portion is drafted, then all of it stated and signed. Code
and tables of one step stay in the processor's caches, which takes a tenth less time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tallystick.daemon.attested import ArrivedFrame, AttestedFrame, StatedFrame, as_attested
from tallystick.daemon.batch import Draft
from tallystick.daemon.drafted import Answer, Drafting
from tallystick.daemon.key_source import DOES_IT_SIGN
from tallystick.daemon.turn import Turn
from tallystick.errors import (
    FrameRefused,
    ReceiptError,
    RefusedInput,
    SignerUnavailable,
    SigningError,
)
from tallystick.model.frame import Refusal
from tallystick.ports import Signer

_PORTION: Final = 64

# The draft of a frame, and one of what its emitter lost before it.
_Drafts = tuple[Draft, Draft | None]


def answers_of(
    turn: Turn, frames: Sequence[ArrivedFrame], drafting: Drafting, signer: Signer
) -> list[Answer]:
    """Add frames to a turn, and return in order what became of each; all is signed then."""
    answers: list[Answer] = []
    for start in range(0, len(frames), _PORTION):
        portion = frames[start : start + _PORTION]
        drafts = [
            None if type(one) is StatedFrame else _drafts(one, drafting)  # type: ignore[arg-type]
            for one in portion
        ]
        answers += [
            _answer(turn, one, found, drafting, signer)
            for one, found in zip(portion, drafts, strict=True)
        ]
    turn.batch.sign()
    return answers


def _drafts(one: AttestedFrame, drafting: Drafting) -> _Drafts | Refusal:
    try:
        drops = drafting.drops(one) if one.frame.drop_count else None
        return drafting.receipt(one), drops
    except RefusedInput as fault:
        return _refusal(fault)


def _answer(
    turn: Turn,
    one: ArrivedFrame,
    found: _Drafts | Refusal | None,
    drafting: Drafting,
    signer: Signer,
) -> Answer:
    try:
        if isinstance(one, StatedFrame):
            answer = turn.add_stated(one)
            if answer is not None:
                return answer
            one = as_attested(one)
            found = _drafts(one, drafting)
        if isinstance(found, Refusal):
            return found
        assert found is not None
        return turn.add(one, *found)
    except RefusedInput as fault:
        return _refusal(fault)
    except SignerUnavailable:
        raise  # who asks us waits, and asks again
    except SigningError:
        # Of this one. A signer that signs nothing at all any more is the end.
        signer.sign(DOES_IT_SIGN)
        return Refusal(code="SIGNER", message="the signer gave no signature for it")


def _refusal(fault: RefusedInput) -> Refusal:
    if isinstance(fault, FrameRefused):
        return Refusal(code=fault.code, message=str(fault))
    if isinstance(fault, ReceiptError):
        # Its words may quote the frame.
        where = fault.where or "the receipt"
        return Refusal(code="FRAME_VALUE", message=f"makes no receipt: {where}")
    return Refusal(code="FRAME_VALUE", message="makes no receipt")
