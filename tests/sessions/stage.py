# SPDX-License-Identifier: Apache-2.0
"""The files that each session finds in its directory: the same bytes in every run.

Keys come from fixed seeds, times and ids from counters. Only what HPKE seals differs, since its
sender draws a key of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

from tests.sessions.stage_evidence import evidence_files
from tests.sessions.stage_log import log_files

from tallystick.chain.issue import create_receipt, issue
from tallystick.crypto.canonical import canonicalize
from tallystick.crypto.ed25519 import KeyPair
from tallystick.crypto.multibase import did_key_encode
from tallystick.keys.forensic import forensic_key_pem, forensic_public_key_pem
from tallystick.model.chain import Head, Link
from tallystick.model.disclosure import (
    encrypt_disclosure,
    encrypt_response,
    generate_forensic_key_pair,
)
from tallystick.model.receipt import Receipt, UnsignedReceipt
from tallystick.model.rotation import rotation_between

AGENT, OTHER, NEXT = (KeyPair.from_seed(bytes([number]) * 32) for number in (1, 2, 3))
FORENSIC, STRANGER = (
    generate_forensic_key_pair(lambda size, fill=fill: fill * size)  # type: ignore[misc]
    for fill in (b"\x04", b"\x05")
)
# 2026-01-02T03:04:05Z
_START_NS = 1_767_323_045 * 10**9

Draft = Callable[[Link], UnsignedReceipt]


class Scribe:
    """Issues receipts whose times and ids come from counters."""

    def __init__(self, chain_id: str, issuer: str, number: int) -> None:
        self.head = Head(chain_id=chain_id)
        self.issuer = issuer
        self._ids = (f"00000000-0000-4000-8{number:03d}-{one:012d}" for one in count(1))
        self._times = (_START_NS + one * 10**9 for one in count())

    def write(
        self, kind: str, resource: str, key: KeyPair, *, terminal: bool = False, **more: Any
    ) -> Receipt:
        """Issue the next receipt."""
        now = next(self._times)
        action = {"type": kind, "target": {"system": "local", "resource": resource}}

        def draft(link: Link) -> UnsignedReceipt:
            return create_receipt(
                issuer={"id": self.issuer},
                principal={"id": "did:example:alice"},
                action={**action, **more.pop("action", {})},
                outcome=more.pop("outcome", {"status": "success"}),
                chain=link,
                clock=lambda: now,
                ids=lambda: next(self._ids),
                **more,
            )

        receipt, self.head = issue(
            self.head, draft, key, f"{self.issuer}#key-1", terminal=terminal, clock=lambda: now
        )
        return receipt


def lines(*receipts: Receipt) -> bytes:
    """Return receipts as JSON Lines."""
    return b"".join(receipt.to_json() + b"\n" for receipt in receipts)


def array(*receipts: Receipt) -> bytes:
    """Return receipts as one JSON array."""
    return b"[" + b",\n".join(receipt.to_json() for receipt in receipts) + b"]\n"


def staged_files() -> Mapping[str, bytes]:
    """Return the name and content of every file."""
    files = {
        "agent.key": AGENT.private_key.encode(),
        "agent.pub": AGENT.public_key.encode(),
        "agent.did": did_key_encode(AGENT.signing_key().public_key).encode(),
        "other.pub": OTHER.public_key.encode(),
        "weak.pub": bytes(32),
        "forensic.key": forensic_key_pem(FORENSIC.private_key).encode(),
        "stranger.key": forensic_key_pem(STRANGER.private_key).encode(),
        "forensic.pub": forensic_public_key_pem(FORENSIC.public_key).encode(),
        "empty.jsonl": b"",
        "garbage.json": bytes(range(256)),
        "deep.json": b"[" * 10_000 + b"]" * 10_000,
        "huge.jsonl": b'{"a":"' + b"x" * 1_100_000 + b'"}\n',
    }
    return {
        **files,
        **(runs := _runs()),
        **_sealed(),
        **log_files(runs["receipt.json"]),
        **evidence_files(),
    }


def _runs() -> dict[str, bytes]:
    run = Scribe("run-1", "did:example:agent", 1)
    first = run.write("filesystem.file.create", "draft.md", AGENT)
    second = run.write("filesystem.file.read", "draft.md", AGENT)
    third = run.write("filesystem.file.delete", "draft.md", AGENT, terminal=True)
    other = Scribe("run-2", "did:example:other", 2)
    others = [other.write("filesystem.file.read", name, OTHER) for name in ("a.md", "b.md")]
    rotated = Scribe("run-3", "did:example:agent", 3)
    before, after = AGENT.signing_key().public_key, NEXT.signing_key().public_key
    body = {"rows": [1, 2]}
    answered = Scribe("run-4", "did:example:agent", 4)
    nulls = json.loads(first.to_json())
    nulls["credentialSubject"]["intent"] = None
    return {
        "run.jsonl": lines(first, second, third),
        "run.json": array(first, second, third),
        "receipt.json": first.to_json(),
        "open.jsonl": lines(first, second),
        "other.jsonl": lines(*others),
        "nulls.json": json.dumps(nulls).encode(),
        "rotated.jsonl": lines(
            rotated.write("filesystem.file.read", "a.md", AGENT),
            rotated.write(
                "agent.key.rotate", "key", AGENT, key_rotation=rotation_between(before, after)
            ),
            rotated.write("filesystem.file.read", "b.md", NEXT),
        ),
        "answered.jsonl": lines(answered.write("data.api.read", "rows", AGENT, response_body=body)),
        "responses/00000000-0000-4000-8004-000000000002.json": json.dumps(body).encode(),
    }


def _sealed() -> dict[str, bytes]:
    parameters = {"to": "bob@example.com", "subject": "the \u202eoffer\x1b[2J"}
    digest = "sha256:" + sha256(canonicalize(parameters)).hexdigest()

    def sealed(scribe: Scribe, pair: Any, kid: str, parameters_hash: str | None) -> Receipt:
        action: dict[str, Any] = {
            "parameters_disclosure": encrypt_disclosure(parameters, pair.public_key, kid)
        }
        if parameters_hash is not None:
            action["parameters_hash"] = parameters_hash
        return scribe.write("communication.email.send", "mail", AGENT, action=action)

    answer = {"rows": [1, 2]}
    mail = Scribe("mail-1", "did:example:agent", 5)
    return {
        "sealed.jsonl": lines(
            sealed(mail, FORENSIC, FORENSIC.kid, digest),
            sealed(mail, FORENSIC, "the auditor", None),
        ),
        "sealed-response.jsonl": lines(
            mail.write(
                "data.api.read",
                "rows",
                AGENT,
                outcome={
                    "status": "success",
                    "response_disclosure": encrypt_response(
                        answer, FORENSIC.public_key, FORENSIC.kid
                    ),
                },
                response_body=answer,
            )
        ),
        "sealed-other.jsonl": lines(sealed(mail, STRANGER, STRANGER.kid, digest)),
        "sealed-label.jsonl": lines(sealed(mail, STRANGER, "the auditor", digest)),
        "sealed-forged.jsonl": lines(sealed(mail, STRANGER, FORENSIC.kid, digest)),
        "sealed-differs.jsonl": lines(sealed(mail, FORENSIC, FORENSIC.kid, "sha256:" + "0" * 64)),
    }


def stage(folder: Path) -> None:
    """Write all files."""
    for name, data in staged_files().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o600 if name.endswith(".key") else 0o644)
