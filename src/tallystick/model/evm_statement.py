# SPDX-License-Identifier: Apache-2.0
"""What a secp256k1 key signs: a manifest, a message, typed data, or a transaction. Nothing else.

The digest is computed here, from the whole statement. A digest that somebody gives is never
signed: behind its 32 bytes there may be anything, a transaction that empties an account included.
The four kinds can't be taken for each other: a manifest is hashed with SHA-256 and must be one,
the others with Keccak-256 behind prefixes of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final, TypeAlias

import msgspec

from tallystick.crypto.canonical import canonicalize
from tallystick.crypto.keccak import keccak256
from tallystick.crypto.rlp import rlp_encode, rlp_texts
from tallystick.crypto.secp256k1 import EvmSignature, checksum_address, read_address
from tallystick.crypto.strict import parse_json
from tallystick.errors import RefusedInput, StatementError
from tallystick.limits import EVM_STATEMENT_BYTES_MAX, MANIFEST_BYTES_MAX
from tallystick.model.eip712 import Types, domain_separator, hash_struct

_EIP191: Final = b"\x19Ethereum Signed Message:\n"
_TYPE_2: Final = b"\x02"  # EIP-1559
_WORD: Final = 1 << 256


class ManifestStatement(msgspec.Struct, frozen=True, kw_only=True):
    """The canonical bytes of a manifest, without a newline; signed is their SHA-256."""

    manifest: bytes

    def __post_init__(self) -> None:
        """Refuse all that is no manifest: other protocols sign SHA-256 digests, too."""
        try:
            found = parse_json(self.manifest, MANIFEST_BYTES_MAX)
            is_canonical = canonicalize(found) == self.manifest
        except RefusedInput as fault:
            raise StatementError(f"no manifest: {fault}") from None
        if not isinstance(found, dict) or not isinstance(found.get("manifestVersion"), str):
            raise StatementError("no manifest: it has no manifestVersion")
        if not is_canonical:
            raise StatementError("a manifest that is not in its canonical form")

    def digest(self) -> bytes:
        """Return the 32 bytes that are signed."""
        return sha256(self.manifest).digest()


class Eip191(msgspec.Struct, frozen=True, kw_only=True):
    """A message as wallets sign it (`personal_sign`): never a transaction, by its prefix."""

    message: bytes

    def __post_init__(self) -> None:
        """Refuse what is too large."""
        _bounded(self.message)

    def digest(self) -> bytes:
        """Return the 32 bytes that are signed."""
        return keccak256(_EIP191 + str(len(self.message)).encode("ascii") + self.message)


class Eip712(msgspec.Struct, frozen=True, kw_only=True):
    """Typed data: a domain, the structs, and a value of one of them."""

    domain: Mapping[str, Any]
    types: Types
    primary_type: str
    message: Mapping[str, Any]

    def digest(self) -> bytes:
        """Return the 32 bytes that are signed."""
        struct = hash_struct(self.types, self.primary_type, self.message)
        return keccak256(b"\x19\x01" + domain_separator(self.domain) + struct)


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction of EIP-1559. Amounts are in wei; `to` is None where a contract is made."""

    chain_id: int
    nonce: int
    gas: int
    max_fee_per_gas: int
    max_priority_fee_per_gas: int
    to: str | None
    value: int = 0
    data: bytes = b""

    def __post_init__(self) -> None:
        """Refuse what no node would take, and above all a chain id that binds to nothing."""
        _bounded(self.data)
        numbers = {name: getattr(self, name) for name in _NUMBERS}
        for name, number in numbers.items():
            if type(number) is not int or not 0 <= number < _WORD:
                raise StatementError(f"{name} is no number of 256 bits")
        if self.chain_id == 0:
            raise StatementError("chain_id is 0: the transaction would count on every chain")
        if self.max_priority_fee_per_gas > self.max_fee_per_gas:
            raise StatementError("max_priority_fee_per_gas is above max_fee_per_gas")
        if self.to is not None:
            try:
                read_address(self.to)
            except RefusedInput as fault:
                raise StatementError(f"to: {fault}") from None

    def digest(self) -> bytes:
        """Return the 32 bytes that are signed."""
        return keccak256(_TYPE_2 + rlp_encode(self._members()))

    def signed(self, signature: EvmSignature) -> bytes:
        """Return the transaction with its signature, as `eth_sendRawTransaction` takes it."""
        members = [*self._members(), signature.y_parity, signature.r, signature.s]
        return _TYPE_2 + rlp_encode(members)

    def _members(self) -> list[Any]:
        to = b"" if self.to is None else read_address(self.to)
        return [
            self.chain_id,
            self.nonce,
            self.max_priority_fee_per_gas,
            self.max_fee_per_gas,
            self.gas,
            to,
            self.value,
            self.data,
            [],  # no access list
        ]


def transaction_of(signed: bytes) -> Transaction:
    """Return the transaction of ours that a signature was put to."""
    chain, nonce, tip, fee, gas, to, value, data = rlp_texts(signed.removeprefix(_TYPE_2), 8)
    return Transaction(
        chain_id=int.from_bytes(chain, "big"),
        nonce=int.from_bytes(nonce, "big"),
        gas=int.from_bytes(gas, "big"),
        max_fee_per_gas=int.from_bytes(fee, "big"),
        max_priority_fee_per_gas=int.from_bytes(tip, "big"),
        to=checksum_address(to) if to else None,
        value=int.from_bytes(value, "big"),
        data=data,
    )


_NUMBERS: Final = (
    "chain_id",
    "nonce",
    "gas",
    "max_fee_per_gas",
    "max_priority_fee_per_gas",
    "value",
)

EvmStatement: TypeAlias = ManifestStatement | Eip191 | Eip712 | Transaction


def digest_of(statement: EvmStatement) -> bytes:
    """Return the digest of a statement; whatever else has a `digest` is refused."""
    if type(statement) not in (ManifestStatement, Eip191, Eip712, Transaction):
        raise TypeError(
            "an EVM key signs a ManifestStatement, Eip191, Eip712 or Transaction, and no digest"
        )
    return statement.digest()


def _bounded(data: bytes) -> None:
    if not isinstance(data, bytes):
        raise StatementError("no bytes")
    if len(data) > EVM_STATEMENT_BYTES_MAX:
        raise StatementError(f"{len(data)} bytes, over the limit of {EVM_STATEMENT_BYTES_MAX}")
