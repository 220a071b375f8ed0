# SPDX-License-Identifier: Apache-2.0
"""`tally hook install`: puts our handlers into a host's settings, or takes them out again."""

from __future__ import annotations

from typing import Any, Final

import click

from tallystick.cli.config_changes import carry_out, note_daemon
from tallystick.cli.output import say

_EPILOG: Final = """\
\b
Examples
  tally hook install claude-code
  tally hook install codex --dry-run
  tally hook install claude-code --settings .claude/settings.json
  tally hook install claude-code --undo

\b
Exit codes
  0  done, or nothing to do
  1  settings that can't be read beyond doubt: left as they are
  2  usage
  3  something could not be read or written
"""


@click.command("install", short_help="Have a host call the hook, or undo that.", epilog=_EPILOG)
@click.argument("host", type=click.Choice(["claude-code", "codex"]))
@click.option("--settings", metavar="FILE", help="Its settings, instead of your own user's.")
@click.option("--socket", metavar="PATH", help="The daemon's socket, where it is not the usual.")
@click.option("--spool", metavar="DIR", help="Where frames wait while the daemon is down.")
@click.option(
    "--require-receipt",
    is_flag=True,
    help="No call of a tool whose attempt could not be recorded (Claude Code only).",
)
@click.option("--dry-run", is_flag=True, help="Show the change, and write nothing.")
@click.option("--undo", is_flag=True, help="Take the handlers out again.")
def command(
    host: str,
    settings: str | None,
    socket: str | None,
    spool: str | None,
    *,
    require_receipt: bool,
    dry_run: bool,
    undo: bool,
) -> None:
    """Edit the settings of a host of agents, so that it tells the daemon of each call of a tool.

    What stands in the file stays as it is, byte by byte; a backup is left beside it.
    """
    from tallystick.channels.hook_config import hook_command, hook_host, installed, removed
    from tallystick.config import process_environment

    if require_receipt and host != "claude-code":
        raise click.UsageError("--require-receipt: Codex has no way to refuse a call for that.")
    known = hook_host(host, process_environment())
    path = settings or known.path
    if undo:
        carry_out(removed(path), dry_run=dry_run, undo=True)
        return
    line = hook_command(host, socket=socket, spool=spool)
    change, after = installed(known, path, line, blocks=require_receipt)
    is_written = carry_out(change, dry_run=dry_run) and not dry_run
    for note in _notes(host, after, is_written=is_written):
        say(("note: ", "dim"), note)
    note_daemon(socket)


def _notes(host: str, settings: Any, *, is_written: bool) -> list[str]:
    if host == "codex":
        return [
            "Codex runs a hook only when you trust it, and skips it in silence otherwise: "
            "start codex, and trust the new ones with /hooks"
        ]
    if settings.get("disableAllHooks") is True:
        return ["these settings hold disableAllHooks: nothing is recorded until that is gone"]
    return ["sessions that run already take it up by themselves"] if is_written else []
