# SPDX-License-Identifier: Apache-2.0
"""`tally stats`: how much a daemon recorded, of what kind, in which chains."""

from __future__ import annotations

import json
from typing import Any, Final, Literal

import click

from tallystick.cli.output import count, say, say_table
from tallystick.cli.store_options import store_option

_Kind = Literal["status", "risk_level", "action_type", "tool_name", "session_id"]
_COUNTED: Final[tuple[_Kind, ...]] = ("status", "risk_level", "action_type", "tool_name")
_ROWS_MAX: Final = 20

_EPILOG: Final = """\
\b
Examples
  tally stats
  tally stats --json

\b
Exit codes: 0 shown, 1 the store is damaged, 2 usage, 3 unreadable.
"""


@click.command("stats", short_help="Count what a daemon recorded.", epilog=_EPILOG)
@store_option
@click.option("--json", "as_json", is_flag=True, help="All of it as one JSON object.")
def command(store: str | None, *, as_json: bool) -> None:
    """Count the receipts of a daemon's store by outcome, risk, action and tool; list its chains."""
    from tallystick.cli.stores import opened

    with opened(store) as reader:
        receipts = reader.count()
        sessions = len(reader.counts("session_id").keys() - {""})
        counts: dict[str, dict[str, int]] = {name: reader.counts(name) for name in _COUNTED}
        chains: list[dict[str, Any]] = [
            {
                "chain_id": one.chain_id,
                "receipts": one.length,
                "head": one.hash,
                "closed": one.terminal,
                "first": one.first,
                "last": one.last,
            }
            for one in reader.chains()
        ]
    if as_json:
        told = {"receipts": receipts, "sessions": sessions, **counts, "chains": chains}
        say(json.dumps(told, separators=(",", ":")))
        return
    say(
        f"{count(receipts, 'receipt')}, {count(len(chains), 'chain')}, {count(sessions, 'session')}"
    )
    for name, values in counts.items():
        rows = [(str(number), value or "-") for value, number in values.items()]
        say("")
        say_table(("count", name), rows[:_ROWS_MAX], folding={name})
        if len(rows) > _ROWS_MAX:
            say(f"and {len(rows) - _ROWS_MAX} more; --json lists all")
    say("")
    say_table(
        ("chain", "receipts", "closed", "first", "last"),
        [
            (
                one["chain_id"],
                str(one["receipts"]),
                "yes" if one["closed"] else "no",
                one["first"],
                one["last"],
            )
            for one in chains[-_ROWS_MAX:]
        ],
        folding={"chain"},
    )
    if len(chains) > _ROWS_MAX:
        say(f"and {len(chains) - _ROWS_MAX} before these; --json lists all")
