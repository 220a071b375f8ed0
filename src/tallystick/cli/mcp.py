# SPDX-License-Identifier: Apache-2.0
"""`tally mcp`: an MCP server behind a proxy, its rules, and who approves."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

from tallystick.cli.groups import VerbGroup

_HOME: Final = {
    "run": "mcp_run",
    "check": "mcp_check",
    "approvals": "mcp_approvals",
    "install": "mcp_install",
}


class McpVerbs(VerbGroup):
    """The group of the proxy's verbs, each loaded when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click asks so
        """Return the names of the verbs."""
        return list(_HOME)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002  # click asks so
        cmd_name: str,
    ) -> click.Command | None:
        """Return one verb."""
        if cmd_name not in _HOME:
            return None
        command: click.Command = import_module(f"tallystick.cli.{_HOME[cmd_name]}").command
        return command


@click.group("mcp", cls=McpVerbs, short_help="Record an MCP server's calls through a proxy.")
def command() -> None:
    """Put a proxy between an MCP client and its server: receipts, rules, approvals."""
