# SPDX-License-Identifier: Apache-2.0
"""Everything that an error shows: its texts, its chain, and the locals of our own frames."""

from __future__ import annotations

import traceback
from pathlib import Path

import tallystick.errors

OURS = Path(tallystick.errors.__file__).parent


def everything_shown_by(error: BaseException) -> str:
    """Return what a crash reporter could collect: messages, arguments, chained errors, locals."""
    shown: list[str] = []
    queue: list[BaseException | None] = [error]
    while queue:
        current = queue.pop()
        if current is None:
            continue
        shown += [str(current), repr(current), repr(current.args), repr(vars(current))]
        shown += [repr(getattr(current, "object", ""))]  # UnicodeError keeps what it was given
        for frame in traceback.TracebackException.from_exception(
            current, capture_locals=True
        ).stack:
            if Path(frame.filename).is_relative_to(OURS):
                shown += [f"{key}={value}" for key, value in (frame.locals or {}).items()]
        queue += [current.__cause__, current.__context__]
    return "\n".join(shown)
