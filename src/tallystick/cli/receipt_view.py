# SPDX-License-Identifier: Apache-2.0
"""One receipt of a daemon's store, in full: each member on a line, nothing left out."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import msgspec

from tallystick.cli.output import Exit, Stop, say
from tallystick.cli.stores import opened
from tallystick.store.ledger_reads import Filter, LedgerReader, StoredReceipt, column_faults


def show_one(store: str | None, wanted: str, chain_id: str | None, *, as_json: bool) -> None:
    """Write the receipt with an id, or at a place of a chain."""
    with opened(store) as reader:
        found = _find(reader, wanted, chain_id)
    if found is None:
        raise Stop(Exit.UNCHECKED, f"the store has no receipt {wanted}")
    if as_json:
        sys.stdout.flush()
        sys.stdout.buffer.write(found.body + b"\n")
        sys.stdout.buffer.flush()
        return
    say("receipt ", (found.id, "strong"), f": {found.chain_id} {found.sequence}, {found.hash}")
    try:
        value = msgspec.json.decode(found.body)
    except (msgspec.MsgspecError, RecursionError):
        raise Stop(Exit.REFUSED, "what the store holds there is not JSON") from None
    for place, text in _members(value, ""):
        say((f"  {place}  ", "dim"), text)
    say("shown, not verified; `tally verify` verifies")
    wrong = column_faults(found)
    if wrong:
        raise Stop(
            Exit.REFUSED, f"the store's own columns contradict the receipt: {', '.join(wrong)}"
        )


def _find(reader: LedgerReader, wanted: str, chain_id: str | None) -> StoredReceipt | None:
    if not (wanted.isascii() and wanted.isdigit() and len(wanted) <= 18):
        return reader.by_id(wanted)
    if chain_id is not None:
        return reader.at(chain_id, int(wanted))
    newest = reader.newest(Filter(), limit=1)
    if not newest:
        return None
    if all(one.chain_id == newest[0].chain_id for one in reader.chains()):
        return reader.at(newest[0].chain_id, int(wanted))
    raise Stop(Exit.USAGE, f"the store has several chains: whose receipt {wanted}? Give --chain")


def _members(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for name, one in value.items():
            yield from _members(one, f"{place}.{name}" if place else name)
    elif isinstance(value, list) and value and any(isinstance(one, (dict, list)) for one in value):
        for index, one in enumerate(value):
            yield from _members(one, f"{place}[{index}]")
    else:
        yield place, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
