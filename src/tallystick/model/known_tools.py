# SPDX-License-Identifier: Apache-2.0
"""Tools of well-known hosts, by their names in lower case: risk, action type, and why.

One table for the classifier, the hooks and the TypeScript packages. Plain tuples and no imports:
a process that sends one frame can't afford the classifier.
"""

from __future__ import annotations

_READ = ("low", "filesystem.file.read", "tool:read")
_LIST = ("low", "filesystem.directory.list", "tool:list")
_WRITE = ("medium", "filesystem.file.modify", "tool:write")
_FETCH = ("medium", "network.egress.observed", "tool:fetch")

KNOWN_TOOLS = {
    "read": _READ,
    "view": _READ,
    "glob": _LIST,
    "ls": _LIST,
    "grep": _READ,
    "notebookread": _READ,
    "todowrite": ("low", None, "tool:note"),
    "todoread": ("low", None, "tool:note"),
    "write": _WRITE,
    "edit": _WRITE,
    "multiedit": _WRITE,
    "notebookedit": _WRITE,
    "apply_patch": _WRITE,
    "webfetch": _FETCH,
    "websearch": _FETCH,
    "task": ("medium", None, "tool:agent"),
    "agent": ("medium", None, "tool:agent"),
}

# What hosts call their shells. The classifier grades these by the command, not by the name.
SHELL_TOOLS = frozenset(
    ("bash", "exec", "exec_command", "local_shell", "shell", "shell_command", "unified_exec")
)
SHELL_TYPE = "system.command.execute"


# Tools of OpenClaw that are neither shells nor named as those above.
_OPENCLAW_TYPES = {
    "browser": "system.browser.navigate",
    "code_execution": "system.code.execute",
    "cron": "system.settings.modify",
    "gateway": "system.settings.modify",
    "message": "communication.message.send",
    "process": SHELL_TYPE,
    "sessions_send": "communication.message.send",
    "web_fetch": "network.egress.observed",
    "web_search": "network.egress.observed",
}


def tool_types() -> dict[str, str]:
    """Return the action type of each tool of a host that has one by its name."""
    found = {name: row[1] for name, row in KNOWN_TOOLS.items() if row[1] is not None}
    return {**found, **dict.fromkeys(SHELL_TOOLS, SHELL_TYPE), **_OPENCLAW_TYPES}


def host_action_type(tool: str) -> str | None:
    """Return the action type that a host's own tool has by its name, or None where it has none."""
    return tool_types().get(tool.lower())
