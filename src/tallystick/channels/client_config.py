# SPDX-License-Identifier: Apache-2.0
"""The MCP servers in the configuration of known clients: started through our proxy, or as before.

Only `command` and `args` of servers that a client starts itself are changed. Those that it reaches
by an address are left alone, and so is every other byte of the file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

import msgspec

from tallystick.channels.config_file import ConfigChange, about, backups, read_config, text_of
from tallystick.channels.json_text import JsonText
from tallystick.channels.toml_text import TomlText
from tallystick.durable.file import shown
from tallystick.errors import ClientConfigError, SettingError, UnreadableError

CLIENTS: Final = ("claude-desktop", "claude-code", "codex", "cursor")

_PROXY: Final = ("mcp", "run")
_END: Final = "--"
_SERVERS: Final = "mcpServers"


class Installation(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a file, the servers that it is about, and those that it leaves alone.

    `remote` are reached by an address: no proxy can stand before them. `started` is how many are
    started by the client, whether they are changed or not.
    """

    change: ConfigChange
    wrapped: tuple[str, ...]
    untouched: tuple[str, ...]
    remote: tuple[str, ...]
    started: int


class _Server(msgspec.Struct, frozen=True, kw_only=True):
    where: tuple[str, ...]
    name: str
    entry: dict[str, Any]


def client_path(client: str, platform: str, environ: Mapping[str, str]) -> str:
    """Return where a client keeps its servers, for the user that we are."""
    home = environ.get("HOME") or os.path.expanduser("~")
    if client == "claude-desktop":
        folder = f"{home}/.config/Claude"
        if platform == "darwin":
            folder = f"{home}/Library/Application Support/Claude"
        return f"{folder}/claude_desktop_config.json"
    if client == "claude-code":
        return f"{environ.get('CLAUDE_CONFIG_DIR') or home}/.claude.json"
    if client == "codex":
        return f"{environ.get('CODEX_HOME') or f'{home}/.codex'}/config.toml"
    if client == "cursor":
        return f"{home}/.cursor/mcp.json"
    raise SettingError(f"no client {client!r}: {', '.join(CLIENTS)}")


def wrapped(
    client: str,
    path: str,
    program: str,
    *,
    options: Sequence[str] = (),
    only: Collection[str] = (),
) -> Installation:
    """Return the change by which servers are started through the proxy, with these options."""

    def wrap(name: str, command: str, arguments: list[str]) -> tuple[str, list[str]]:
        command, arguments = _original(command, arguments) or (command, arguments)
        proxied = [*_PROXY, "--name", name, *options, _END, command, *arguments]
        return program, proxied

    return _changed(client, path, wrap, only, undo=False)


def unwrapped(client: str, path: str, *, only: Collection[str] = ()) -> Installation:
    """Return the change that takes the proxy out again.

    What was there before comes back byte by byte where nothing else has changed since.
    """

    def unwrap(_name: str, command: str, arguments: list[str]) -> tuple[str, list[str]]:
        return _original(command, arguments) or (command, arguments)

    return _changed(client, path, unwrap, only, undo=True)


def _changed(
    client: str,
    path: str,
    remake: Callable[[str, str, list[str]], tuple[str, list[str]]],
    only: Collection[str],
    *,
    undo: bool,
) -> Installation:
    before = read_config(path)
    if before is None and undo:
        change = ConfigChange(path=path, before=None, after=None)
        return Installation(change=change, wrapped=(), untouched=(), remote=(), started=0)
    if before is None:
        why = (
            "there is no such file, so there are no servers: add one in the client, or give --file"
        )
        raise UnreadableError(f"{shown(path)}: {why}")
    with about(path):
        text = _parsed(client, before)
        servers = _servers(client, text)
        told, left = _remade(text, servers, remake, only)
    after = text.text.encode()
    if undo and told:
        after = _as_it_was(client, path, text) or after
    change = ConfigChange(path=path, before=before, after=after)
    return Installation(
        change=change,
        wrapped=tuple(told),
        untouched=tuple(left),
        remote=tuple(one.name for one in servers if not _is_started(one)),
        started=sum(_is_started(one) for one in servers),
    )


