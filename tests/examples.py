# SPDX-License-Identifier: Apache-2.0
"""Starts the programs in `examples/` as their platforms do: as processes, with an environment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests import material

ROOT: Final = Path(__file__).resolve().parent.parent
EXAMPLES: Final = ROOT / "examples"

TOKEN: Final = "tok-9b1f"


def settings(url: str, **more: str) -> dict[str, str]:
    """Return what an example is deployed with: a collector and a key. No more of this machine."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": str(ROOT / "src"),
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "error",
        "AGENTRECEIPTS_COLLECTOR_URL": url,
        "AGENTRECEIPTS_COLLECTOR_TOKEN": TOKEN,
        "AGENTRECEIPTS_KEY": material.KEY.private_key,
        **more,
    }


@contextmanager
def started(
    arguments: list[str], environment: Mapping[str, str], place: Path
) -> Iterator[subprocess.Popen[str]]:
    """Start a Python program; what is left of it is killed at the end."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=place,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        process.communicate(timeout=10)


def ended(process: subprocess.Popen[str], within_s: float = 20) -> tuple[int, str]:
    """Wait for the end of a program; return its exit code and all that it said."""
    said, _ = process.communicate(timeout=within_s)
    return process.returncode, said
