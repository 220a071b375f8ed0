# SPDX-License-Identifier: Apache-2.0
"""What every EVM signer is given to sign, and what must come back."""

from __future__ import annotations

from typing import Final

from eth_account import Account
from eth_account.messages import encode_defunct, encode_typed_data

from tallystick.crypto.secp256k1 import S_MAX, recovered_address
from tallystick.model.evm_statement import (
    Eip191,
    Eip712,
    EvmStatement,
    ManifestStatement,
    Transaction,
    digest_of,
)
from tallystick.ports import EvmSigner

TO: Final = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
MANIFEST: Final = ManifestStatement(manifest=b'{"manifestVersion":"1.0.0"}')
MESSAGE: Final = Eip191(message=b"a message")
TYPED: Final = Eip712(
    domain={"name": "t", "chainId": 5},
    types={"Note": (("text", "string"),)},
    primary_type="Note",
    message={"text": "é"},
)
TRANSFER: Final = Transaction(
    chain_id=5,
    nonce=1,
    gas=21_000,
    max_fee_per_gas=2_000_000_000,
    max_priority_fee_per_gas=1_000_000_000,
    to=TO,
    value=1,
)
STATEMENTS: Final[tuple[EvmStatement, ...]] = (MANIFEST, MESSAGE, TYPED, TRANSFER)


def signs_everything(signer: EvmSigner, address: str) -> None:
    """Each kind of statement, often enough that every recovery bit and both halves of s occur;
    eth-account recovers the address from what it knows how to read."""
    assert signer.get_address() == address
    parities = set()
    for number in range(12):
        for statement in (*STATEMENTS, Eip191(message=b"%d" % number)):
            signature = signer.sign(statement)
            assert signature.s <= S_MAX
            assert recovered_address(digest_of(statement), signature) == address
            parities.add(signature.y_parity)
    assert parities == {0, 1}
    message = signer.sign(MESSAGE).to_bytes()
    assert Account.recover_message(encode_defunct(MESSAGE.message), signature=message) == address
    typed = encode_typed_data(
        dict(TYPED.domain), {"Note": [{"name": "text", "type": "string"}]}, dict(TYPED.message)
    )
    assert Account.recover_message(typed, signature=signer.sign(TYPED).to_bytes()) == address
    raw = TRANSFER.signed(signer.sign(TRANSFER))
    assert Account.recover_transaction(raw) == address