def _remade(
    text: JsonText | TomlText,
    servers: list[_Server],
    remake: Callable[[str, str, list[str]], tuple[str, list[str]]],
    only: Collection[str],
) -> tuple[list[str], list[str]]:
    """Change the servers in the text; return the names of those, and of others like them."""
    missing = set(only) - {one.name for one in servers}
    if missing:
        raise ClientConfigError(f"has no server {', '.join(sorted(missing))!r}")
    told, left = [], []
    for server in servers:
        if not _is_started(server):
            continue
        if only and server.name not in only:
            left.append(server.name)
            continue
        command, arguments = server.entry["command"], _arguments(server)
        new = remake(server.name, command, arguments)
        if new == (command, arguments):
            continue  # it is so already
        told.append(server.name)
        _set(text, server, *new)
    return told, left


def _parsed(client: str, data: bytes) -> JsonText | TomlText:
    text = text_of(data)
    return TomlText(text) if client == "codex" else JsonText(text)


def _servers(client: str, text: JsonText | TomlText) -> list[_Server]:
    """Return all servers of the file; of Claude Code, also those of each project."""
    value = text.value
    if not isinstance(value, dict):
        raise ClientConfigError("is no object; nothing was changed")
    places: list[tuple[str, ...]] = [("mcp_servers",) if client == "codex" else (_SERVERS,)]
    if client == "claude-code" and isinstance(value.get("projects"), dict):
        places += [("projects", one, _SERVERS) for one in value["projects"]]
    found = []
    for place in places:
        inner: Any = value
        for step in place:
            inner = inner.get(step) if isinstance(inner, dict) else None
        if inner is None:
            continue
        if not isinstance(inner, dict) or not all(isinstance(one, dict) for one in inner.values()):
            raise ClientConfigError(f"has {'.'.join(place)[:200]!r} in a form that we do not know")
        found += [
            _Server(where=(*place, name), name=name, entry=entry) for name, entry in inner.items()
        ]
    return found


def _is_started(server: _Server) -> bool:
    """Whether the client starts this server itself, and speaks with it over standard input."""
    return "command" in server.entry and server.entry.get("type", "stdio") == "stdio"


def _arguments(server: _Server) -> list[str]:
    command, arguments = server.entry["command"], server.entry.get("args", [])
    if not isinstance(command, str) or not command or not _are_texts(arguments):
        raise ClientConfigError(
            f"has a command for {server.name[:64]!r} in a form that we do not know"
        )
    return list(arguments)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _original(command: str, arguments: list[str]) -> tuple[str, list[str]] | None:
    """Return what a proxied server was, or None for one that is not proxied."""
    if os.path.basename(command) != "tally" or tuple(arguments[:2]) != _PROXY:
        return None
    # A server may be called `--`, too.
    options = 4 if arguments[2:3] == ["--name"] else 2
    if _END not in arguments[options:]:
        return None
    inner = arguments[arguments.index(_END, options) + 1 :]
    return (inner[0], inner[1:]) if inner else None


def _set(text: JsonText | TomlText, server: _Server, command: str, arguments: list[str]) -> None:
    text.put((*server.where, "command"), command)
    if arguments:
        text.put((*server.where, "args"), arguments)
    else:
        text.drop(*server.where, "args")


def _as_it_was(client: str, path: str, text: JsonText | TomlText) -> bytes | None:
    """Return the backup that says the same as this text, but in its author's own words."""
    wanted = _plain(client, text)
    for backup in backups(path):
        old = read_config(backup)
        if old is None:
            continue
        try:
            if _plain(client, _parsed(client, old)) == wanted:
                return old
        except ClientConfigError:
            continue
    return None


def _plain(client: str, text: JsonText | TomlText) -> Any:
    """Return what a text says, without lists of arguments that are empty."""
    value = text.value
    for server in _servers(client, text):
        inner = value
        for step in server.where:
            inner = inner[step]
        if inner.get("args") == []:
            del inner["args"]
    return value
