# SPDX-License-Identifier: Apache-2.0
"""Both implementations' emitters, against the same collectors.

The other implementation's collector is written in Go and is no part of its Python package. What
stands here in its place keeps to its wire contract: POST, 201 with `id` and `receipt_hash`, 409
for an id that it has, 400 with `error`.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import obsigna
import pytest
from tests.deliveries import receipts
from tests.material import PUBLIC, body_of
from tests.misbehaving import Behaviour, Collector, Exchange, answer

from tallystick import EmitError, HttpEmitter, HttpEmitterConfig, RetryConfig, hash_receipt
from tallystick.crypto.ed25519 import public_key_pem
from tallystick.model.reader import parse_receipt


def reference_collector() -> Behaviour:
    """Return the other implementation's collector, as its contract describes it."""
    stored: dict[str, bytes] = {}

    def behaviour(exchange: Exchange) -> bool:
        try:
            whole = json.loads(exchange.request.body)
            wanted = (
                whole["id"],
                whole["credentialSubject"]["chain"]["chain_id"],
                whole["credentialSubject"]["action"]["type"],
                whole["proof"]["proofValue"],
            )
        except (ValueError, KeyError, TypeError):
            return answer(400, body=b'{"error":"malformed receipt"}')(exchange)
        if whole["id"] in stored:
            return answer(409, body=b'{"error":"receipt id already exists"}')(exchange)
        assert all(wanted)
        stored[whole["id"]] = exchange.request.body
        digest = "sha256:" + sha256(body_of(whole)).hexdigest()
        body = json.dumps({"id": whole["id"], "receipt_hash": digest}).encode()
        return answer(201, body=body)(exchange)

    return behaviour


def their_emitter(url: str) -> Any:
    from obsigna.emitters.http import HttpEmitter as Theirs
    from obsigna.emitters.types import HttpEmitterConfig as TheirConfig
    from obsigna.emitters.types import RetryConfig as TheirRetry

    return Theirs(TheirConfig(endpoint=url, retry=TheirRetry(max_attempts=2, base_delay_ms=1)))


def as_theirs(body: bytes) -> Any:
    return obsigna.AgentReceipt.model_validate_json(body)


def test_both_deliver_to_the_same_collector() -> None:
    """Ours accepts a base URL, theirs posts to what it is given; the collector takes both."""
    ours, theirs = receipts(2)
    with Collector(reference_collector()) as collector:
        HttpEmitter(HttpEmitterConfig(collector.url)).emit(ours)
        HttpEmitter(HttpEmitterConfig(f"{collector.url}/receipts")).emit(ours)
        their_emitter(f"{collector.url}/receipts").emit(as_theirs(theirs.to_json()))
    lines = [seen.line for seen in collector.requests]
    assert lines == ["POST /receipts HTTP/1.1"] * 3
    kinds = {seen.headers["content-type"] for seen in collector.requests}
    assert kinds == {"application/ld+json"}


def test_a_receipt_of_one_is_a_duplicate_for_the_other() -> None:
    """What theirs has delivered is acknowledged to ours with 409, and the other way round."""
    first, second = receipts(2)
    with Collector(reference_collector()) as collector:
        mine, other = (
            HttpEmitter(HttpEmitterConfig(collector.url)),
            their_emitter(f"{collector.url}/receipts"),
        )
        other.emit(as_theirs(first.to_json()))
        mine.emit(first)
        mine.emit(second)
        other.emit(as_theirs(second.to_json()))
    assert len(collector.requests) == 4


def test_what_we_post_verifies_for_them() -> None:
    """The bytes on the wire are what the other implementation signs, hashes and accepts."""
    with Collector(reference_collector()) as collector:
        emitter = HttpEmitter(HttpEmitterConfig(collector.url))
        for receipt in receipts(5):
            emitter.emit(receipt)
    read = [as_theirs(body) for body in collector.bodies]
    pem = public_key_pem(PUBLIC)
    assert obsigna.verify_chain(read, pem).valid
    assert [obsigna.hash_receipt(one) for one in read] == [hash_receipt(one) for one in receipts(5)]
    assert [parse_receipt(body) for body in collector.bodies] == receipts(5)


@pytest.mark.parametrize("status", [400, 500])
def test_both_call_the_same_answers_failures(status: int) -> None:
    """400 is told at once and 5xx after all attempts, by both, with the same status."""
    receipt = receipts(1)[0]
    for make, value, kind in (
        (their_emitter, as_theirs(receipt.to_json()), obsigna.emitters.types.EmitError),
        (our_emitter, receipt, EmitError),
    ):
        with Collector(answer(status)) as collector, pytest.raises(kind) as caught:
            make(f"{collector.url}/receipts").emit(value)
        assert getattr(caught.value, "status") == status  # noqa: B009  # of two kinds
        assert len(collector.requests) == (1 if status == 400 else 2)


def our_emitter(url: str) -> HttpEmitter:
    retry = RetryConfig(max_attempts=2, base_delay_ms=1)
    return HttpEmitter(HttpEmitterConfig(url, retry=retry))
