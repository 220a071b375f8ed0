# SPDX-License-Identifier: Apache-2.0
"""Contracts are put on chain once, and their addresses are kept with their checksums."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tests.chains import CHALLENGER, embedded

from tallystick.errors import PostingError
from tallystick.onchain.artifact import REGISTRY
from tallystick.onchain.contracts import Contracts
from tallystick.onchain.deployment import (
    Deployment,
    deploy,
    keep_deployment,
    own_deployment,
    read_deployment,
)


def test_once(tmp_path: Path) -> None:
    """Deploying again finds what is there; the file gives it back; the treasury is set."""
    with embedded(tmp_path) as chain:
        account = chain.account(CHALLENGER)
        told: list[str] = []
        before = chain.node.nonce(account.address)
        assert deploy(account, CHALLENGER.address, told.append) == chain.deployment
        assert chain.node.nonce(account.address) == before
        assert len(told) == 3
        assert read_deployment(keep_deployment(tmp_path, chain.deployment)) == chain.deployment
        treasury = chain.contracts.read(REGISTRY, "TREASURY")
        assert treasury.lower() == CHALLENGER.address.lower()
        nowhere = msgspec.structs.replace(chain.deployment, registry=CHALLENGER.address)
        with pytest.raises(PostingError, match="no contract at"):
            Contracts(chain.node, nowhere).clock()


def test_files_that_are_none(tmp_path: Path) -> None:
    """Absent, malformed, with a mistyped address or an unknown member."""
    path = tmp_path / "contracts.json"
    with pytest.raises(PostingError, match="does not exist"):
        read_deployment(path)
    good = {
        "chain_id": 1,
        "registry": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "receipts": "0x" + "11" * 20,
        "disputes": "0x" + "22" * 20,
        "first_block": 0,
    }
    path.write_bytes(msgspec.json.encode(good))
    assert read_deployment(path).address(REGISTRY) == good["registry"]
    for wrong in ({"registry": "0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed"}, {"more": 1}):
        path.write_bytes(msgspec.json.encode(good | wrong))
        with pytest.raises(PostingError):
            read_deployment(path)
    path.write_text("{")
    with pytest.raises(PostingError, match="holds no deployment"):
        read_deployment(path)


def test_addresses_are_checksummed() -> None:
    """However they were written."""
    made = Deployment(
        chain_id=1,
        registry="0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed",
        receipts="0x" + "11" * 20,
        disputes="0x" + "22" * 20,
        first_block=0,
    )
    assert made.registry == "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


def test_no_node_chooses_the_chain(tmp_path: Path) -> None:
    """Of several deployments in one home the one that is pinned is used, and else none."""
    home = tmp_path / "home"
    with embedded(tmp_path / "chain") as chain:
        at, node = chain.deployment, chain.node
        with pytest.raises(PostingError, match="does not exist"):
            own_deployment(home, node)
        keep_deployment(home, at)
        assert own_deployment(home, node) == at
        keep_deployment(home, msgspec.structs.replace(at, chain_id=1))
        with pytest.raises(PostingError, match=f"chains 1, {at.chain_id}: say which"):
            own_deployment(home, node)
        node.pinned = at.chain_id
        assert own_deployment(home, node) == at
