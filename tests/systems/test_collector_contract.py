# SPDX-License-Identifier: Apache-2.0
"""The collector against others: schemathesis on its own document, and the peer's emitter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import obsigna
import pytest
from obsigna.emitters.http import HttpEmitter as Theirs
from obsigna.emitters.types import EmitError as TheirError
from obsigna.emitters.types import HttpEmitterConfig as TheirConfig
from obsigna.emitters.types import RetryConfig as TheirRetry
from tests.deliveries import receipts
from tests.material import PUBLIC, chain_of, wire
from tests.served import Served

from tallystick import HttpEmitter, HttpEmitterConfig, hash_receipt, verify_chain
from tallystick.crypto.ed25519 import public_key_pem
from tallystick.model.reader import parse_receipt

# Requests for each operation; `make soak` asks for more.
EXAMPLES = int(os.environ.get("TALLY_EXAMPLES", "25"))
# It knows no JSON Lines: a batch is text to it.
HOOKS = """
import schemathesis

@schemathesis.serializer("application/x-ndjson", "application/jsonl")
def lines(context, value):
    return value.encode("utf-8", "replace") if isinstance(value, str) else repr(value).encode()
"""
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_headers_conformance,response_schema_conformance,unsupported_method,"
    "negative_data_rejection"
)


def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    """Each answer to valid, invalid and strange requests is one that the document announces."""
    with Served(tmp_path) as served:
        for one in chain_of(3):
            served.post(wire(one))
        (tmp_path / "hooks.py").write_text(HOOKS)
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "schemathesis"), "run",
                f"{served.url}/openapi.json", f"--checks={CHECKS}",
                f"--max-examples={EXAMPLES}", "--phases=examples,coverage,fuzzing",
                "--generation-deterministic",
                "--exclude-path=/readyz", "--no-color",
            ],
            cwd=tmp_path,
            env={**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        assert served.get("/healthz").status == 200


def theirs(url: str, token: str = "") -> Any:
    retry = TheirRetry(max_attempts=2, base_delay_ms=1)
    if not token:
        return Theirs(TheirConfig(endpoint=url, retry=retry))
    from obsigna.emitters.types import BearerAuth

    return Theirs(TheirConfig(endpoint=url, retry=retry, auth=BearerAuth(token=token)))


def as_theirs(body: bytes) -> Any:
    return obsigna.AgentReceipt.model_validate_json(body)


def test_the_peer_s_emitter_delivers_unchanged(tmp_path: Path) -> None:
    """What it sends is stored as it came, hashes as chains do, and verifies for both."""
    sent = receipts(5)
    with Served(tmp_path) as served:
        emitter = theirs(f"{served.url}/receipts")
        for one in sent:
            emitter.emit(as_theirs(one.to_json()))
            emitter.emit(as_theirs(one.to_json()))  # a retry is a 409, which it takes for done
        lines = served.get("/chains/" + sent[0].link.chain_id).body.splitlines()
    assert len(lines) == 5
    report = verify_chain(b"\n".join(lines) + b"\n", PUBLIC, accept_nulls=True)
    assert report.verdict == "verified", report
    read = [as_theirs(line) for line in lines]
    assert obsigna.verify_chain(read, public_key_pem(PUBLIC)).valid


def test_both_are_told_the_hash_that_chains_use(tmp_path: Path) -> None:
    """Whichever spelling an emitter sends, nulls and all, `receipt_hash` is the link's."""
    one = receipts(1)[0]
    theirs_body = as_theirs(one.to_json()).model_dump_json(by_alias=True).encode()
    with Served(tmp_path) as served:
        for body in (one.to_json(), theirs_body):
            answer = served.post(body)
            assert answer.json["receipt_hash"] == hash_receipt(one)


def test_one_delivers_and_the_other_sees_it_delivered(tmp_path: Path) -> None:
    """A receipt that is there already is success for either, in the same spelling."""
    first, second = receipts(2)
    with Served(tmp_path) as served:
        ours = HttpEmitter(HttpEmitterConfig(served.url))
        ours.emit(first)
        ours.emit(first)
        ours.emit(second)
        theirs(f"{served.url}/receipts").emit(as_theirs(second.to_json()))
        body = served.get(f"/receipts/{first.id}").body
    assert parse_receipt(body) == first


def test_a_token_is_asked_of_both(tmp_path: Path) -> None:
    """Without one, the peer's emitter reports the 401 as its own error."""
    from tallystick.serve.tokens import add_token

    text, _ = add_token(tmp_path / "collector.tokens", "a", made_at="now")
    one = receipts(1)[0]
    with Served(tmp_path) as served:
        with pytest.raises(TheirError):
            theirs(f"{served.url}/receipts").emit(as_theirs(one.to_json()))
        theirs(f"{served.url}/receipts", text).emit(as_theirs(one.to_json()))
        assert json.loads(served.ask("GET", "/chains", headers={"X-API-Key": text}).body)["chains"]
