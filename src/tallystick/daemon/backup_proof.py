# SPDX-License-Identifier: Apache-2.0
"""What has to be there in a copy of a store: the proof that `tally export --proof` writes, too.

Of the store it is told by the columns, in a few look-ups for each chain. They may lie, and so may a
file that was imported: whoever verifies the copy against this proof finds that out.
"""

from __future__ import annotations

from collections.abc import Sequence

from tallystick.crypto.multibase import did_key_encode
from tallystick.daemon.vouching import hand_overs
from tallystick.durable.file import FilePath
from tallystick.errors import StoreError
from tallystick.model.export_proof import ExportedChain, ExportProof, HandOver
from tallystick.store.ledger_reads import LedgerReader
from tallystick.verify.receipt import examine
from tallystick.verify.source import Input, Source


def proof_of(
    store: FilePath, imported: Sequence[FilePath], earlier: Sequence[bytes]
) -> ExportProof | None:
    """Return the proof, or None where the store can't be read as a ledger.

    `imported` are files with one chain each; `earlier` are public keys that were replaced.
    """
    try:
        with LedgerReader(store) as reader:
            chains = _stored_chains(reader)
            receipts = reader.count()
            pairs = hand_overs(reader)
    except StoreError:
        return None
    for path in imported:
        chain, length = _imported_chain(path)
        receipts += length
        if chain is not None:
            chains.setdefault(chain.chain_id, chain)
    return ExportProof(
        chains=tuple(chains[name] for name in sorted(chains)),
        hand_overs=tuple(HandOver.of(*pair) for pair in pairs),
        keys=tuple(did_key_encode(one) for one in earlier),
        receipts=receipts,
    )


def _stored_chains(reader: LedgerReader) -> dict[str, ExportedChain]:
    return {
        one.chain_id: ExportedChain(
            chain_id=one.chain_id,
            closed=one.terminal,
            head=one.hash,
            length=one.length,
            sequence=one.last_sequence,
            stored=True,
        )
        for one in reader.chains()
    }


def _imported_chain(path: FilePath) -> tuple[ExportedChain | None, int]:
    """Return the chain of a file, by its last receipt, and how many receipts there are."""
    link, head, length = None, "", 0
    with open(path, "rb") as stream:
        for raw in Input([Source(stream, form="lines")]):
            length += 1
            examined = examine(raw)
            subject = None if examined.receipt is None else examined.receipt.credentialSubject
            if subject is not None and subject.chain is not None:
                link, head = subject.chain, examined.digest
    if link is None or not link.chain_id or not link.sequence:
        return None, length
    chain = ExportedChain(
        chain_id=link.chain_id,
        closed=link.terminal is True,
        head=head,
        length=length,
        sequence=link.sequence,
        stored=False,
    )
    return chain, length
