# SPDX-License-Identifier: Apache-2.0
"""Frames sent ahead of their answers: the daemon stores many of them in one transaction.

Never more are under way than the sockets hold, or both sides would wait for each other to read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tallystick.deliver.daemon_line import BrokenLine
from tallystick.errors import EmitError, EmitTransportError, FrameRefused
from tallystick.limits import EMITTER_UNANSWERED_MAX


def volley(
    frames: Sequence[bytes],
    send: Callable[[bytes, bool], None],
    answer: Callable[[], object],
) -> tuple[list[object], int, EmitTransportError | None]:
    """Send frames, and return the answers that came, how many went out, and what ended it early.

    `send` hears whether no other frame is under way: then it may connect anew. An answer that
    refuses a frame stands in its place as the error that `answer` raised.
    """
    answers: list[object] = []
    sent = 0
    try:
        for frame in frames:
            send(frame, sent == len(answers))
            sent += 1
            if sent - len(answers) >= EMITTER_UNANSWERED_MAX:
                _read(answers, EMITTER_UNANSWERED_MAX // 2, answer)
        _read(answers, sent - len(answers), answer)
    except BrokenLine as fault:
        return answers, sent, EmitTransportError(f"the daemon closed the connection: {fault}")
    except EmitTransportError as fault:
        return answers, sent, fault
    return answers, sent, None


def _read(answers: list[object], count: int, answer: Callable[[], object]) -> None:
    for _ in range(count):
        try:
            answers.append(answer())
        except EmitTransportError:
            raise
        except (EmitError, FrameRefused) as refused:
            answers.append(refused)
