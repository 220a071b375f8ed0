# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C at each point where the interpreter can deliver it: behind a call, and in a new function.

Between other instructions it looks for no signal. So the points can be gone through one by one.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from types import CodeType, FrameType
from typing import Any


def interrupted(files: tuple[str, ...], point: int, do: Callable[[], object]) -> bool:
    """Do something, with a KeyboardInterrupt at the so-manieth point in these files, from 1.

    Return whether there are that many points.
    """
    met = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal met
        if not frame.f_code.co_filename.endswith(files):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode" and frame.f_lasti in _points(frame.f_code):
            met += 1
            if met == point:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        do()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


@cache
def _points(code: CodeType) -> frozenset[int]:
    instructions = list(dis.get_instructions(code))
    return frozenset(
        behind.offset
        for one, behind in pairwise(instructions)
        # Raised behind a call, but as if by it: not where another handler begins in between.
        if one.opname.startswith(("CALL", "RESUME"))
        and _handler(code, one.offset) == _handler(code, behind.offset)
    )


def _handler(code: CodeType, offset: int) -> int | None:
    entries: Any = getattr(dis.Bytecode(code), "exception_entries")  # noqa: B009  # not in typeshed
    return min(
        ((one.end - one.start, one.target) for one in entries if one.start <= offset < one.end),
        default=(0, None),
    )[1]
