# SPDX-License-Identifier: Apache-2.0
"""Which confinement this machine gives: bubblewrap, namespaces of our own, or none.

It is tried once, with a program that does nothing, and not guessed from versions. What was in force
for a run stands in its manifest.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from typing import Final

from tallystick.solver.execution import execute
from tallystick.solver.sandbox import PROGRAMS, Cell, Kind

_TRY_S: Final = 10


@cache
def best_kind() -> Kind:
    """Return the strongest confinement that works here."""
    if not sys.platform.startswith("linux"):
        return "none"
    kinds: tuple[Kind, ...] = ("bubblewrap", "namespaces")
    return next((kind for kind in kinds if _works(kind)), "none")


def _works(kind: Kind) -> bool:
    if kind == "bubblewrap" and shutil.which("bwrap", path=PROGRAMS) is None:
        return False
    program = shutil.which("true", path=PROGRAMS)
    if program is None:
        return False
    with tempfile.TemporaryDirectory(prefix="tally-cell-") as folder:
        try:
            done = execute(
                [program],
                {"PATH": PROGRAMS},
                Cell(cwd=os.path.realpath(folder)),
                kind=kind,
                stdin=b"",
                timeout_ms=_TRY_S * 1000,
            )
        except (OSError, subprocess.SubprocessError):
            return False
        return done.fault is None and done.exit_code == 0
