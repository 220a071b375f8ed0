# SPDX-License-Identifier: Apache-2.0
"""The same run on two machines gives the same manifest, and the same bundle byte by byte."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.command import environment

_ROOT = Path(__file__).resolve().parent.parent.parent


def _machine(folder: Path, umask: str, order: int, **given: str) -> str:
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "tests.systems.machine", str(folder), umask, str(order)],
        cwd=_ROOT,
        env=environment(**given),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_two_machines_agree(tmp_path: Path) -> None:
    """Locale, time zone, umask, hash seed, folder and the order of files are no part of it."""
    one = _machine(tmp_path / "one", "022", 1, LC_ALL="C", TZ="UTC", PYTHONHASHSEED="1")
    other = _machine(
        tmp_path / "another-place",
        "077",
        2,
        LC_ALL="C.UTF-8",
        LANG="tr_TR.UTF-8",
        TZ="Asia/Kathmandu",
        PYTHONHASHSEED="2",
        PYTHONUTF8="1",
    )
    assert one == other
    assert len(one) == 129
