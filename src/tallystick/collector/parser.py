# SPDX-License-Identifier: Apache-2.0
"""The program of a parser process: lines of batches come in, what they say goes out.

It ends with its input, and so with the collector that began it.
"""

from __future__ import annotations

import signal
from typing import BinaryIO, Final

from tallystick.collector.ingest import parse_submissions
from tallystick.collector.portion import answer, lines_asked
from tallystick.verify.pieces import framed, pieces

# A service manager sends these to all processes of a service: while the collector drains it still
# asks, and it ends this one itself.
_FOR_THE_COLLECTOR: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def serve(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer each portion, until there are no more."""
    for one in _FOR_THE_COLLECTOR:
        signal.signal(one, signal.SIG_IGN)
    for piece in pieces(questions):
        number, lines = lines_asked(piece)
        # Whose they are is not for this process to know: the collector puts the tenant on.
        answers.write(framed(answer(number, parse_submissions("", lines))))
        answers.flush()
