# SPDX-License-Identifier: Apache-2.0
"""`tally hook`: has Claude Code or Codex tell the daemon of each call of a tool."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

from tallystick.cli.groups import VerbGroup

_HOME: Final = {"install": "hook_install"}


class HookVerbs(VerbGroup):
    """The group of the hook's verbs."""

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


_EPILOG: Final = """\
\b
Examples
  tally hook install claude-code
  tally hook install codex --undo

Exit codes: see `tally hook VERB --help`.
"""


@click.group(
    "hook",
    cls=HookVerbs,
    epilog=_EPILOG,
    short_help="Record Claude Code or Codex through their hooks.",
)
def command() -> None:
    """Have a host of agents tell the daemon of each call of a tool."""
