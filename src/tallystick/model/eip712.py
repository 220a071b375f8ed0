# SPDX-License-Identifier: Apache-2.0
"""Typed data of EIP-712: what it hashes to. Members that the types do not declare are refused."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from tallystick.crypto.keccak import keccak256
from tallystick.crypto.secp256k1 import read_address
from tallystick.errors import KeyFormatError, StatementError
from tallystick.limits import TYPED_DATA_DEPTH_MAX, TYPED_DATA_STRUCTS_MAX

# Struct name → ((member, type), …), in the order in which they are hashed.
Types: TypeAlias = Mapping[str, Sequence[tuple[str, str]]]

# The members that a domain may have, in their order.
DOMAIN: Final = (
    ("name", "string"),
    ("version", "string"),
    ("chainId", "uint256"),
    ("verifyingContract", "address"),
    ("salt", "bytes32"),
)
_NAME: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_ARRAY: Final = re.compile(r"(.+)\[([0-9]{0,4})\]")
_ATOM: Final = re.compile(r"(bool|address|string|bytes)|(u?int)([0-9]{1,3})|bytes([0-9]{1,2})")


def domain_separator(domain: Mapping[str, Any]) -> bytes:
    """Return the hash of a domain, whose type is the members that it has."""
    members = tuple((name, kind) for name, kind in DOMAIN if name in domain)
    if not members:
        raise StatementError("the domain is empty: the signature would count everywhere")
    return hash_struct({"EIP712Domain": members}, "EIP712Domain", domain)


def hash_struct(types: Types, name: str, value: Mapping[str, Any]) -> bytes:
    """Return `hashStruct` of a value of the struct `name`."""
    if len(types) > TYPED_DATA_STRUCTS_MAX:
        raise StatementError(f"{len(types)} structs, over the limit of {TYPED_DATA_STRUCTS_MAX}")
    return _struct(types, name, value, name, TYPED_DATA_DEPTH_MAX)


def type_hash(types: Types, name: str) -> bytes:
    """Return the hash of `encodeType`."""
    return keccak256(encode_type(types, name).encode("utf-8"))


def encode_type(types: Types, name: str) -> str:
    """Return a struct's text, followed by those of the structs that it uses, sorted."""
    used: set[str] = set()
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current in used:
            continue
        used.add(current)
        waiting += [stem for _, kind in _members(types, current) if (stem := _stem(kind)) in types]
    return "".join(
        f"{one}({','.join(f'{kind} {member}' for member, kind in types[one])})"
        for one in [name, *sorted(used - {name})]
    )


def _members(types: Types, name: str) -> Sequence[tuple[str, str]]:
    members = types.get(name)
    if members is None or not _NAME.fullmatch(name) or _ATOM.fullmatch(name):
        raise StatementError(f"{name[:64]!r} is no struct of these types")
    names = [member for member, _ in members]
    if len(set(names)) != len(names) or not all(map(_NAME.fullmatch, names)):
        raise StatementError(f"the struct {name} has members with bad or equal names")
    return members


def _stem(kind: str) -> str:
    while (found := _ARRAY.fullmatch(kind)) is not None:
        kind = found[1]
    return kind


def _struct(types: Types, name: str, value: object, where: str, depth: int) -> bytes:
    members = _members(types, name)
    if not isinstance(value, Mapping) or set(value) != {member for member, _ in members}:
        raise StatementError(f"{where} has other members than its type")
    encoded = [
        _encode(types, kind, value[member], f"{where}.{member}", depth - 1)
        for member, kind in members
    ]
    return keccak256(b"".join([type_hash(types, name), *encoded]))


def _encode(types: Types, kind: str, value: Any, where: str, depth: int) -> bytes:
    if depth < 0:
        raise StatementError(f"nested deeper than {TYPED_DATA_DEPTH_MAX} levels")
    array = _ARRAY.fullmatch(kind)
    if array is not None:
        if not isinstance(value, list | tuple) or (array[2] and len(value) != int(array[2])):
            raise StatementError(f"{where} is no {kind}")
        items = [
            _encode(types, array[1], item, f"{where}[{at}]", depth - 1)
            for at, item in enumerate(value)
        ]
        return keccak256(b"".join(items))
    if kind in types:
        return _struct(types, kind, value, where, depth)
    encoded = _atom(kind, value)
    if encoded is None:
        raise StatementError(f"{where} is no {kind[:64]}")
    return encoded


def _atom(kind: str, value: Any) -> bytes | None:
    found = _ATOM.fullmatch(kind)
    if found is None:
        return None
    if found[2]:
        return _number(found[2], int(found[3]), value)
    if found[4]:
        size = int(found[4])
        is_it = isinstance(value, bytes) and 1 <= size <= 32 and len(value) == size
        return value.ljust(32, b"\0") if is_it else None
    if kind == "bool":
        return int(value).to_bytes(32, "big") if isinstance(value, bool) else None
    if kind == "address":
        return _address(value)
    if kind == "string":
        try:
            return keccak256(value.encode("utf-8")) if isinstance(value, str) else None
        except UnicodeEncodeError:
            return None  # half of a surrogate pair
    return keccak256(value) if isinstance(value, bytes) else None


def _number(sign: str, bits: int, value: Any) -> bytes | None:
    if bits not in range(8, 257, 8) or not isinstance(value, int) or isinstance(value, bool):
        return None
    low, high = (0, 1 << bits) if sign == "uint" else (-(1 << (bits - 1)), 1 << (bits - 1))
    return value.to_bytes(32, "big", signed=value < 0) if low <= value < high else None


def _address(value: Any) -> bytes | None:
    if not isinstance(value, str):
        return None
    try:
        return read_address(value).rjust(32, b"\0")
    except KeyFormatError:
        return None
