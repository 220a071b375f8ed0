# SPDX-License-Identifier: Apache-2.0
"""Submissions for tests of stores: small receipts whose columns are what their bytes say."""

from __future__ import annotations

import base64
from hashlib import sha256
from typing import Any

from tallystick.crypto.canonical import canonicalize
from tallystick.model.submission import Intent, Submission

ORIGIN = "collector.example/log1"


def submission(
    name: str,
    *,
    tenant: str = "t",
    chain_id: str = "chain",
    issuer: str = "did:agent:a",
    sequence: int | None = None,
    terminal: str | None = None,
    note: str = "",
) -> Submission:
    """Return a receipt as a collector takes it; `note` makes it another one under the same id."""
    link: dict[str, Any] = {"chain_id": chain_id}
    if sequence is not None:
        link["sequence"] = sequence
    if terminal is not None:
        link |= {"terminal": True, "status": terminal}
    unsigned = {
        "id": f"urn:receipt:{name}",
        "issuer": {"id": issuer},
        "credentialSubject": {"action": {"type": "filesystem.file.read"}, "chain": link},
        "note": note,
    }
    signed = unsigned | {"proof": {"proofValue": "u" + "A" * 86}}
    body = canonicalize(signed)
    return Submission(
        tenant=tenant,
        receipt_id=f"urn:receipt:{name}",
        issuer=issuer,
        chain_id=chain_id,
        sequence=sequence,
        action_type="filesystem.file.read",
        terminal=terminal,
        receipt_hash="sha256:" + sha256(canonicalize(unsigned)).hexdigest(),
        digest=sha256(body).digest(),
        id_hash=sha256(f"urn:receipt:{name}".encode()).digest(),
        body=body,
    )


def submissions(count: int, *, start: int = 0, chains: int = 4) -> list[Submission]:
    """Return receipts that take turns in some chains."""
    return [
        submission(str(number), chain_id=f"chain-{number % chains}", sequence=number // chains + 1)
        for number in range(start, start + count)
    ]


def note_of(intent: Intent) -> bytes:
    """Return a note for a checkpoint, with a signature that nobody has checked."""
    root = base64.b64encode(intent.root).decode()
    line = base64.b64encode(b"keyid" + bytes(67)).decode()
    return f"{ORIGIN}\n{intent.size}\n{root}\n\n— {ORIGIN} {line}\n".encode()
