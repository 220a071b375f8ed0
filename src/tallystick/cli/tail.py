# SPDX-License-Identifier: Apache-2.0
"""`tally tail`: the last receipts of a daemon's store, and those that come."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any, Final

import click

from tallystick.cli.output import say
from tallystick.cli.store_options import filter_options, store_option

_LOOK_SECONDS: Final = 0.2

_EPILOG: Final = """\
\b
Examples
  tally tail -f
  tally tail -f --risk critical --json | while read -r receipt; do ...; done

\b
Exit codes: 0 shown, 1 the store is damaged, 2 usage, 3 unreadable, 130 ended by Ctrl-C.
"""


@click.command("tail", short_help="Show the last receipts, and follow.", epilog=_EPILOG)
@store_option
@filter_options
@click.option("-f", "--follow", is_flag=True, help="Wait for more, until Ctrl-C.")
@click.option(
    "-n", "--lines", type=click.IntRange(0, 10_000), default=10, show_default=True, help="So many."
)
@click.option("--json", "as_json", is_flag=True, help="The receipts themselves, one per line.")
def command(store: str | None, lines: int, *, follow: bool, as_json: bool, **given: Any) -> None:
    """Show the last receipts of a daemon's store, oldest first. Nothing is verified."""
    from tallystick.cli.stores import filter_of, opened

    wanted = filter_of(given)
    with opened(store) as reader:
        mark = reader.mark()
        shown = reader.newest(wanted, limit=lines, before=mark + 1) if lines else []
        _write(shown[::-1], as_json=as_json)
        while follow:
            page = reader.behind(mark, wanted)
            _write(page, as_json=as_json)
            if page:
                mark = page[-1].mark
            else:
                time.sleep(_LOOK_SECONDS)


def _write(receipts: Sequence[Any], *, as_json: bool) -> None:
    from tallystick.cli.stores import row_of

    for one in receipts:
        if as_json:
            sys.stdout.buffer.write(one.body + b"\n")
        else:
            number, moment, chain, tool, action, risk, status = row_of(one)
            say((f"{moment} ", "dim"), f"{chain} {number} {action} {tool or '-'} {risk} {status}")
    sys.stdout.flush()
