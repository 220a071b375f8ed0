# SPDX-License-Identifier: Apache-2.0
"""`tally mcp`: an MCP server behind a proxy, its rules, and who approves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

import click

from tallystick.cli.groups import LazyGroup

_EPILOG: Final = """\
\b
Examples
  tally mcp install claude-code
  tally mcp run -- npx some-mcp-server
  tally mcp check rules.yaml

Exit codes: see `tally mcp VERB --help`.
"""


class McpVerbs(LazyGroup):
    """The group of the proxy's verbs."""

    home: ClassVar[Mapping[str, str]] = {
        "run": "mcp_run",
        "check": "mcp_check",
        "approvals": "mcp_approvals",
        "install": "mcp_install",
    }


@click.group(
    "mcp",
    cls=McpVerbs,
    epilog=_EPILOG,
    short_help="Record an MCP server's calls through a proxy.",
)
def command() -> None:
    """Put a proxy between an MCP client and its server: receipts, rules, approvals."""
