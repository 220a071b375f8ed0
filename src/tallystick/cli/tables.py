# SPDX-License-Identifier: Apache-2.0
"""What `tally show` does: receipts as rows, in bounded memory."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from tallystick.cli.inputs import Damage, examined_receipts
from tallystick.cli.output import Exit, Stop, count, say, say_table
from tallystick.model.action import Target
from tallystick.model.receipt import Receipt

_COLUMNS: Final = ("#", "time", "action", "risk", "target", "outcome", "hash")
_FOLDING: Final = frozenset({"action", "target", "outcome"})
# A table is for the eye; the exact time stands in the receipt.
_FRACTION: Final = re.compile(r"\.[0-9]+")
# Rows that wait for the widths of their columns; longer chains come as several tables.
_ROWS_MAX: Final = 1000
_CELL_CHARS_MAX: Final = 100
_HASH_CHARS: Final = 12


def show_receipts(paths: Sequence[str]) -> None:
    """Write a table for each chain of the input; stop when something in it is no receipt."""
    waiting: dict[tuple[str, str], list[tuple[str, ...]]] = {}
    damage, shown = Damage(), 0
    for where, examined in examined_receipts(paths):
        if damage.found_in(examined, where) or examined.receipt is None:
            continue
        receipt = examined.receipt
        chain = receipt.link.chain_id or "?", getattr(receipt.issuer, "id", None) or "?"
        waiting.setdefault(chain, []).append(_row(receipt, examined.digest))
        shown += 1
        if shown % _ROWS_MAX == 0:
            _write(waiting)
    _write(waiting)
    if shown:
        say(f"shown, not verified: {count(shown, 'receipt')}; `tally verify` verifies")
    damage.stop()
    if not shown:
        raise Stop(Exit.UNCHECKED, "there is no receipt in the input")


def _write(waiting: dict[tuple[str, str], list[tuple[str, ...]]]) -> None:
    for (chain, issuer), rows in waiting.items():
        say("chain ", (chain, "strong"), f" by {issuer}")
        say_table(_COLUMNS, rows, folding=_FOLDING)
        say("")
    waiting.clear()


def _row(receipt: Receipt, digest: str) -> tuple[str, ...]:
    action, ended = receipt.action, _known(receipt.outcome.status)
    return (
        _known(receipt.link.sequence),
        _FRACTION.sub("", _known(action.timestamp)),
        _known(action.type),
        _known(action.risk_level),
        cut(_target(action.target)),
        f"{ended}, closes" if receipt.link.terminal else ended,
        digest.removeprefix("sha256:")[:_HASH_CHARS],
    )


def _known(value: object) -> str:
    """Return the text of a member; one that the reader refused is None, whatever its type says."""
    return "?" if value is None else cut(str(value))


def _target(target: Target | None) -> str:
    if target is None:
        return ""
    return ": ".join(part for part in (target.system, target.resource) if part)


def cut(text: str) -> str:
    """Return text that fits into a cell: strangers choose its length."""
    return text if len(text) <= _CELL_CHARS_MAX else text[: _CELL_CHARS_MAX - 1] + "…"
