# SPDX-License-Identifier: Apache-2.0
"""`tally mcp run`: starts an MCP server, and stands between it and its client."""

from __future__ import annotations

import os
import sys
import time
from typing import Any, Final

import click

from tallystick.cli.output import Exit, Stop, complain
from tallystick.limits import APPROVAL_WAIT_SECONDS_MAX

_EPILOG: Final = """\
\b
Examples
  tally mcp run -- npx -y @modelcontextprotocol/server-filesystem /srv
  tally mcp run --name github --rules rules.yaml -- github-mcp-server stdio
  tally mcp run --require-receipt --socket /run/agentreceipts/events.sock -- uvx mcp-server-git

\b
Exit codes
  those of the server; 128 and its number where a signal ended it; before it starts:
  1  a rules file with a fault
  2  usage
  3  the server, or a file, could not be started or read
"""


class _Run(click.Command):
    """Says where the server's command goes, to who wrote its options among ours."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        is_parted = "--" in args
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as fault:
            if is_parted:
                raise
            hint = "Write `--` before the server's command."
            raise click.UsageError(f"{fault.format_message()} {hint}", ctx) from None


@click.command("run", cls=_Run, short_help="Start a server behind the proxy.", epilog=_EPILOG)
@click.option("--name", metavar="NAME", help="What receipts and rules call the server.")
@click.option(
    "--rules", "rules_file", metavar="FILE", help="Rules, as YAML: see `tally mcp check`."
)
@click.option("--require-receipt", is_flag=True, help="No durable receipt, no call.")
@click.option(
    "--approval-wait",
    metavar="SECONDS",
    type=click.FloatRange(1, 86_400),
    default=APPROVAL_WAIT_SECONDS_MAX,
    help=f"How long a paused call waits; then it is denied. [{APPROVAL_WAIT_SECONDS_MAX}]",
)
@click.option(
    "--late-after",
    metavar="SECONDS",
    type=click.FloatRange(0.1, 86_400),
    help="Record that a call timed out when it has no answer after so long.",
)
@click.option("--approvals", metavar="DIR", help="Where to announce approvals. [TALLY_APPROVALS]")
@click.option("--socket", metavar="PATH", help="The daemon's socket. [AGENTRECEIPTS_SOCKET]")
@click.option(
    "--spool", metavar="DIR", help="Keeps what a daemon that is down misses. [TALLY_SPOOL]"
)
@click.option("--session", metavar="ID", help="The session of receipts. [CLAUDE_CODE_SESSION_ID]")
@click.option(
    "--log-format", type=click.Choice(["text", "json"]), default="text", help="Of standard error."
)
@click.argument("server", metavar="COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def command(context: click.Context, /, server: tuple[str, ...], **given: Any) -> None:
    """Start the MCP server COMMAND… and pass on what it and the client say, byte for byte.

    Each call leaves a receipt before it is forwarded and one of what came of it, both in the
    daemon's chain. Standard error is the server's, and ours.
    """
    from tallystick.channels.mcp_proxy import run_proxy
    from tallystick.errors import SettingError
    from tallystick.serve.logs import configure_logs

    settings, environ = _settings(server, given)
    configure_logs(sys.stderr, given["log_format"], "info")
    try:
        code = run_proxy(settings, environ, time.time_ns)
    except SettingError as fault:
        raise Stop(Exit.UNCHECKED, str(fault)) from None
    # What a child of the server may still hold open is not waited for, nor is a client that
    # keeps our input open.
    sys.stderr.flush()
    context.exit(code)


def _settings(server: tuple[str, ...], given: dict[str, Any]) -> tuple[Any, dict[str, str]]:
    from tallystick.channels.approval_places import approvals_folder
    from tallystick.channels.mcp_proxy import (
        ProxySettings,
        runtime_folder,
        server_name,
        spool_folder,
    )
    from tallystick.channels.rules import Rules
    from tallystick.config import process_environment, read
    from tallystick.errors import SettingError

    environ = dict(process_environment())
    runtime = runtime_folder(environ, os.getuid())
    if runtime is not None:
        # Hosts start servers with a short environment; the daemon is where it would be with it.
        environ["XDG_RUNTIME_DIR"] = runtime
    rules = Rules()
    if given["rules_file"] is not None:
        from tallystick.cli.mcp_check import read_rules_file

        rules = read_rules_file(given["rules_file"])
    approvals = given["approvals"]
    try:
        approvals = approvals or approvals_folder(environ, runtime)
    except SettingError as fault:
        if rules.may_pause:
            raise Stop(Exit.USAGE, str(fault)) from None
    settings = ProxySettings(
        command=server,
        server=given["name"] or server_name(server),
        rules=rules,
        socket=given["socket"],
        spool=given["spool"] or read("TALLY_SPOOL") or spool_folder(environ),
        session=given["session"] or read("CLAUDE_CODE_SESSION_ID"),
        require_receipt=given["require_receipt"],
        wait_s=given["approval_wait"],
        late_s=given["late_after"],
        approvals=approvals,
    )
    if settings.spool is None:
        complain("no place for a spool: what a daemon that is down misses is only counted")
    return settings, environ
