# SPDX-License-Identifier: Apache-2.0
"""`tally log`: what a collector's log says, whether it holds, and what proves that it does not."""

from __future__ import annotations

import click

from tallystick.cli.groups import VerbGroup
from tallystick.cli import log_judge, log_monitor, log_verify


@click.group("log", cls=VerbGroup, short_help="Check a collector's log, and hold it to its word.")
def command() -> None:
    """Check a collector's log, and hold it to its word."""


command.add_command(log_verify.command)
command.add_command(log_monitor.command)
command.add_command(log_judge.command)
