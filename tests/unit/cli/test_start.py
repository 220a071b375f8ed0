# SPDX-License-Identifier: Apache-2.0
"""Where `tally` starts."""

from __future__ import annotations

import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tests.command import environment, process

from tallystick.cli.start import run

ROOT = Path(__file__).resolve().parent.parent.parent.parent
# Stands for a package that is being loaded when Ctrl-C is pressed.
INTERRUPTED = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)\n"


@pytest.mark.parametrize("package", ["click", "msgspec"])
def test_ctrl_c_while_it_loads_is_silent(place: Path, package: str) -> None:
    """Whether its own imports are interrupted, or those of a verb: 130, and no traceback."""
    Path("slow").mkdir()
    (Path("slow") / f"{package}.py").write_text(INTERRUPTED)
    shadowing = environment()
    path = f"{Path('slow').resolve()}:{shadowing['PYTHONPATH']}"
    done = subprocess.run(
        process("verify", "run.jsonl", "--key", "agent.pub"),
        env={**shadowing, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize("before", ["", "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"])
def test_ctrl_c_while_it_ends_is_silent(place: Path, before: str) -> None:
    """It ends as by that signal, when all is told; who ignores it is left alone."""
    program = (
        "import atexit, os, signal, sys, time\n"
        "from tallystick.cli.start import run\n"
        f"{before}"
        "atexit.register(lambda: [os.kill(os.getpid(), signal.SIGINT), time.sleep(0.1)])\n"
        "sys.argv = ['tally', '--version']\n"
        "run()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0 if before else -signal.SIGINT, "")
    assert done.stdout.startswith("tally ")


def test_the_command_starts_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The script that an installation makes, as `python -m tallystick`, and ends with its code."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts["tally"] == "tallystick.cli.start:run"
    monkeypatch.setattr(sys, "argv", ["tally", "no-such-verb"])
    handler = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(SystemExit) as ended:
            run()
    finally:
        signal.signal(signal.SIGINT, handler)
    assert ended.value.code == 2
