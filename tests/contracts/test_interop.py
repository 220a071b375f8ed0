# SPDX-License-Identifier: Apache-2.0
"""What stands on the chain is what the source's clients, and Ethereum's own tools, make of it."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode as abi_encode
from eth_account import Account
from eth_account.messages import _hash_eip191_message, encode_defunct, encode_typed_data
from eth_hash.auto import keccak
from tests.contracts.receipts import LOCATION, Members
from tests.contracts.revm import account, committed
from tests.contracts.world import CHAIN, World

HUB = "IntentReceiptHub"

# One receipt whose hashes were computed by hand, with eth_abi and eth_hash alone.
FIXED = Members(
    intent=b"\x11" * 32,
    constraints=b"\x22" * 32,
    route=b"\x33" * 32,
    outcome=b"\x44" * 32,
    evidence=b"\x55" * 32,
    created_at=1_700_000_000,
    expiry=1_700_003_600,
    solver=(1).to_bytes(32, "big"),
)


def selector(signature: str) -> bytes:
    """Return a function's selector."""
    return keccak(signature.encode())[:4]


def test_selectors_of_the_source() -> None:
    """The functions that the source's clients call have the selectors that they call."""
    eight = "bytes32,bytes32,bytes32,bytes32,bytes32,uint64,uint64,bytes32,bytes"
    functions = committed(HUB).functions
    assert functions["postReceipt"].selector.hex() == "0c1d4cc2"
    for signature in (
        f"postReceipt(({eight}),uint256)",
        f"batchPostReceipts(({eight})[],uint256[])",
        f"computeReceiptId(({eight}))",
        "finalize(bytes32)",
        "canFinalize(bytes32)",
        "solverNonces(bytes32)",
        "getChallengeWindow()",
        "challengerBondMin()",
    ):
        name = signature.partition("(")[0]
        assert functions[name].selector == selector(signature), name
    # The build at the source's Sepolia address has another postReceipt, which ours is not.
    assert selector(f"postReceipt(({eight}))").hex() == "9afe1fc5"
    assert "9afe1fc5" not in {one.selector.hex() for one in functions.values()}


def test_topics_of_the_source() -> None:
    """Indexers that wait for the source's events see ours."""
    topics = {name: topic.hex() for topic, (name, _) in committed(HUB).events.items()}
    assert topics["ReceiptPosted"].startswith("de3c955f4b")
    assert topics["DisputeOpened"].startswith("bad4bf9394")
    assert topics["ReceiptFinalized"].startswith("fe25e2df8d")
    indexed = {
        name: [one["name"] for one in inputs if one["indexed"]]
        for name, inputs in committed(HUB).events.values()
    }
    assert indexed["ReceiptPosted"] == ["receiptId", "intentHash", "solverId"]


@pytest.mark.parametrize(
    "name",
    [
        "ChallengeWindowActive",
        "ChallengeWindowExpired",
        "DisputeAlreadyResolved",
        "DisputeNotFound",
        "InsufficientBondForVolume",
        "InsufficientChallengerBond",
        "InvalidDisputeReason",
        "InvalidReceiptSignature",
        "InvalidSolver",
        "ReceiptAlreadyExists",
        "ReceiptExpired",
        "ReceiptNotFound",
        "ReceiptNotPending",
    ],
)
def test_errors_of_the_source(name: str) -> None:
    """An error that the source has is the same four bytes here, and named in the ABI."""
    assert committed(HUB).errors[selector(f"{name}()")] == name


def test_an_identifier_is_eight_words(world: World) -> None:
    """keccak(abi.encode(eight members)), as `computeReceiptId` gives it, and as posted."""
    assert FIXED.legacy_id().hex() == (
        keccak(
            b"".join(bytes([n * 17]) * 32 for n in range(1, 6))
            + (1_700_000_000).to_bytes(32, "big")
            + (1_700_003_600).to_bytes(32, "big")
            + (1).to_bytes(32, "big")
        ).hex()
    )
    for members in (FIXED, world.members()):
        given = (*members.eight, b"\0" * 65)
        assert world.hub.view("computeReceiptId", given) == members.legacy_id()


