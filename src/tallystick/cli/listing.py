# SPDX-License-Identifier: Apache-2.0
"""`tally list`: the newest receipts of a daemon's store, filtered. Verifies nothing."""

from __future__ import annotations

import sys
from typing import Any, Final

import click

from tallystick.cli.output import Exit, Stop, count, say, say_table
from tallystick.cli.store_options import COLUMNS, FOLDING, filter_options, store_option

_EPILOG: Final = """\
\b
Examples
  tally list
  tally list --risk high --since 24h
  tally list --session 0b5c... --status failure --json

\b
Exit codes: 0 listed, 1 the store is damaged, 2 usage, 3 unreadable, or nothing to list.
"""


@click.command("list", short_help="List what a daemon recorded; verifies nothing.", epilog=_EPILOG)
@store_option
@filter_options
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=50,
    show_default=True,
    help="At most so many.",
)
@click.option("--json", "as_json", is_flag=True, help="The receipts themselves, one per line.")
def command(store: str | None, limit: int, *, as_json: bool, **given: Any) -> None:
    """List the newest receipts of a daemon's store, newest first; all filters must hold.

    Works while the daemon runs and while it does not. Nothing is verified: `tally verify` does.
    """
    from tallystick.cli.stores import filter_of, opened, row_of

    wanted = filter_of(given)
    with opened(store) as reader:
        found = reader.newest(wanted, limit=limit)
        total = reader.count()
    if not total:
        raise Stop(Exit.UNCHECKED, "the store holds no receipt yet")
    if not found:
        raise Stop(Exit.UNCHECKED, f"none of the store's {count(total, 'receipt')} is like that")
    if as_json:
        sys.stdout.flush()
        for one in found:
            sys.stdout.buffer.write(one.body + b"\n")
        sys.stdout.buffer.flush()
        return
    say_table(COLUMNS, [row_of(one) for one in found], folding=FOLDING)
    say(f"{len(found)} of {count(total, 'receipt')}, not verified; `tally verify` verifies")
