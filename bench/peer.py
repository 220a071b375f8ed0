# SPDX-License-Identifier: Apache-2.0
"""The same work done with `obsigna`, the other implementation on PyPI."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from obsigna import (
    AgentReceipt,
    ChainEmitInput,
    CreateReceiptInput,
    FileWal,
    HttpEmitter,
    HttpEmitterConfig,
    InMemoryEmitter,
    ReceiptChain,
    WalEmitter,
    create_receipt,
    generate_key_pair,
    hash_receipt,
    sign_receipt,
    verify_chain,
)
from obsigna.receipt.create import ActionInput
from obsigna.receipt.types import Chain, Issuer, Outcome, Principal
from obsigna.store.store import open_store
from obsigna.store.verify import verify_stored_chain

KEYS = generate_key_pair()
METHOD = "did:agent:bench#key-1"

# It warns for every emitter that the collector of the benchmark has no TLS.
logging.getLogger("obsigna").setLevel(logging.ERROR)

COLD_SIGN = (
    "from obsigna import CreateReceiptInput;from obsigna.receipt.create import ActionInput;"
    "from obsigna.receipt.types import Chain,Issuer,Outcome,Principal;"
    "sign_receipt(create_receipt(CreateReceiptInput(issuer=Issuer(id='a'),"
    "principal=Principal(id='b'),action=ActionInput(type='filesystem.file.read',risk_level='low'),"
    "outcome=Outcome(status='success'),"
    "chain=Chain(sequence=1,previous_receipt_hash=None,chain_id='c'))),key,'a#key-1')"
)

COLD_PROGRAM = (
    "from obsigna import CreateReceiptInput,create_receipt,generate_key_pair,sign_receipt;"
    "from obsigna.receipt.create import ActionInput;"
    "from obsigna.receipt.types import Chain,Issuer,Outcome,Principal;k=generate_key_pair();"
    "sign_receipt(create_receipt(CreateReceiptInput(issuer=Issuer(id='a'),"
    "principal=Principal(id='b'),action=ActionInput(type='filesystem.file.read',risk_level='low'),"
    "outcome=Outcome(status='success'),"
    "chain=Chain(sequence=1,previous_receipt_hash=None,chain_id='c'))),k.private_key,'a#key-1')"
)


def link(
    count: int,
    issuer: Mapping[str, Any],
    principal: Mapping[str, Any],
    action: Mapping[str, Any],
    outcome: Mapping[str, Any],
) -> None:
    """Create, sign and link receipts."""
    by, for_whom, how = Issuer(**issuer), Principal(**principal), Outcome(**outcome)
    what = ActionInput(**action, risk_level="low")
    previous: str | None = None
    for sequence in range(1, count + 1):
        unsigned = create_receipt(
            CreateReceiptInput(
                issuer=by,
                principal=for_whom,
                action=what,
                outcome=how,
                chain=Chain(sequence=sequence, previous_receipt_hash=previous, chain_id="bench"),
            )
        )
        previous = hash_receipt(sign_receipt(unsigned, KEYS.private_key, METHOD))


def emit_all(count: int, emitter: Any, *parts: Mapping[str, Any]) -> None:
    """Emit through a chain, one after the other."""
    issuer, principal, action, outcome = parts
    chain = ReceiptChain(
        chain_id="bench",
        private_key=KEYS.private_key,
        verification_method=METHOD,
        emitter=emitter,
    )
    draft = ChainEmitInput(
        issuer=Issuer(**issuer),
        principal=Principal(**principal),
        action=ActionInput(**action, risk_level="low"),
        outcome=Outcome(**outcome),
    )
    for _ in range(count):
        chain.emit(draft)


def emit_to_memory(count: int, *parts: Mapping[str, Any]) -> None:
    """Emit to memory."""
    emit_all(count, InMemoryEmitter(), *parts)


def deliver(count: int, url: str, folder: Path, *parts: Mapping[str, Any]) -> None:
    """Emit through a log on disk and HTTP."""
    http = HttpEmitter(HttpEmitterConfig(endpoint=url, timeout_ms=60_000))
    emit_all(count, WalEmitter(inner=http, wal=FileWal(folder)), *parts)


def verify(data: bytes, public_key: str) -> None:
    """Parse JSON Lines and verify the chain."""
    receipts = [AgentReceipt.model_validate_json(line) for line in data.splitlines()]
    outcome = verify_chain(receipts, public_key)
    if not outcome.valid:
        raise AssertionError(outcome.error)


def verify_store(path: str, chain_id: str, public_key: str) -> float:
    """Return how many seconds of the processor it takes to verify a chain of a store."""
    store = open_store(path)
    try:
        began = time.process_time()
        outcome = verify_stored_chain(store, chain_id, public_key)
        took = time.process_time() - began
    finally:
        store.close()
    if not outcome.valid:
        raise AssertionError(outcome.error)
    return took
