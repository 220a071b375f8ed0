# SPDX-License-Identifier: Apache-2.0
"""`tally mcp install`: has a client start its MCP servers through the proxy, or undoes that."""

from __future__ import annotations

import os
import sys
from typing import Final

import click

from tallystick.cli.config_changes import carry_out
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
  1  a configuration that can't be read beyond doubt: left as it is
  2  usage
  3  something could not be read or written
"""


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

    Options after `--` are given to `tally mcp run`. Servers that are reached by an address are
    left alone. What else stands in the file stays as it is; a backup is left beside it.
    """
    from tallystick.channels.client_config import client_path, unwrapped, wrapped
    from tallystick.config import process_environment

    path = file or client_path(client, sys.platform, process_environment())
    if "--" in options:
        raise click.UsageError("the options for `tally mcp run` can't hold `--`.")
    if undo:
        if options:
            raise click.UsageError("--undo takes no options for `tally mcp run`.")
        found = unwrapped(client, path, only=servers)
    else:
        found = wrapped(client, path, _program(), options=options, only=servers)
    changed = carry_out(found.change, dry_run=dry_run, undo=undo)
    for name in found.untouched:
        say((f"left alone: {name}", "dim"))
    if changed and not dry_run:
        say(("note: ", "dim"), "the client takes it up when it starts its servers anew")


def _program() -> str:
    """Return the absolute path of this command: desktop hosts start with a short PATH."""
    beside = os.path.join(os.path.dirname(sys.executable), "tally")
    return os.path.abspath(beside if os.path.exists(beside) else sys.argv[0])
