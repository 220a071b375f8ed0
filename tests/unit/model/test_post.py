# SPDX-License-Identifier: Apache-2.0
"""The hashes and digests of posts are those of the source and of EIP-712, by other libraries."""

from __future__ import annotations

from typing import Any

import pytest
from eth_abi.abi import encode
from eth_account.messages import encode_typed_data
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st
from tests.evidence_making import bundle_of_folder, evidence_of, make_run, make_tree

from tallystick.crypto.secp256k1 import checksum_address
from tallystick.errors import StatementError
from tallystick.model.artifact import outcome_hash
from tallystick.model.bundle import BundleReader
from tallystick.model.bundle_head import read_head
from tallystick.model.post import (
    Commitment,
    TypedTerms,
    commitment_of,
    message_statement,
    register_statement,
    typed_statement,
)

TYPES = ["bytes32"] * 5 + ["uint64"] * 2 + ["bytes32"]
WORD = st.binary(min_size=32, max_size=32)
TIME = st.integers(min_value=0, max_value=(1 << 64) - 1)
ADDRESS = st.binary(min_size=20, max_size=20).map(checksum_address)
CONTRACT = "0xD66A1e880AA3939CA066a9EA1dD37ad3d01D977c"

# Made with eth-abi and eth-utils.
VECTOR_ID = "62c9f6aef521ac386fc40713abe0ac5ecf9393ce54cbe0d81b4949917d4236cd"
VECTOR_DIGEST = "4f7c5453e6ce87f6ea5b99e41eaca8d308a5705fd40e325c788eeb85a609c952"


@st.composite
def commitments(draw: st.DrawFn) -> Commitment:
    """Any eight words."""
    names = ("intent_hash", "constraints_hash", "route_hash", "outcome_hash", "evidence_hash")
    return Commitment(
        **{name: draw(WORD) for name in (*names, "solver_id")},
        created_at=draw(TIME),
        expiry=draw(TIME),
    )


@given(commitments(), st.integers(min_value=1, max_value=1 << 40), ADDRESS, TIME)
def test_the_words_of_the_source(
    commitment: Commitment, chain_id: int, contract: str, nonce: int
) -> None:
    """Identifier: keccak of eight ABI words. Message: keccak of eleven, under EIP-191."""
    eight = commitment.eight()
    assert commitment.receipt_id() == keccak(encode(TYPES, eight))
    eleven = encode(["uint256", "address", "uint256", *TYPES], (chain_id, contract, nonce, *eight))
    digest = keccak(b"\x19Ethereum Signed Message:\n32" + keccak(eleven))
    signed = message_statement(commitment, chain_id=chain_id, contract=contract, nonce=nonce)
    assert signed.digest() == digest


def test_a_fixed_vector() -> None:
    """One post, spelled out: whoever writes another client compares with this."""
    commitment = Commitment(
        **{
            name: bytes([number]) * 32
            for number, name in enumerate(
                (
                    "intent_hash",
                    "constraints_hash",
                    "route_hash",
                    "outcome_hash",
                    "evidence_hash",
                    "solver_id",
                ),
                start=1,
            )
        },
        created_at=1_769_299_200,
        expiry=1_769_302_800,
    )
    assert commitment.receipt_id().hex() == VECTOR_ID
    signed = message_statement(commitment, chain_id=11155111, contract=CONTRACT, nonce=0)
    assert signed.digest().hex() == VECTOR_DIGEST


@given(commitments(), ADDRESS, st.integers(min_value=0, max_value=(1 << 96) - 1), WORD)
def test_typed_posts(
    commitment: Commitment, requester: str, volume: int, location_hash: bytes
) -> None:
    """A typed post's identifier is the digest that wallets sign."""
    terms = TypedTerms(requester=requester, declared_volume=volume, location_hash=location_hash)
    ours = typed_statement(commitment, terms, chain_id=5, contract=CONTRACT)
    theirs = encode_typed_data(
        {
            "name": "Tallystick IntentReceiptHub",
            "version": "1",
            "chainId": 5,
            "verifyingContract": CONTRACT,
        },
        {key: [{"name": a, "type": b} for a, b in value] for key, value in ours.types.items()},
        dict(ours.message),
    )
    assert ours.digest() == keccak(b"\x19" + theirs.version + theirs.header + theirs.body)


def test_consent_is_bound_to_chain_and_contract() -> None:
    """What an operator signs to be registered counts on one chain and for one registry."""
    digests = {
        register_statement(CONTRACT, b"\1" * 32, chain_id=chain, contract=contract).digest()
        for chain in (1, 5)
        for contract in (CONTRACT, "0x" + "11" * 20)
    }
    assert len(digests) == 4


@pytest.mark.parametrize(
    "changes",
    [
        {"intent_hash": b"\1" * 31},
        {"solver_id": "0x"},
        {"created_at": -1},
        {"expiry": 1 << 64},
        {"created_at": True},
    ],
)
def test_words_that_do_not_fit(changes: dict[str, Any]) -> None:
    """Hashes of other lengths and times out of range are refused."""
    names = ("intent_hash", "constraints_hash", "route_hash", "outcome_hash", "evidence_hash")
    members: dict[str, Any] = dict.fromkeys((*names, "solver_id"), b"\1" * 32)
    with pytest.raises(StatementError):
        Commitment(**members | {"created_at": 1, "expiry": 0} | changes)


def test_a_run_is_committed_by_its_manifest(tmp_path: Any) -> None:
    """Each word is what the manifest says; a folder, or a run without receipts, is never posted."""
    chain = {"chainId": "c", "length": 3, "headHash": "sha256:" + "ab" * 32}
    made = evidence_of(make_run(tmp_path / "run"), chain=chain)
    digest = bytes.fromhex(made.manifest_sha256)
    commitment = commitment_of(made.manifest, digest, solver_id=b"\5" * 32, created_at=7)
    assert made.manifest.intent_hash == f"sha256:{commitment.intent_hash.hex()}"
    assert made.manifest.policy_hash == f"sha256:{commitment.constraints_hash.hex()}"
    assert commitment.route_hash == b"\xab" * 32
    assert commitment.evidence_hash == digest
    root = bytes.fromhex(made.manifest.artifacts_root.removeprefix("sha256:"))
    assert commitment.outcome_hash == outcome_hash(made.manifest.artifact_count, root)
    bundle_of_folder(make_tree(tmp_path / "folder", {"a": b"1"}), tmp_path / "folder.tally")
    with (tmp_path / "folder.tally").open("rb") as stream:
        of_folder = read_head(BundleReader(stream.read)).manifest
    with pytest.raises(StatementError, match="can't be posted: it is not of a run"):
        commitment_of(of_folder, digest, solver_id=b"\5" * 32, created_at=7)
    bare = evidence_of(make_run(tmp_path / "bare"), chain=None)
    with pytest.raises(StatementError, match="can't be posted"):
        commitment_of(bare.manifest, digest, solver_id=b"\5" * 32, created_at=7)
