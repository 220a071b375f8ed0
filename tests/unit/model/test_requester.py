# SPDX-License-Identifier: Apache-2.0
"""Signatures of requesters: Ed25519 and EIP-712, checked against the key that a name stands for."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak
from tests import material
from tests.solving import ALICE, asked, intent, policy, signed

from tallystick.crypto.multibase import did_key_encode
from tallystick.model.intent import Intent, intent_of, with_signature
from tallystick.model.requester import (
    key_of_requester,
    signature_reason,
    typed_intent,
    typed_statement,
)

_ACCOUNT: Any = Account.from_key(b"\x07" * 32)
_OTHER: Any = Account.from_key(b"\x08" * 32)
_FULL = {
    "types": {
        "EIP712Domain": [
            {"name": "name", "type": "string"},
            {"name": "version", "type": "string"},
        ],
        "Intent": [
            {"name": name, "type": kind}
            for name, kind in (
                ("intentVersion", "string"),
                ("requester", "string"),
                ("jobType", "string"),
                ("createdAt", "string"),
                ("expiresAt", "string"),
                ("intentHash", "bytes32"),
            )
        ],
    },
    "primaryType": "Intent",
    "domain": {"name": "Tallystick Intent", "version": "1"},
}


def _by_account(account: Any, **changes: Any) -> Intent:
    value = asked(requester=_ACCOUNT.address, **changes)
    message = typed_intent(intent_of(value))
    done = account.sign_message(encode_typed_data(full_message={**_FULL, "message": message}))
    return intent_of(with_signature(value, "eip712", "0x" + bytes(done.signature).hex()))


def test_an_ed25519_signature_is_the_requesters() -> None:
    """A signature over the intent by the key of its name is right, and over another one wrong."""
    assert signature_reason(intent_of(signed()), ALICE) is None
    value = signed()
    value["inputs"] = {"subject": "other", "data": {}}
    assert signature_reason(intent_of(value), ALICE) == "is not by the requester's key"
    other = did_key_encode(material.OTHER_PUBLIC)
    assert signature_reason(intent_of(signed()), other) == "is not by the requester's key"


def test_a_wallet_signs_what_we_check() -> None:
    """What eth-account signs as typed data is right here, for the same account only."""
    found = _by_account(_ACCOUNT)
    assert signature_reason(found, _ACCOUNT.address) is None
    assert signature_reason(found, _ACCOUNT.address.lower()) is None
    assert signature_reason(_by_account(_OTHER), _ACCOUNT.address) == (
        "is not by the requester's account"
    )


def test_our_digest_is_the_wallets() -> None:
    """The digest equals the one that eth-account computes, with and without an expiry."""
    for changes in ({}, {"expiresAt": None}):
        found = intent(requester=_ACCOUNT.address, **changes)
        full = {**_FULL, "message": typed_intent(found)}
        signable = encode_typed_data(full_message=full)
        theirs = keccak(b"\x19" + signable.version + signable.header + signable.body)
        assert typed_statement(found).digest() == theirs


@pytest.mark.parametrize(
    ("signature", "key", "told"),
    [
        (None, ALICE, "is missing"),
        (("eip712", "0x" + "1" * 130), ALICE, "is of scheme eip712"),
        (("ed25519", "AAAA"), _ACCOUNT.address, "is of scheme ed25519"),
        (("ed25519", "not base64!"), ALICE, "is not base64url"),
        (("ed25519", "AAAA"), ALICE, "is not by the requester's key"),
        (("eip712", "0x1234"), _ACCOUNT.address, "is not 0x and 130"),
        (("eip712", "0x" + "f" * 130), _ACCOUNT.address, "can't be read"),
        (("eip712", "0x" + "1" * 128 + "1b"), _ACCOUNT.address, "is not by the requester's"),
    ],
)
def test_other_signatures_are_refused(
    signature: tuple[str, str] | None, key: str, told: str
) -> None:
    """The reason says what is wrong, and nothing raises."""
    value = asked() if signature is None else with_signature(asked(), *signature)
    found = signature_reason(intent_of(value), key)
    assert found is not None
    assert found.startswith(told)


def test_a_high_s_twin_is_refused() -> None:
    """The twin of a signature with high s would be a second one of the same intent."""
    found = _by_account(_ACCOUNT)
    assert found.signature is not None
    raw = bytes.fromhex(found.signature.value[2:])
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    high = order - int.from_bytes(raw[32:64], "big")
    twin = raw[:32] + high.to_bytes(32, "big") + bytes((55 - raw[64],))
    value = with_signature(asked(requester=_ACCOUNT.address), "eip712", "0x" + twin.hex())
    told = signature_reason(intent_of(value), _ACCOUNT.address)
    assert told is not None
    assert "EIP-2" in told


def test_a_weak_key_signs_nothing() -> None:
    """A key of small order, for which anything is a signature, is refused."""
    weak = did_key_encode(b"\x01" + bytes(31))
    assert "weak" in (signature_reason(intent_of(signed()), weak) or "")


def test_a_name_is_a_key_or_stands_in_the_policy() -> None:
    """A did:key names itself; another name needs the policy's table, which also wins."""
    assert key_of_requester(intent(), policy()) == ALICE
    assert key_of_requester(intent(requester="alice"), policy()) is None
    listed = policy(requesterKeys={"alice": ALICE})
    assert key_of_requester(intent(requester="alice"), listed) == ALICE
