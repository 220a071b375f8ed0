# SPDX-License-Identifier: Apache-2.0
"""`tally show`: chains as tables, for people to look at. Verifies nothing, and says so."""

from __future__ import annotations

import click

from tallystick.cli.arguments import paths_argument

_EPILOG = """\
\b
Examples
  tally show run.jsonl
  ssh agent cat run.jsonl | tally show -

\b
Exit codes: 0 shown, 1 something is no receipt, 2 usage, 3 unreadable or empty.
"""


@click.command("show", short_help="Show chains as tables; verifies nothing.", epilog=_EPILOG)
@paths_argument
def command(paths: tuple[str, ...]) -> None:
    """Show the receipts of each chain as a table; `-` is standard input.

    Nothing is verified: a table of forged receipts looks as good as any other.
    """
    from tallystick.cli.tables import show_receipts

    show_receipts(paths)
