# SPDX-License-Identifier: Apache-2.0
"""Going on where the store ends, after a look at whether that end is the one that we left.

The columns of a row prove nothing: the hash of a chain's last receipt is computed anew from its
bytes, and its signature checked under the key that signs now. Every open chain is looked at, and
each head that was acknowledged is looked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from tallystick.crypto.digest import sha256_tagged
from tallystick.daemon.batch import Place
from tallystick.daemon.chain_names import agents_of, root_of
from tallystick.daemon.turn import Standing
from tallystick.daemon.vouching import is_signed
from tallystick.errors import LogRolledBackError, StoreCorruptError
from tallystick.model.chain import Head
from tallystick.model.receipt import Receipt, split_canonical
from tallystick.store.ledger import LastRow, LedgerStore


class Resumed(msgspec.Struct, frozen=True, kw_only=True):
    """Where the store ends."""

    standing: Standing
    # The open chains of the root's agents.
    agents: tuple[Place, ...] = ()


def resume(store: LedgerStore, public_key: bytes) -> Resumed:
    """Return where the store ends, or raise with what is wrong and what to do."""
    newest = store.newest()
    if newest is None:
        return Resumed(standing=Standing())
    last_ms = issued_ms(_read(store.path, newest)[0])
    last = store.last_row(root_of(newest.chain_id))
    if last is None:
        raise _tampered(store.path, newest, "its root chain is not there")
    receipt = checked(store.path, last, public_key)
    last_ms = max(last_ms, issued_ms(receipt))
    place = place_of(last)
    if place.is_terminal:
        if newest.chain_id != last.chain_id:
            checked(store.path, newest, None)
        return Resumed(standing=Standing(None, place.head, last_ms))
    agents = []
    for one in store.last_rows_below(agents_of(last.chain_id)):
        receipt = checked(store.path, one, public_key)
        if one.is_terminal:
            raise _tampered(store.path, one, "it is closed, and its root is open")
        last_ms = max(last_ms, issued_ms(receipt))
        agents.append(place_of(one))
    return Resumed(standing=Standing(place, None, last_ms), agents=tuple(agents))


def check_heads(store: LedgerStore, known_heads: Mapping[str, tuple[int, str]]) -> None:
    """Raise where the store lacks a receipt that was acknowledged."""
    for chain_id, (sequence, digest) in known_heads.items():
        found = store.at(chain_id, sequence)
        if found is not None and found.hash == digest:
            continue
        what = "is not there" if found is None else "has another hash"
        raise LogRolledBackError(
            f"{store.path} is behind what was acknowledged: receipt {sequence} of chain "
            f"{chain_id} {what}. Put the newest store back; if it is lost, move the file of heads "
            "beside the key away and keep it as evidence of the loss, then start again"
        )


def checked(path: str, last: LastRow, public_key: bytes | None) -> Receipt:
    """Return the receipt of a row, its place and hash computed anew; without a key, unverified."""
    receipt, statement = _read(path, last)
    link = receipt.link
    if (link.chain_id, link.sequence, receipt.id) != (
        last.chain_id,
        last.sequence,
        last.receipt_id,
    ):
        raise _tampered(path, last, "its bytes belong to another place")
    if bool(link.terminal) is not last.is_terminal:
        raise _tampered(path, last, "its bytes say otherwise whether it closes the chain")
    if sha256_tagged(statement) != last.hash:
        raise _tampered(path, last, "its hash is not that of its bytes")
    if public_key is not None and not is_signed(receipt, statement, public_key):
        raise _tampered(path, last, "its signature does not fit the daemon's key")
    return receipt


def place_of(last: LastRow) -> Place:
    """Return a row as the place of its chain."""
    head = Head(chain_id=last.chain_id, sequence=last.sequence, hash=last.hash)
    return Place(head=head, receipt_id=last.receipt_id, is_terminal=last.is_terminal)


def issued_ms(receipt: Receipt) -> int:
    """Return when a receipt was issued, in milliseconds since 1970."""
    return round(datetime.fromisoformat(receipt.issuanceDate).timestamp() * 1000)


def _read(path: str, last: LastRow) -> tuple[Receipt, bytes]:
    found = split_canonical(last.body.encode("utf-8", "surrogatepass"))
    if found is None:
        raise _tampered(path, last, "it is no receipt in its canonical form")
    return found


def _tampered(path: str, last: LastRow, why: str) -> StoreCorruptError:
    return StoreCorruptError(
        f"{path}: the last receipt of chain {last.chain_id} (sequence {last.sequence}) was "
        f"changed, or signed by another key: {why}. Nothing was written. Keep the file as "
        "evidence, run `tally verify --store` on it, and put a sound copy in its place, or start "
        "with a new file"
    )
