# SPDX-License-Identifier: Apache-2.0
"""Whether a store still has all the chains that its receipts speak of.

A chain that was removed as a whole leaves no gap in any other. But each root names the head of the
root before it, and the chain of each agent is announced in its root; so who removes one would have
to change a signed receipt in another. What nothing speaks of yet are the newest root and its
newest receipts: for these the daemon keeps its file of heads.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tallystick.crypto.digest import sha256_tagged
from tallystick.daemon.batch import ISSUER_TYPE
from tallystick.daemon.chain_names import root_of
from tallystick.daemon.turn import CHAINS_SYSTEM
from tallystick.errors import ReceiptError
from tallystick.model.extension import extension_of
from tallystick.model.receipt import Receipt, split_canonical
from tallystick.model.taxonomy import AGENT_START
from tallystick.store.ledger_reads import Filter, LedgerReader, StoredChain


class Absence(NamedTuple):
    """Something that is spoken of and not there, or there and not spoken of."""

    code: str
    where: str
    message: str


def absences(reader: LedgerReader) -> Iterator[Absence]:
    """Yield what the chains of a store say of each other that is not so.

    Signatures are not looked at: that is the verifier's part. Chains of other issuers are passed
    over.
    """
    chains = {one.chain_id: one for one in reader.chains()}
    announced = set(_announced(reader))
    roots_without_previous = []
    for chain in chains.values():
        first = _receipt(reader, chain.chain_id, 1)
        if first is None or first.issuer.type != ISSUER_TYPE:
            continue
        root = root_of(chain.chain_id)
        yield from _previous(reader, chain, first)
        if root == chain.chain_id:
            if _previous_of(first) is None:
                roots_without_previous.append(chain.chain_id)
            continue
        if chain.chain_id not in announced:
            yield Absence("CHAIN_UNANNOUNCED", chain.chain_id, "its root does not announce it")
        if root in chains and chains[root].terminal and not chain.terminal:
            yield Absence("CHAIN_CUT", chain.chain_id, "is open below a root that is closed")
    for name in sorted(announced - chains.keys()):
        yield Absence("CHAIN_MISSING", name, "was announced in its root, and is not there")
    # The very first root has none before it: every further one names the root that it follows.
    for name in roots_without_previous[1:]:
        yield Absence("CHAIN_MISSING", name, "names no root before it, and is not the only such")


def _previous(reader: LedgerReader, chain: StoredChain, first: Receipt) -> Iterator[Absence]:
    previous = _previous_of(first)
    if previous is None:
        return
    name, sequence, digest = previous
    found = reader.at(name, sequence)
    if found is None:
        message = f"goes on from receipt {sequence} of {name}, which is not there"
        yield Absence("CHAIN_MISSING", chain.chain_id, message)
        return
    read = split_canonical(found.body)
    if read is None or sha256_tagged(read[1]) != digest:
        message = f"goes on from receipt {sequence} of {name}, which has another hash"
        yield Absence("CHAIN_REPLACED", chain.chain_id, message)


def _previous_of(first: Receipt) -> tuple[str, int, str] | None:
    try:
        facts = extension_of(first.issuer)
    except ReceiptError:
        return None
    link = None if facts is None else facts.previous_chain
    return None if link is None else (link.chain_id, link.sequence, link.hash)


def _announced(reader: LedgerReader) -> Iterator[str]:
    for stored in reader.receipts(Filter(action_type=AGENT_START)):
        found = split_canonical(stored.body)
        if found is None:
            continue
        target = found[0].action.target
        if target is not None and target.system == CHAINS_SYSTEM and target.resource is not None:
            yield target.resource


def _receipt(reader: LedgerReader, chain_id: str, sequence: int) -> Receipt | None:
    stored = reader.at(chain_id, sequence)
    found = None if stored is None else split_canonical(stored.body)
    return None if found is None else found[0]
