# SPDX-License-Identifier: Apache-2.0
"""The companions of a process under test, as the system shows them."""

from __future__ import annotations

import re
import signal
from pathlib import Path


def companions_of(pid: int) -> list[int]:
    """Return the processes that a process began."""
    text = "".join(one.read_text() for one in Path(f"/proc/{pid}/task").glob("*/children"))
    return [int(one) for one in text.split()]


def has_begun(pid: int) -> bool:
    """Whether a companion has come as far as its program: SIGTERM is not for it any more."""
    (mask,) = re.findall(r"SigIgn:\t([0-9a-f]+)", Path(f"/proc/{pid}/status").read_text())
    return bool(int(mask, 16) & 1 << signal.SIGTERM - 1)
