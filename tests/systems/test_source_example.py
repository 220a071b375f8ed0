# SPDX-License-Identifier: Apache-2.0
"""The Python program of the page on ephemeral compute that this project answers, as it stands
there: its import line names another package, its three dots are filled in, and nothing else is
changed."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from tests import material
from tests.collector import StoringCollector
from tests.examples import TOKEN, ended, settings, started
from tests.misbehaving import answer

from tallystick import Report, verify_chain

METHOD: Final = "did:agent:walk-through#key-1"

THEIRS: Final = """\
import os
import signal

from agent_receipts import (
    HttpEmitter, HttpEmitterConfig, BearerAuth,
    WalEmitter, MemoryWal,
    create_receipt, sign_receipt,
)

# Module scope: reused across warm invocations.
_http = HttpEmitter(HttpEmitterConfig(
    endpoint=os.environ["AGENTRECEIPTS_COLLECTOR_URL"],  # https://…
    auth=BearerAuth(token=os.environ["AGENTRECEIPTS_COLLECTOR_TOKEN"]),
    strategy="sync",
))
_emitter = WalEmitter(inner=_http, wal=MemoryWal())

_private_key = os.environ["AGENTRECEIPTS_KEY"]
_verify_method = os.environ["AGENTRECEIPTS_VERIFICATION_METHOD"]

def handler(event, context):
    # 1. Build (see the Python API Reference for the full receipt shape).
    unsigned = create_receipt(...)
    # 2. Sign client-side.
    signed = sign_receipt(unsigned, _private_key, _verify_method)
    # 3. Deliver via the WAL-backed emitter; waits for the collector ack.
    _emitter.emit(signed)

def _on_sigterm(signum, frame):
    remaining = _emitter.flush(deadline_ms=2000)
    if remaining > 0:
        ...  # best-effort: sign + emit terminal agent_end { status: "interrupted" }

signal.signal(signal.SIGTERM, _on_sigterm)
"""

# Each invocation is a chain of its own, as the page advises; its id is the request's.
RECEIPT: Final = """\
create_receipt(
        issuer={"id": "did:agent:walk-through"},
        principal={"id": "did:user:u"},
        action={"type": "data.api.read", "target": {"system": "api", "resource": event["path"]}},
        outcome={"status": "success"},
        chain={"chain_id": context, "sequence": 1, "previous_receipt_hash": None},
    )"""

AGENT_END: Final = """\
from tallystick import hash_receipt

        (last,) = _emitter.wal.pending()
        end = create_receipt(
            issuer=last.issuer,
            principal=last.credentialSubject.principal,
            action={"type": "agent_receipts.agent_end"},
            outcome={"status": "success"},
            chain={
                "chain_id": last.link.chain_id,
                "sequence": last.link.sequence + 1,
                "previous_receipt_hash": hash_receipt(last),
                "terminal": True,
                "status": "interrupted",
            },
        )
        _emitter.emit(sign_receipt(end, _private_key, _verify_method))"""

# What a platform does around the program: calls it, and ends with the process.
PLATFORM: Final = """
import sys
for line in sys.stdin:
    request, path = line.split()
    try:
        handler({"path": path}, request)
        print("done", flush=True)
    except Exception as fault:
        print(type(fault).__name__, flush=True)
"""


def ours() -> str:
    """Return the program as it runs here."""
    program = THEIRS
    for old, new in (
        ("from agent_receipts import (", "from tallystick import ("),
        ("create_receipt(...)", RECEIPT),
        ("...  # best-effort", AGENT_END + "  # best-effort"),
    ):
        assert program.count(old) == 1
        program = program.replace(old, new)
    return program


@pytest.fixture
def collector() -> Iterator[StoringCollector]:
    with StoringCollector() as found:
        yield found


def verified(lines: bytes, **expected: Any) -> Report:
    """Return the report on a chain that verifies."""
    return verify_chain(
        lines, material.KEY.public_key, verification_method=METHOD, **expected
    ).ensure()


def call(process: subprocess.Popen[str], request: str) -> str:
    """Have the handler called, and return how it ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{request} /orders\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def test_the_program_of_the_source(collector: StoringCollector, tmp_path: Path) -> None:
    """It delivers, fails loudly while the collector is away, and says at SIGTERM that it was
    interrupted: everything that it signed arrives, and verifies."""
    environment = settings(collector.url, AGENTRECEIPTS_VERIFICATION_METHOD=METHOD)
    with started(["-c", ours() + PLATFORM], environment, tmp_path) as process:
        assert call(process, "request-1") == "done"
        # Five answers to the invocation, five to the flush: after that the collector is back.
        collector.does(*[answer(503)] * 10)
        assert call(process, "request-2") == "EmitError"
        process.send_signal(signal.SIGTERM)
        collector.holds(3)
        assert ended(process)[0] == 0

    first, second = collector.chains.values()
    assert verified(first, expected_length=1).chains[0].termination == "unknown"
    assert verified(second, expected_length=2).chains[0].termination == "interrupted"
    assert {seen.headers["authorization"] for seen in collector.requests} == {f"Bearer {TOKEN}"}
    assert {seen.headers["content-type"] for seen in collector.requests} == {"application/ld+json"}
    assert b"null" not in collector.lines.replace(b'"previous_receipt_hash":null', b"")
    assert json.loads(second.splitlines()[1])["credentialSubject"]["chain"]["terminal"] is True
