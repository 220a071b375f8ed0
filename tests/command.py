# SPDX-License-Identifier: Apache-2.0
"""Runs `tally` for tests: inside this process, or as a process of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

from tallystick.cli.main import main

SOURCE = Path(__file__).resolve().parent.parent / "src"


@dataclass(frozen=True)
class Answer:
    """What a command answered."""

    code: int
    out: str
    err: str


def tally(*arguments: str, stdin: bytes = b"") -> Answer:
    """Run one command in this process; whatever it raises is a failure of the test.

    A verb may set the umask for the process that it has to itself: here others come after it.
    """
    umask = os.umask(0o022)
    os.umask(umask)
    try:
        done = CliRunner().invoke(main, arguments, input=stdin, catch_exceptions=False)
    finally:
        os.umask(umask)
    return Answer(done.exit_code, done.stdout, done.stderr)


def process(*arguments: str) -> list[str]:
    """Return the argument list that runs `tally` as a process."""
    return [sys.executable, "-m", "tallystick", *arguments]


def environment(**more: str) -> Mapping[str, str]:
    """Return the environment of such a process."""
    return {**os.environ, "PYTHONPATH": str(SOURCE), **more}