def test_a_message_is_eleven_words_under_eip_191(world: World) -> None:
    """Chain, hub, nonce and the eight members; wallets sign it as a personal message."""
    for nonce in (0, 1, 2**64):
        words = abi_encode(
            ["uint256", "address", "uint256", *["bytes32"] * 5, "uint64", "uint64", "bytes32"],
            (CHAIN, world.hub.address, nonce, *FIXED.eight),
        )
        assert len(words) == 11 * 32
        digest = bytes(_hash_eip191_message(encode_defunct(keccak(words))))
        assert world.hub.view("getMessageHash", (*FIXED.eight, b""), nonce) == digest
        assert FIXED.legacy_digest(CHAIN, world.hub.address, nonce) == digest


def test_a_wallet_s_personal_signature_posts(world: World) -> None:
    """What eth-account signs is accepted as it stands."""
    wallet = Account.from_key(account("wallet").key.secret)
    world.machine.fund(wallet.address.lower())
    solver = world.register(account("wallet"), 10**18)
    members = world.members(solver=solver)
    words = abi_encode(
        ["uint256", "address", "uint256", *["bytes32"] * 5, "uint64", "uint64", "bytes32"],
        (CHAIN, world.hub.address, 0, *members.eight),
    )
    signed = wallet.sign_message(encode_defunct(keccak(words)))
    posted = world.hub.send(
        wallet.address.lower(), "postReceipt", (*members.eight, bytes(signed.signature)), 0
    )
    assert posted == members.legacy_id()


def test_the_typed_form_is_what_wallets_sign(world: World) -> None:
    """EIP-712 as eth-account computes it: the identifier is the digest, the signature posts."""
    members = world.members(requester=world.requester.address, volume=10**18, location=LOCATION)
    names = {
        "intentHash": "bytes32",
        "constraintsHash": "bytes32",
        "routeHash": "bytes32",
        "outcomeHash": "bytes32",
        "evidenceHash": "bytes32",
        "createdAt": "uint64",
        "expiry": "uint64",
        "solverId": "bytes32",
        "requester": "address",
        "declaredVolume": "uint256",
        "locationHash": "bytes32",
    }
    message = encode_typed_data(
        {
            "name": "Tallystick IntentReceiptHub",
            "version": "1",
            "chainId": CHAIN,
            "verifyingContract": world.hub.address,
        },
        {"TypedReceipt": [{"name": name, "type": kind} for name, kind in names.items()]},
        dict(zip(names, members.claim, strict=True)),
    )
    digest = bytes(_hash_eip191_message(message))
    assert digest == members.typed_id(CHAIN, world.hub.address)
    assert digest == world.hub.view("computeTypedReceiptId", members.claim)
    assert world.hub.view("DOMAIN_SEPARATOR") == message.header
    signed = Account.from_key(world.operator.key.secret).sign_message(message)
    posted = world.hub.send(
        world.stranger.address,
        "postReceiptTyped",
        members.claim,
        LOCATION,
        bytes(signed.signature),
    )
    assert posted == digest


def test_numbers_of_the_source(world: World) -> None:
    """The window and the least challenger's bond are the source's."""
    assert world.hub.view("getChallengeWindow") == 3600
    assert world.hub.view("challengerBondMin") == 10**16
    assert world.registry.view("requiredBondForVolume", 0) == 10**17
    assert world.registry.view("requiredBondForVolume", 100 * 10**18) == 5 * 10**18


def test_every_refusal_is_named() -> None:
    """Each error that a source raises is in each ABI, so that any client can name it."""
    from tools.contracts import NAMES, errors_of

    raised = {error for name in NAMES for error in errors_of(name)}
    assert len(raised) > 50
    for name in NAMES:
        assert set(committed(name).errors.values()) == raised
