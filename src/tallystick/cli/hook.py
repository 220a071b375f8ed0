# SPDX-License-Identifier: Apache-2.0
"""`tally hook`: has Claude Code or Codex tell the daemon of each call of a tool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

import click

from tallystick.cli.groups import LazyGroup

_EPILOG: Final = """\
\b
Examples
  tally hook install claude-code
  tally hook install codex --undo

Exit codes: see `tally hook VERB --help`.
"""


class HookVerbs(LazyGroup):
    """The group of the hook's verbs."""

    home: ClassVar[Mapping[str, str]] = {"install": "hook_install"}


@click.group(
    "hook",
    cls=HookVerbs,
    epilog=_EPILOG,
    short_help="Record Claude Code or Codex through their hooks.",
)
def command() -> None:
    """Have a host of agents tell the daemon of each call of a tool."""
