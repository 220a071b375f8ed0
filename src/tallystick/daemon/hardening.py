# SPDX-License-Identifier: Apache-2.0
"""What the daemon does so that neither its memory nor its rights get into other hands."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Final

# From <sys/prctl.h>.
_PR_SET_DUMPABLE: Final = 4
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_CLEAR_ALL: Final = 4


def harden_process() -> list[str]:
    """Keep keys out of core dumps and from debuggers, and capabilities from what we start.

    Returns what this system did not let us.
    """
    import resource

    missed = []
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (OSError, ValueError) as error:
        missed.append(f"core dumps: {error}")
    if sys.platform.startswith("linux"):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0):
            missed.append(f"PR_SET_DUMPABLE: {os.strerror(ctypes.get_errno())}")
        # Who has none of these (Linux before 4.3) hands none on, either.
        libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    return missed
