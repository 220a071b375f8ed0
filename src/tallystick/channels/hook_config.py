# SPDX-License-Identifier: Apache-2.0
"""Our handlers in the hook settings of Claude Code and Codex: put there, and taken out again."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tallystick.channels import claude_code, codex, hook_start
from tallystick.channels.config_file import ConfigChange, about, backups, read_config, text_of
from tallystick.channels.json_text import JsonText
from tallystick.errors import ClientConfigError
from tallystick.limits import HOOK_HOST_S_MAX

_LAUNCHER: Final = "/tallystick/channels/hook_start.py"
_COMMAND: Final = "tally-hook"


class HookHost(msgspec.Struct, frozen=True, kw_only=True):
    """A host: where its settings are, and at which events it is to call us."""

    name: str
    path: str
    events: tuple[str, ...]


def hook_host(name: str, environ: Mapping[str, str]) -> HookHost:
    """Return what is known of a host; its settings are the user's own."""
    home = environ.get("HOME") or os.path.expanduser("~")
    if name == "codex":
        folder = environ.get("CODEX_HOME") or f"{home}/.codex"
        settling = [one for one in codex.SETTLING_EVENTS if one not in codex.OTHER_EVENTS]
        return HookHost(
            name=name,
            path=f"{folder}/hooks.json",
            events=(*codex.TOOL_EVENTS, *codex.OTHER_EVENTS, *settling),
        )
    folder = environ.get("CLAUDE_CONFIG_DIR") or f"{home}/.claude"
    return HookHost(
        name=name,
        path=f"{folder}/settings.json",
        events=(*claude_code.TOOL_EVENTS, *claude_code.OTHER_EVENTS),
    )


def hook_command(
    host: str, *, socket: str | None = None, spool: str | None = None, python: str | None = None
) -> str:
    """Return the shell line that a host is to run: isolated, and nothing but one small file."""
    words = [python or sys.executable, "-I", "-S", os.path.abspath(hook_start.__file__), host]
    for flag, value in (("--socket", socket), ("--spool", spool)):
        words += [flag, os.path.abspath(value)] if value else []
    return shlex.join(words)


def installed(
    host: HookHost, path: str, command: str, *, blocks: bool = False
) -> tuple[ConfigChange, Any]:
    """Return the change that has the host call us at each event, and the settings after it.

    `blocks` has Claude Code refuse a call whose attempt could not be recorded.
    """
    before = read_config(path)
    with about(path):
        text = JsonText("{}\n" if before is None else text_of(before))
        _take_out(text)
        _put_in(host, text, command, blocks=blocks)
    after = text.text.encode()
    if before is not None and JsonText(before.decode()).value == text.value:
        after = before  # it is so already, in other words
    return ConfigChange(path=path, before=before, after=after), text.value


def removed(path: str) -> ConfigChange:
    """Return the change that takes our handlers out; what was there before comes back byte by byte
    where nothing else has changed since."""
    before = read_config(path)
    if before is None:
        return ConfigChange(path=path, before=None, after=None)
    with about(path):
        text = JsonText(text_of(before))
        taken = _take_out(text)
    if not taken:
        return ConfigChange(path=path, before=before, after=before)
    left = text.value
    for backup in backups(path):
        old = read_config(backup)
        if old is not None and _says(old, left):
            return ConfigChange(path=path, before=before, after=old)
    if left == {}:
        return ConfigChange(path=path, before=before, after=None)
    return ConfigChange(path=path, before=before, after=text.text.encode())


def _put_in(host: HookHost, text: JsonText, command: str, *, blocks: bool) -> None:
    if text.find("hooks") is None:
        text.put(("hooks",), {})
    for event in host.events:
        handler: dict[str, Any] = {
            "type": "command",
            "command": command,
            "timeout": HOOK_HOST_S_MAX,
        }
        if blocks and event == "PreToolUse":
            handler["onFailure"] = "block"
        if text.find("hooks", event) is None:
            text.put(("hooks", event), [])
        text.put(("hooks", event, _length(text, event)), {"hooks": [handler]})


def _take_out(text: JsonText) -> int:
    """Remove our handlers, and the groups, events and members that held nothing else."""
    hooks = text.find("hooks")
    if hooks is None:
        return 0
    if hooks.members is None:
        raise ClientConfigError("has hooks that are no object; nothing was changed")
    taken = 0
    for event in list(hooks.members):
        taken_here = 0
        for group in reversed(range(_length(text, event))):
            mine = [
                number
                for number, handler in enumerate(_handlers(text, event, group))
                if _is_ours(handler)
            ]
            for number in reversed(mine):
                text.drop("hooks", event, group, "hooks", number)
            if mine and not _handlers(text, event, group):
                text.drop("hooks", event, group)
            taken_here += len(mine)
        if taken_here and not _length(text, event):
            text.drop("hooks", event)
        taken += taken_here
    if taken and text.value["hooks"] == {}:
        text.drop("hooks")
    return taken


def _length(text: JsonText, event: str) -> int:
    groups = text.find("hooks", event)
    if groups is None or groups.items is None:
        raise ClientConfigError(f"has hooks for {event[:64]!r} that are no list")
    return len(groups.items)


def _handlers(text: JsonText, event: str, group: int) -> list[Any]:
    found = text.value["hooks"][event][group]
    handlers = found.get("hooks") if isinstance(found, dict) else None
    return handlers if isinstance(handlers, list) else []


def _is_ours(handler: object) -> bool:
    command = handler.get("command") if isinstance(handler, dict) else None
    if not isinstance(command, str):
        return False
    try:
        words = shlex.split(command)
    except ValueError:
        return False
    return any(one.endswith(_LAUNCHER) or os.path.basename(one) == _COMMAND for one in words[:4])


def _says(data: bytes, value: object) -> bool:
    try:
        return bool(_plain(JsonText(data.decode()).value) == _plain(value))
    except (ClientConfigError, UnicodeDecodeError):
        return False


def _plain(value: Any) -> Any:
    """Return settings without lists of hooks that are empty: they say nothing."""
    if not isinstance(value, dict) or not isinstance(value.get("hooks"), dict):
        return value
    hooks = {event: groups for event, groups in value["hooks"].items() if groups != []}
    rest = {name: one for name, one in value.items() if name != "hooks"}
    return {**rest, "hooks": hooks} if hooks else rest
