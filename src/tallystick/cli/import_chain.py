# SPDX-License-Identifier: Apache-2.0
"""`tally import-chain`: an old or foreign chain becomes readable beside a daemon's, never in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import click

from tallystick.cli.arguments import paths_argument
from tallystick.cli.output import Exit, Stop, count, say
from tallystick.cli.store_options import store_option

_EPILOG: Final = """\
\b
Examples
  tally import-chain receipts.jsonl
  tally import-chain ~/.openclaw/agent-receipts/receipts.db
  tally verify --store receipts.db --trust issuers.toml

\b
Exit codes
  0  imported, or there already
  1  something that was read is no receipt, or another chain has that id; nothing was imported
  2  usage
  3  could not be read or written, or there was none
"""


@click.command("import-chain", short_help="Keep an older chain beside a store.", epilog=_EPILOG)
@paths_argument
@store_option
def command(paths: tuple[str, ...], store: str | None) -> None:
    """Copy chains from files, or from other tools' stores, beside a daemon's store.

    Their receipts stay what they are: other keys, other chains. `tally verify --store` verifies
    them with the store's own, where it is given their keys.
    """
    from tallystick.cli.stores import opened, store_path
    from tallystick.errors import StoreCorruptError, StoreError
    from tallystick.store.imported import is_taken, keep_chain

    where = store_path(store)
    chains: dict[str, list[bytes]] = {}
    try:
        for chain_id, body in _receipts(paths):
            chains.setdefault(chain_id, []).append(body)
        if not chains:
            raise Stop(Exit.UNCHECKED, "there was no receipt to import")
        with opened(where) as reader:
            for chain_id in chains:
                if reader.at(chain_id, 1) is not None:
                    raise Stop(
                        Exit.REFUSED, f"the store has a chain {chain_id} of its own; none imported"
                    )
        # All are looked at before the first is kept.
        for chain_id, bodies in chains.items():
            if is_taken(where, chain_id, bodies):
                raise Stop(
                    Exit.REFUSED, f"another chain {chain_id} was imported before; none imported"
                )
        for chain_id, bodies in chains.items():
            path, is_new = keep_chain(where, chain_id, bodies)
            state = "" if is_new else ", there already"
            say(
                "chain ",
                (chain_id, "strong"),
                f": {count(len(bodies), 'receipt')} in {path}{state}",
            )
    except StoreCorruptError as fault:
        raise Stop(Exit.REFUSED, str(fault)) from None
    except StoreError as fault:
        raise Stop(Exit.UNCHECKED, str(fault)) from None


def _receipts(paths: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    """Yield (chain, receipt) of all paths; stop at what is no receipt of a chain."""
    from tallystick.cli.inputs import opened_sources
    from tallystick.cli.ledger_input import is_store
    from tallystick.errors import MalformedInput
    from tallystick.store.imported import stored_receipts
    from tallystick.verify.source import Input, is_unreadable

    for path in paths:
        if is_store(path):
            for body in stored_receipts(path):
                yield _chain_of(body, path), body
            continue
        with opened_sources([path]) as (sources, _):
            stream = Input(sources)
            for index, raw in enumerate(stream):
                where = stream.where(index)
                if isinstance(raw, MalformedInput):
                    code = Exit.UNCHECKED if is_unreadable(raw) else Exit.REFUSED
                    raise Stop(code, f"{where}: {raw.message}; nothing was imported")
                assert isinstance(raw, bytes)  # a file holds nothing else
                yield _chain_of(raw, where), raw.replace(b"\r", b" ").replace(b"\n", b" ")


def _chain_of(body: bytes, where: str) -> str:
    from tallystick.verify.receipt import examine

    receipt = examine(body).receipt
    chain_id = receipt.link.chain_id if receipt is not None and receipt.link is not None else None
    if not chain_id:
        raise Stop(Exit.REFUSED, f"{where}: this is no receipt of a chain; nothing was imported")
    return chain_id
