# SPDX-License-Identifier: Apache-2.0
"""A call is two receipts, tied by a correlation id; a kill in between leaves one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tallystick import Receipt, generate_key_pair, verify_chain
from tallystick.chain.payload import payload_hash
from tallystick.chain.receipt_chain import ReceiptChain
from tallystick.errors import ReceiptError

KEYS = generate_key_pair()


class Kept:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []

    def emit(self, receipt: Receipt, /) -> None:
        self.receipts.append(receipt)


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def chain(kept: Kept) -> ReceiptChain:
    return ReceiptChain(
        signer=KEYS, issuer={"id": "did:agent:t"}, principal={"id": "u"}, emitter=kept
    )


def codes(kept: Kept) -> list[str]:
    """Return the finding codes of what was kept; the chain itself must hold."""
    return verify_chain(kept.receipts, KEYS.public_key).ensure().codes()


def test_a_call_that_works(chain: ReceiptChain, kept: Kept) -> None:
    """Pending, then success with the hash of the result; nothing is carried."""
    with chain.action(
        "data.api.read", target={"system": "crm", "resource": "/c/1"}, parameters={"id": 1}
    ) as call:
        call.result = {"name": "secret"}
    before, after = kept.receipts
    assert before.outcome.status == "pending"
    assert after.outcome.status == "success"
    assert after.outcome.response_hash == payload_hash({"name": "secret"})
    assert before.action.parameters_hash == after.action.parameters_hash == payload_hash({"id": 1})
    ids = {r.credentialSubject.correlation_id for r in kept.receipts}
    assert ids == {call.correlation_id}
    assert b"secret" not in after.to_json()
    assert call.receipt is after
    assert codes(kept) == []


def test_a_call_that_fails(chain: ReceiptChain, kept: Kept) -> None:
    """The exception goes on; the receipt has its class and not its text."""
    with pytest.raises(RuntimeError), chain.action("data.api.read"):
        raise RuntimeError("password=hunter2")
    assert kept.receipts[1].outcome.status == "failure"
    assert kept.receipts[1].outcome.error == "RuntimeError"
    assert codes(kept) == []


def test_a_failure_that_is_told(chain: ReceiptChain, kept: Kept) -> None:
    """Setting `error` records a failure without an exception."""
    with chain.action("data.api.read") as call:
        call.error = "HTTP 503"
    assert kept.receipts[1].outcome.error == "HTTP 503"


def test_killed_in_between(chain: ReceiptChain, kept: Kept) -> None:
    """Exactly the one advisory that the protocol has for it."""
    chain.action("data.api.read").__enter__()
    assert codes(kept) == ["incomplete_tool_roundtrip"]


def test_one_object_records_one_call(chain: ReceiptChain, kept: Kept) -> None:
    """Two calls under one correlation id could not be told apart: the second is not begun."""
    call = chain.action("data.api.read")
    with call:
        pass
    with pytest.raises(ReceiptError, match="recorded already"), call:
        raise AssertionError("must not run")
    assert len(kept.receipts) == 2


def test_as_a_decorator(chain: ReceiptChain, kept: Kept) -> None:
    """Each call is recorded by itself, arguments and result hashed."""

    @chain.action("data.api.read")
    def add(a: int, b: int = 0) -> int:
        """Add."""
        return a + b

    assert add(1, b=2) == 3
    assert add(5) == 5
    assert add.__doc__ == "Add."
    assert len(kept.receipts) == 4
    assert kept.receipts[0].action.parameters_hash == payload_hash(
        {"args": [1], "kwargs": {"b": 2}}
    )
    assert kept.receipts[1].outcome.response_hash == payload_hash(3)
    assert len({r.credentialSubject.correlation_id for r in kept.receipts}) == 2
    assert codes(kept) == []


def test_a_decorated_function_may_handle_what_is_no_json(chain: ReceiptChain, kept: Kept) -> None:
    """Objects without a JSON form leave the hash out and hinder nothing."""

    @chain.action("data.api.read")
    def same(value: object) -> object:
        return value

    marker = object()
    assert same(marker) is marker
    assert kept.receipts[0].action.parameters_hash is None
    assert kept.receipts[1].outcome.status == "success"
    assert kept.receipts[1].outcome.response_hash is None


def test_coroutines(chain: ReceiptChain, kept: Kept) -> None:
    """`async with`, and decorated coroutines."""

    @chain.action("data.api.read")
    async def slow(value: int) -> int:
        await asyncio.sleep(0)
        return value

    async def main() -> Any:
        async with chain.action("data.api.write") as call:
            call.result = None
        return await slow(4)

    assert asyncio.run(main()) == 4
    assert [r.outcome.status for r in kept.receipts] == ["pending", "success"] * 2
    assert kept.receipts[1].outcome.response_hash == payload_hash(None)
    assert codes(kept) == []


def test_generators_are_refused(chain: ReceiptChain, kept: Kept) -> None:
    """Calling one runs nothing: it would be recorded as a success before it has begun."""

    def plain() -> Any:
        yield 1

    async def other() -> Any:
        yield 1

    for function in (plain, other):
        with pytest.raises(TypeError, match="generator"):
            chain.action("data.api.read")(function)


def test_a_target_is_a_mapping(chain: ReceiptChain, kept: Kept) -> None:
    """A bare text as target is refused with an example, before anything is recorded."""
    with pytest.raises(ReceiptError, match="/action/target: wanted is a mapping"):
        chain.action("filesystem.file.read", target="a.txt")  # type: ignore[arg-type]
    assert not kept.receipts
