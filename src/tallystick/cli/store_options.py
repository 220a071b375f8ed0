# SPDX-License-Identifier: Apache-2.0
"""Options of the verbs that read a daemon's store; imports nothing, so that help stays fast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import click

from tallystick.cli.arguments import as_utf8

STORE_HELP: Final = "The daemon's store. [AGENTRECEIPTS_DB; else where daemons keep it]"
COLUMNS: Final = ("#", "time", "chain", "tool", "action", "risk", "status")
FOLDING: Final = frozenset({"chain", "tool", "action"})
# A word that no receipt can have is a slip, and not a list without receipts.
_RISKS: Final = click.Choice(("low", "medium", "high", "critical"))
_STATUSES: Final = click.Choice(("success", "failure", "pending"))


def store_option(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb the option that names the store."""
    return click.option("--store", metavar="PATH", help=STORE_HELP)(verb)


def filter_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb the options that say which receipts are meant."""
    rows: tuple[tuple[str, str, str | click.Choice[str], str], ...] = (
        ("--chain", "chain_id", "ID", "Of this chain."),
        ("--session", "session_id", "ID", "Of this session."),
        ("--tool", "tool_name", "NAME", "Of this tool."),
        ("--action", "action_type", "TYPE", "Of this action type."),
        ("--risk", "risk_level", _RISKS, "Of this risk."),
        ("--status", "status", _STATUSES, "With this outcome."),
        ("--since", "since", "TIME", "Not before this time (2026-01-31T12:00:00Z) or age (2h)."),
        ("--until", "until", "TIME", "Before this time or age."),
        ("--text", "text", "TEXT", "With this text anywhere, as the receipt spells it."),
    )
    for flag, name, kind, text in reversed(rows):
        named = {"metavar": kind} if isinstance(kind, str) else {"type": kind}
        verb = click.option(flag, name, help=text, callback=as_utf8, **named)(verb)
    return verb
