# SPDX-License-Identifier: Apache-2.0
"""`tally log`: what a collector's log says, whether it holds, and what proves that it does not."""

from __future__ import annotations

import click

from tallystick.cli import log_judge, log_monitor, log_verify
from tallystick.cli.groups import VerbGroup

_EPILOG = """\
\b
Examples
  tally log verify receipt.json --vkey log.vkey --proof receipt.tlog-proof
  tally log monitor https://collector.example --vkey log.vkey --state log.state
  tally log judge evidence.json --vkey log.vkey

\b
Exit codes: see `tally log VERB --help`.
"""


@click.group(
    "log",
    cls=VerbGroup,
    short_help="Check a collector's log, and hold it to its word.",
    epilog=_EPILOG,
)
def command() -> None:
    """Check a collector's log, and hold it to its word."""


command.add_command(log_verify.command)
command.add_command(log_monitor.command)
command.add_command(log_judge.command)
