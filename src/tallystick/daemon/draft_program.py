# SPDX-License-Identifier: Apache-2.0
"""The program of a drafting process: frames come in, what they state goes out.

It is given neither the key nor the store, and ends with its input, and so with the daemon that
began it.
"""

from __future__ import annotations

import gc
import signal
from typing import BinaryIO, Final

from tallystick.chain.gapped import Gap
from tallystick.daemon.batch import drawing, ordered_ids
from tallystick.daemon.drafting import DraftSettings
from tallystick.daemon.hardening import harden_process
from tallystick.daemon.portion import (
    Answer,
    Ids,
    Portion,
    Statement,
    encoded,
    new_gap,
    portion_of,
    state,
)
from tallystick.daemon.terms import draft_settings_of, terms_of
from tallystick.verify.pieces import framed, pieces

# A service manager sends these to all processes of a service: while the daemon drains it still
# asks, and it ends this one itself.
_FOR_THE_DAEMON: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def serve(questions: BinaryIO, answers: BinaryIO) -> None:
    """Take the terms, say so, and answer each portion, until there are no more."""
    for one in _FOR_THE_DAEMON:
        signal.signal(one, signal.SIG_IGN)
    harden_process()
    gap, draw = new_gap(), drawing()
    asked = pieces(questions)
    settings = draft_settings_of(terms_of(next(asked)))
    gc.collect()
    gc.freeze()
    answers.write(framed(b""))
    answers.flush()
    for piece in asked:
        portion = portion_of(piece)
        ids = ordered_ids(portion.moment_ms, draw)
        statements = [_stated(body, portion, settings, gap, ids) for body in portion.bodies]
        answers.write(framed(encoded(Answer(portion.number, statements))))
        answers.flush()


def _stated(
    body: bytes, portion: Portion, settings: DraftSettings, gap: Gap, ids: Ids
) -> Statement | None:
    try:
        return state(body, portion, settings, gap, ids)
    except Exception:  # noqa: BLE001 - who asked meets the same, and tells
        return None
