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
from tallystick.daemon.batch import Tip
from tallystick.daemon.chain_names import agents_of, root_of
from tallystick.daemon.keyring import is_signed
from tallystick.daemon.turn import Standing
from tallystick.errors import LogRolledBackError, StoreCorruptError
from tallystick.model.chain import Head
from tallystick.model.receipt import Receipt, split_canonical
from tallystick.store.ledger import LedgerStore, Tail


class Resumed(msgspec.Struct, frozen=True, kw_only=True):
    """Where the store ends."""

    standing: Standing
    # The open chains of the root's agents.
    agents: tuple[Tip, ...] = ()


def resume(store: LedgerStore, public_key: bytes) -> Resumed:
    """Return where the store ends, or raise with what is wrong and what to do."""
    newest = store.newest()
    if newest is None:
        return Resumed(standing=Standing())
    last_ms = issued_ms(_read(store.path, newest)[0])
    tail = store.tail(root_of(newest.chain_id))
    if tail is None:
        raise _tampered(store.path, newest, "its root chain is not there")
    receipt = checked(store.path, tail, public_key)
    last_ms = max(last_ms, issued_ms(receipt))
    tip = tip_of(tail)
    if tip.is_terminal:
        if newest.chain_id != tail.chain_id:
            checked(store.path, newest, None)
        return Resumed(standing=Standing(None, tip.head, last_ms))
    agents = []
    for one in store.tails_below(agents_of(tail.chain_id)):
        receipt = checked(store.path, one, public_key)
        if one.is_terminal:
            raise _tampered(store.path, one, "it is closed, and its root is open")
        last_ms = max(last_ms, issued_ms(receipt))
        agents.append(tip_of(one))
    return Resumed(standing=Standing(tip, None, last_ms), agents=tuple(agents))


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


def checked(path: str, tail: Tail, public_key: bytes | None) -> Receipt:
    """Return the receipt of a row, its place and hash computed anew; without a key, unverified."""
    receipt, statement = _read(path, tail)
    link = receipt.link
    if (link.chain_id, link.sequence, receipt.id) != (
        tail.chain_id,
        tail.sequence,
        tail.receipt_id,
    ):
        raise _tampered(path, tail, "its bytes belong to another place")
    if bool(link.terminal) is not tail.is_terminal:
        raise _tampered(path, tail, "its bytes say otherwise whether it closes the chain")
    if sha256_tagged(statement) != tail.hash:
        raise _tampered(path, tail, "its hash is not that of its bytes")
    if public_key is not None and not is_signed(receipt, statement, public_key):
        raise _tampered(path, tail, "its signature does not fit the daemon's key")
    return receipt


def tip_of(tail: Tail) -> Tip:
    """Return a row as the tip of its chain."""
    head = Head(chain_id=tail.chain_id, sequence=tail.sequence, hash=tail.hash)
    return Tip(head=head, receipt_id=tail.receipt_id, is_terminal=tail.is_terminal)


def issued_ms(receipt: Receipt) -> int:
    """Return when a receipt was issued, in milliseconds since 1970."""
    return round(datetime.fromisoformat(receipt.issuanceDate).timestamp() * 1000)


def _read(path: str, tail: Tail) -> tuple[Receipt, bytes]:
    found = split_canonical(tail.body.encode("utf-8", "surrogatepass"))
    if found is None:
        raise _tampered(path, tail, "it is no receipt in its canonical form")
    return found


def _tampered(path: str, tail: Tail, why: str) -> StoreCorruptError:
    return StoreCorruptError(
        f"{path}: the last receipt of chain {tail.chain_id} (sequence {tail.sequence}) was "
        f"changed, or signed by another key: {why}. Nothing was written. Keep the file as "
        "evidence, run `tally verify --store` on it, and put a sound copy in its place, or start "
        "with a new file"
    )
