# SPDX-License-Identifier: Apache-2.0
"""Options of the verbs that read a daemon's store; imports nothing, so that help stays fast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import click

STORE_HELP: Final = "The daemon's store. [AGENTRECEIPTS_DB; else where daemons keep it]"
COLUMNS: Final = ("#", "time", "chain", "tool", "action", "risk", "status")
FOLDING: Final = frozenset({"chain", "tool", "action"})


def store_option(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb the option that names the store."""
    return click.option("--store", metavar="PATH", help=STORE_HELP)(verb)


def filter_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb the options that say which receipts are meant."""
    rows = (
        ("--chain", "chain_id", "ID", "Of this chain."),
        ("--session", "session_id", "ID", "Of this session."),
        ("--tool", "tool_name", "NAME", "Of this tool."),
        ("--action", "action_type", "TYPE", "Of this action type."),
        ("--risk", "risk_level", "LEVEL", "Of this risk: low, medium, high or critical."),
        ("--status", "status", "STATUS", "With this outcome: success, failure or pending."),
        ("--since", "since", "TIME", "Not before this time (2026-01-31T12:00:00Z) or age (2h)."),
        ("--until", "until", "TIME", "Before this time or age."),
        ("--text", "text", "TEXT", "With this text anywhere, as the receipt spells it."),
    )
    for flag, name, kind, text in reversed(rows):
        verb = click.option(flag, name, metavar=kind, help=text)(verb)
    return verb
