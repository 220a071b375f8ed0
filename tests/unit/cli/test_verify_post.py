# SPDX-License-Identifier: Apache-2.0
"""`tally verify --post`: from a post to the receipts, in one report."""

from __future__ import annotations

import json
from pathlib import Path

from tests.chains import REQUESTER, embedded
from tests.command import tally
from tests.evidence_making import SOLVER
from tests.posts import committed, make_bundle

from tallystick.onchain.deployment import keep_deployment
from tallystick.onchain.solving import Offer


def test_a_post_and_its_bundle(tmp_path: Path) -> None:
    """The operator counts as a signer; without a bundle nothing is verified, and one is looked for
    where the post says, but not on this network; usage is checked.
    """
    path, made = make_bundle(tmp_path)
    with embedded(tmp_path / "chain") as chain:
        receipt_id = "0x" + chain.post(committed(chain, made)).hex()
        offer = Offer(requester=REQUESTER.address, location="https://127.0.0.1:1/run.tally")
        located = "0x" + chain.post(chain.commitment(), offer).hex()
        contracts = Path(keep_deployment(tmp_path, chain.deployment))
    Path("onchain").symlink_to(tmp_path / "chain")
    Path("key.pub").write_text(SOLVER.public_key)
    at = ("--post", receipt_id, "--rpc", "embedded", "--contracts", str(contracts))
    told = json.loads(tally("verify", str(path), *at, "--json").out)
    assert told["post"]["id"] == receipt_id
    assert told["manifest_sha256"] == made.manifest_sha256
    assert "post_pending" in {one["code"] for one in told["findings"]}
    assert not {one["code"] for one in told["findings"]} & {
        "POST_CONTRADICTED",
        "post_signer_other",
    }
    # Only the other of the solver's keys has signed this one, and nobody was named.
    half, _ = make_bundle(tmp_path, "unsigned", signs_evm=False)
    asked = tally("verify", str(half), *at)
    assert (asked.code, asked.out) == (2, "")
    assert "whose signatures count?" in asked.err
    assert "whose signatures" not in tally("verify", str(half), *at, "--key", "key.pub").err
    bare = tally("verify", *at)
    assert bare.code == 3
    assert "POST_WITHOUT_BUNDLE" in bare.out
    elsewhere = tally("verify", "--post", located, *at[2:])
    assert elsewhere.code == 2
    assert "location is on this network, and not asked" in elsewhere.err
    assert tally("verify", str(path), str(path), *at).code == 2
    assert tally("verify", str(path), "--rpc", "embedded", "--key", "key.pub").code == 2
