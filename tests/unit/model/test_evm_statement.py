# SPDX-License-Identifier: Apache-2.0
"""Four kinds of statement, each with its own digest; nothing else is signed."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import _hash_eip191_message, encode_defunct, encode_typed_data
from hypothesis import given
from hypothesis import strategies as st
from tests.curve import CurveKey

from tallystick.crypto.keccak import keccak256
from tallystick.crypto.secp256k1 import sign_digest
from tallystick.errors import StatementError
from tallystick.limits import EVM_STATEMENT_BYTES_MAX, MANIFEST_BYTES_MAX
from tallystick.model.evm_statement import (
    Eip191,
    Eip712,
    ManifestStatement,
    Transaction,
    digest_of,
    transaction_of,
)

KEY = CurveKey(0xABCDEF)
MANIFEST = b'{"artifacts":[],"manifestVersion":"1.0.0"}'
TO = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


def transaction(**members: Any) -> Transaction:
    """Return a transaction with these members."""
    usual: dict[str, Any] = {
        "chain_id": 11155111,
        "nonce": 7,
        "gas": 100_000,
        "max_fee_per_gas": 2_000_000_000,
        "max_priority_fee_per_gas": 1_000_000_000,
        "to": TO,
        "value": 5,
        "data": b"\x0c\x1d\x4c\xc2",
    }
    return Transaction(**usual | members)


def test_a_manifest_is_hashed_with_sha256() -> None:
    """The digest is the manifest's own hash, which `sha256sum` prints."""
    assert ManifestStatement(manifest=MANIFEST).digest() == sha256(MANIFEST).digest()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01\x02" * 16,
        MANIFEST + b"\n",
        b'{"artifacts": [],"manifestVersion":"1.0.0"}',
        b'{"manifestVersion":"1.0.0","artifacts":[]}',
        b'{"manifestVersion":"1","manifestVersion":"1"}',
        b'{"artifacts":[]}',
        b'{"manifestVersion":1}',
        b'["manifestVersion"]',
        b'{"a":"' + b"x" * MANIFEST_BYTES_MAX + b'","manifestVersion":"1"}',
    ],
)
def test_what_is_no_manifest(data: bytes) -> None:
    """Other bytes are not signed under that name: behind a SHA-256 there may be another
    protocol's transaction."""
    with pytest.raises(StatementError, match="manifest"):
        ManifestStatement(manifest=data)


@given(st.binary(max_size=300))
def test_messages(message: bytes) -> None:
    """A message has the digest that wallets sign."""
    assert Eip191(message=message).digest() == _hash_eip191_message(encode_defunct(message))


def test_typed_data() -> None:
    """Typed data has the digest that wallets sign."""
    types = {"Note": (("text", "string"), ("n", "uint64"))}
    domain = {"name": "t", "chainId": 5, "verifyingContract": TO}
    message = {"text": "é", "n": 3}
    theirs = encode_typed_data(
        domain,
        {"Note": [{"name": "text", "type": "string"}, {"name": "n", "type": "uint64"}]},
        message,
    )
    ours = Eip712(domain=domain, types=types, primary_type="Note", message=message)
    assert ours.digest() == _hash_eip191_message(theirs)


@pytest.mark.parametrize(
    "members",
    [{}, {"to": None, "data": b"\x60\x80" * 500}, {"value": 0, "data": b"", "nonce": 0}],
)
def test_transactions(members: dict[str, Any]) -> None:
    """A signed transaction is, byte for byte, the one that eth-account makes."""
    ours = transaction(**members)
    theirs = Account.sign_transaction(
        {
            "type": 2,
            "chainId": ours.chain_id,
            "nonce": ours.nonce,
            "gas": ours.gas,
            "maxFeePerGas": ours.max_fee_per_gas,
            "maxPriorityFeePerGas": ours.max_priority_fee_per_gas,
            "value": ours.value,
            "data": ours.data,
            **({} if ours.to is None else {"to": ours.to}),
        },
        KEY.secret,
    )
    raw = ours.signed(sign_digest(KEY.secret, ours.digest()))
    assert raw == bytes(theirs.raw_transaction)
    assert keccak256(raw) == bytes(theirs.hash)
    assert transaction_of(raw) == ours


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"chain_id": 0}, "every chain"),
        ({"chain_id": True}, "chain_id"),
        ({"nonce": -1}, "nonce"),
        ({"value": 1 << 256}, "value"),
        ({"gas": "21000"}, "gas"),
        ({"max_priority_fee_per_gas": 2_000_000_001}, "above max_fee"),
        ({"to": "0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed"}, "typing error"),
        ({"data": b"x" * (EVM_STATEMENT_BYTES_MAX + 1)}, "over the limit"),
        ({"data": "0x"}, "no bytes"),
    ],
)
def test_transactions_that_are_none(members: dict[str, Any], words: str) -> None:
    """Numbers out of range, mistyped addresses and a chain id that binds nothing are refused."""
    with pytest.raises(StatementError, match=words):
        transaction(**members)


def test_large_messages() -> None:
    """A message over the limit is refused."""
    with pytest.raises(StatementError, match="over the limit"):
        Eip191(message=b"x" * (EVM_STATEMENT_BYTES_MAX + 1))


def test_a_digest_is_no_statement() -> None:
    """Neither 32 bytes nor an object that claims to have a digest are signed."""

    class Trojan(Transaction, frozen=True):
        def digest(self) -> bytes:
            return b"\1" * 32

    class Lookalike:
        def digest(self) -> bytes:
            return b"\1" * 32

    assert digest_of(transaction()) == transaction().digest()
    disguised = Trojan(**{name: getattr(transaction(), name) for name in Trojan.__struct_fields__})
    for wrong in (b"\1" * 32, Lookalike(), disguised, None):
        with pytest.raises(TypeError, match="and no digest"):
            digest_of(wrong)  # type: ignore[arg-type]  # the test's point


def test_kinds_do_not_meet() -> None:
    """The same bytes as manifest and as message have different digests."""
    assert ManifestStatement(manifest=MANIFEST).digest() != Eip191(message=MANIFEST).digest()
