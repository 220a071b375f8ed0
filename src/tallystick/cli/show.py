# SPDX-License-Identifier: Apache-2.0
"""`tally show`: chains as tables, for people to look at. Verifies nothing, and says so."""

from __future__ import annotations

import click

from tallystick.cli.arguments import as_utf8, paths_or_store

_EPILOG = """\
\b
Examples
  tally show run.jsonl
  ssh agent cat run.jsonl | tally show -
  tally show --store receipts.db --receipt urn:receipt:0b5c...
  tally show --store receipts.db --chain 2026-11-21 --receipt 17 --json

\b
Exit codes: 0 shown, 1 something is no receipt, 2 usage, 3 unreadable or empty.
"""


@click.command("show", short_help="Show chains as tables; verifies nothing.", epilog=_EPILOG)
@paths_or_store
@click.option("--receipt", metavar="ID|N", help="One receipt of the store, in full.")
@click.option("--chain", metavar="ID", callback=as_utf8, help="The chain whose receipt N is meant.")
@click.option("--json", "as_json", is_flag=True, help="With --receipt: its own bytes.")
def command(
    paths: tuple[str, ...],
    store: str | None,
    receipt: str | None,
    chain: str | None,
    *,
    as_json: bool,
) -> None:
    """Show the receipts of each chain as a table; `-` is standard input.

    With --receipt, show one receipt of a daemon's store with all that it says.

    Nothing is verified: a table of forged receipts looks as good as any other.
    """
    if receipt is not None:
        from tallystick.cli.receipt_view import show_one

        if paths:
            raise click.UsageError("--receipt is for a store: give --store and no PATH.")
        show_one(store, receipt, chain, as_json=as_json)
        return
    from tallystick.cli.inputs import paths_of
    from tallystick.cli.tables import show_receipts

    show_receipts(paths_of(paths, store))
