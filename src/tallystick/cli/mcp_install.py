# SPDX-License-Identifier: Apache-2.0
"""`tally mcp install`: has a client start its MCP servers through the proxy, or undoes that."""

from __future__ import annotations

import os
import sys
from typing import Final

import click
from click.core import ParameterSource

from tallystick.cli.config_changes import carry_out, note_daemon
from tallystick.cli.output import say

_EPILOG: Final = """\
\b
Examples
  tally mcp install claude-code
  tally mcp install cursor --dry-run
  tally mcp install codex --server github -- --rules rules.yaml --require-receipt
  tally mcp install claude-code --file .mcp.json
  tally mcp install claude-desktop --undo

\b
Exit codes
  0  done, or nothing to do
  1  a configuration that can't be read beyond doubt, or rules with a fault: left as it is
  2  usage
  3  something could not be read or written, or there is no configuration yet
"""

# Stands for the server's command, where options are looked at by themselves.
_STAND_IN: Final = "server"


@click.command("install", short_help="Put the proxy before a client's servers.", epilog=_EPILOG)
@click.argument("client", type=click.Choice(["claude-desktop", "claude-code", "codex", "cursor"]))
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
@click.option("--file", metavar="FILE", help="Its configuration, instead of your own user's.")
@click.option("--server", "servers", multiple=True, metavar="NAME", help="Only this one. [many]")
@click.option("--dry-run", is_flag=True, help="Show the change, and write nothing.")
@click.option("--undo", is_flag=True, help="Have the servers started as before.")
def command(
    client: str,
    options: tuple[str, ...],
    file: str | None,
    servers: tuple[str, ...],
    *,
    dry_run: bool,
    undo: bool,
) -> None:
    """Edit a client's configuration so that each server it starts is started by `tally mcp run`.

    Options after `--` are given to `tally mcp run`; they are tried, and files in them named by
    their whole path. Servers that are reached by an address are left alone. What else stands in
    the file stays as it is; a backup is left beside it.
    """
    from tallystick.channels.client_config import client_path, unwrapped, wrapped
    from tallystick.config import process_environment

    path = file or client_path(client, sys.platform, process_environment())
    if "--" in options:
        raise click.UsageError("the options for `tally mcp run` can't hold `--`.")
    socket: str | None = None
    if undo:
        if options:
            raise click.UsageError("--undo takes no options for `tally mcp run`.")
        found = unwrapped(client, path, only=servers)
    else:
        checked, socket = _checked(options)
        found = wrapped(client, path, _program(), options=checked, only=servers)
    changed = carry_out(found.change, dry_run=dry_run, undo=undo)
    for name in found.untouched:
        say((f"left alone: {name}", "dim"))
    for name in () if undo else found.remote:
        say(("note: ", "dim"), f"{name} is not started by the client: nothing of it is recorded")
    if not found.started and not undo:
        say(("note: ", "dim"), "no server in it is started by the client")
    elif changed and not dry_run:
        say(("note: ", "dim"), "the client takes it up when it starts its servers anew")
    if found.started and not undo:
        note_daemon(socket)


def _checked(options: tuple[str, ...]) -> tuple[list[str], str | None]:
    """Return options as each server's start can use them, and the socket; or end the command.

    A client starts its servers in a directory of its own, and shows nobody what the proxy says: a
    fault in these would be found by no server starting any more.
    """
    from tallystick.cli.mcp_check import read_rules_file
    from tallystick.cli.mcp_run import command as run

    with run.make_context("tally mcp run", [*options, "--", _STAND_IN]) as context:
        if context.params["server"] != (_STAND_IN,):
            raise click.UsageError("behind `--` go options for `tally mcp run`, and no command.")
        told: list[str] = []
        for option in run.params:
            name = str(option.name)
            if context.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
                continue
            if not isinstance(option, click.Option):
                continue
            value = context.params[name]
            is_path = option.metavar in ("FILE", "PATH", "DIR")
            told.append(option.opts[0])
            if not option.is_flag:
                told.append(os.path.abspath(value) if is_path else str(value))
        if context.params["rules_file"] is not None:
            read_rules_file(context.params["rules_file"])
        return told, context.params["socket"]


def _program() -> str:
    """Return the absolute path of this command: desktop hosts start with a short PATH."""
    beside = os.path.join(os.path.dirname(sys.executable), "tally")
    return os.path.abspath(beside if os.path.exists(beside) else sys.argv[0])
