# SPDX-License-Identifier: Apache-2.0
"""The hook as hosts run it: the whole process, to the daemon's word, over a bare interpreter."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import Row, paired, ratio, show_times
from signing_daemon import daemon

from tallystick.channels.hook_config import hook_command

# The bound of the issue.
OVER_BARE = 3.0
EVENT = {
    "session_id": "0b0a7f3e-5f9e-4a52-8e0e-2f6c1f0a9d11",
    "transcript_path": "/nowhere",
    "hook_event_name": "PostToolUse",
    "tool_name": "Bash",
    "tool_input": {"command": "make test"},
    "tool_response": {"stdout": "ok", "stderr": "", "interrupted": False},
    "tool_use_id": "toolu_01A2b3C4",
}


def rows(rounds: int) -> list[Row]:
    """Return how long a hook takes, over an interpreter that is as isolated and does nothing."""
    event = json.dumps(EVENT).encode()
    with tempfile.TemporaryDirectory(prefix="tally-") as folder, daemon(Path(folder)) as path:
        line = shlex.split(hook_command("claude-code", socket=path))

        def run(command: list[str]) -> None:
            subprocess.run(command, input=event, check=True, env={})

        run(line)  # compiles
        bare, hook = paired(
            rounds, lambda: run([sys.executable, "-I", "-S", "-c", "pass"]), lambda: run(line)
        )
    show_times("a hook, to the daemon's word", 1, hook=hook, bare=bare)
    return [Row("hook process, over a bare interpreter", ratio(hook, bare), at_most=OVER_BARE)]
