# SPDX-License-Identifier: Apache-2.0
"""Typed data hashes as EIP-712 says, and as eth-account says."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from tallystick.crypto.keccak import keccak256
from tallystick.crypto.secp256k1 import checksum_address
from tallystick.errors import StatementError
from tallystick.limits import TYPED_DATA_DEPTH_MAX, TYPED_DATA_STRUCTS_MAX
from tallystick.model.eip712 import domain_separator, encode_type, hash_struct, type_hash

MAIL: Any = {
    "Mail": (("from", "Person"), ("to", "Person"), ("contents", "string")),
    "Person": (("name", "string"), ("wallet", "address")),
}
DOMAIN = {
    "name": "Ether Mail",
    "version": "1",
    "chainId": 1,
    "verifyingContract": "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC",
}
MESSAGE = {
    "from": {"name": "Cow", "wallet": "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"},
    "to": {"name": "Bob", "wallet": "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"},
    "contents": "Hello, Bob!",
}


def test_the_example_of_the_standard() -> None:
    """Type hash, struct hash, domain and digest are those that EIP-712 prints."""
    assert encode_type(MAIL, "Mail") == (
        "Mail(Person from,Person to,string contents)Person(string name,address wallet)"
    )
    assert type_hash(MAIL, "Mail").hex() == (
        "a0cedeb2dc280ba39b857546d74f5549c3a1d7bdc2dd96bf881f76108e23dac2"
    )
    assert hash_struct(MAIL, "Mail", MESSAGE).hex() == (
        "c52c0ee5d84264471806290a3f2c4cecfc5490626bf912d01f240d7a274b371e"
    )
    assert domain_separator(DOMAIN).hex() == (
        "f2cee375fa42b42143804025fc449deafd50cc031ca257e0b194a650a912090f"
    )


ADDRESSES = st.binary(min_size=20, max_size=20).map(checksum_address)
TYPES: Any = {
    "Outer": (
        ("flag", "bool"),
        ("small", "int16"),
        ("large", "uint256"),
        ("word", "bytes32"),
        ("short", "bytes4"),
        ("blob", "bytes"),
        ("text", "string"),
        ("who", "address"),
        ("inners", "Inner[]"),
        ("grid", "uint8[2][]"),
    ),
    "Inner": (("text", "string"), ("deep", "Leaf[2]")),
    "Leaf": (("n", "int256"),),
}
LEAVES = st.fixed_dictionaries({"n": st.integers(min_value=-(1 << 255), max_value=(1 << 255) - 1)})
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
OUTERS = st.fixed_dictionaries(
    {
        "flag": st.booleans(),
        "small": st.integers(min_value=-(1 << 15), max_value=(1 << 15) - 1),
        "large": st.integers(min_value=0, max_value=(1 << 256) - 1),
        "word": st.binary(min_size=32, max_size=32),
        "short": st.binary(min_size=4, max_size=4),
        "blob": st.binary(max_size=70),
        "text": TEXTS,
        "who": ADDRESSES,
        "inners": st.lists(
            st.fixed_dictionaries(
                {"text": TEXTS, "deep": st.lists(LEAVES, min_size=2, max_size=2)}
            ),
            max_size=3,
        ),
        "grid": st.lists(
            st.lists(st.integers(min_value=0, max_value=255), min_size=2, max_size=2), max_size=3
        ),
    }
)


@given(OUTERS, st.sets(st.sampled_from(["name", "version", "chainId", "salt"]), min_size=1))
def test_another_library_agrees(message: dict[str, Any], members: set[str]) -> None:
    """Every kind of member, nested in structs and arrays, and every subset of a domain."""
    whole: dict[str, Any] = DOMAIN | {"salt": b"s" * 32}
    domain = {name: value for name, value in whole.items() if name in members}
    theirs = encode_typed_data(
        domain,
        {key: [{"name": a, "type": b} for a, b in value] for key, value in TYPES.items()},
        message,
    )
    assert domain_separator(domain) == theirs.header
    assert hash_struct(TYPES, "Outer", message) == theirs.body


GOOD: dict[str, Any] = {
    "flag": True,
    "small": 1,
    "large": 1,
    "word": b"w" * 32,
    "short": b"abcd",
    "blob": b"",
    "text": "",
    "who": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "inners": [],
    "grid": [],
}


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("flag", 1),
        ("small", 1 << 15),
        ("small", -(1 << 15) - 1),
        ("small", True),
        ("small", "1"),
        ("large", -1),
        ("large", 1 << 256),
        ("word", b"w" * 31),
        ("word", "0x" + "00" * 32),
        ("short", b"abcde"),
        ("blob", "text"),
        ("text", b"bytes"),
        ("text", "\ud800"),
        ("who", "0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed"),
        ("who", b"\1" * 20),
        ("inners", {}),
        ("inners", [{"text": "", "deep": [{"n": 1}]}]),
        ("inners", [{"text": "", "deep": [{"n": 1}, {"n": 1, "m": 2}]}]),
        ("inners", [{"text": ""}]),
        ("grid", [[1, 2, 3]]),
        ("grid", [[256, 0]]),
    ],
)
def test_values_of_other_types(member: str, value: object) -> None:
    """What is not of its type is refused, and the place is named."""
    assert len(hash_struct(TYPES, "Outer", GOOD)) == 32
    with pytest.raises(StatementError, match=rf"Outer\.{member}"):
        hash_struct(TYPES, "Outer", GOOD | {member: value})


def test_members_that_are_not_declared() -> None:
    """Nothing is left out of the hash in silence, and nothing is missing in it."""
    with pytest.raises(StatementError, match="other members"):
        hash_struct(TYPES, "Outer", GOOD | {"more": 1})
    with pytest.raises(StatementError, match="other members"):
        hash_struct(TYPES, "Outer", {name: GOOD[name] for name in GOOD if name != "flag"})
    with pytest.raises(StatementError, match="other members"):
        domain_separator(DOMAIN | {"chain": 1})
    with pytest.raises(StatementError, match="empty"):
        domain_separator({})


@pytest.mark.parametrize(
    "types",
    [
        {"A": (("x", "uint7"),)},
        {"A": (("x", "uint264"),)},
        {"A": (("x", "bytes33"),)},
        {"A": (("x", "B"),)},
        {"A": (("x", "uint8"), ("x", "uint8"))},
        {"A": (("x y", "uint8"),)},
        {"B": (("x", "uint8"),)},
    ],
)
def test_types_that_are_none(types: Any) -> None:
    """Unknown types, bad names and absent structs are refused."""
    with pytest.raises(StatementError):
        hash_struct(types, "A", {"x": 1, "x y": 1})


def test_bounds() -> None:
    """Values that nest for ever, and very many structs, are refused."""
    types: Any = {"A": (("next", "A[]"),)}
    value: dict[str, Any] = {"next": []}
    for _ in range(TYPED_DATA_DEPTH_MAX):
        value = {"next": [value]}
    with pytest.raises(StatementError, match="nested deeper"):
        hash_struct(types, "A", value)
    assert hash_struct(types, "A", {"next": [{"next": []}]}) != keccak256(b"")
    many: Any = {f"S{n}": (("x", "uint8"),) for n in range(TYPED_DATA_STRUCTS_MAX + 1)}
    with pytest.raises(StatementError, match="structs"):
        hash_struct(many, "S1", {"x": 1})
