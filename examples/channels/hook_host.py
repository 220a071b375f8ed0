# SPDX-License-Identifier: Apache-2.0
"""Does what Claude Code does before it runs a command: it calls the hooks in its settings."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

event = {
    "session_id": "s-1",
    "hook_event_name": "PreToolUse",
    "tool_name": "Bash",
    "tool_input": {"command": "make test"},
    "tool_use_id": "toolu_1",
}
settings = json.loads(Path("claude.json").read_text())
for group in settings["hooks"]["PreToolUse"]:
    for hook in group["hooks"]:
        subprocess.run(hook["command"], shell=True, input=json.dumps(event).encode(), check=True)
