# SPDX-License-Identifier: Apache-2.0
"""An intent from gate to final post, and a solver that cheats: on a chain inside this process.

    python examples/on_chain.py [DIR]      the files stay in DIR, or go

A solver runs an intent and posts the bundle with a bond behind it. A watcher finds nothing wrong,
the window passes, the post is final. Then the solver posts the same evidence for work that it never
did. The watcher proves it, and the bond pays.
"""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import msgspec

from tallystick.cli.main import main as tally
from tallystick.keys.evm_local import LocalEvmSigner, generate_evm_secret
from tallystick.model.bundle import BundleReader, exactly
from tallystick.model.bundle_head import read_head
from tallystick.model.post import commitment_of
from tallystick.onchain import solving
from tallystick.onchain.account import Account, Terms
from tallystick.onchain.amount import shown_amount
from tallystick.onchain.artifact import REGISTRY
from tallystick.onchain.contracts import Contracts, Posted
from tallystick.onchain.deployment import deploy
from tallystick.onchain.embedded import EmbeddedNode
from tallystick.verify.manifest_signers import Signers
from tallystick.verify.trust import trust_of
from tallystick.watch.hub import PostWatcher, Sighting, WatchPolicy
from tallystick.watch.post_evidence import Beliefs

INTENT = """{"intentVersion":"1.0.0","requester":"alice","createdAt":"2026-01-02T03:00:00Z",
"jobType":"SAFE_REPORT","inputs":{"subject":"sales","data":{"sum":3}}}"""
ETHER = 10**18


def run_intent(home: Path) -> Path:
    """Run an intent, and return its bundle."""
    (home / "intent.json").write_text(INTENT)
    key, solver = str(home / "keys" / "signing.key"), str(home / "solver")
    command: list[list[str]] = [
        ["keygen", "--out", str(home / "keys")],
        ["solver", "run", str(home / "intent.json"), "--home", solver, "--key", key],
    ]
    for words in command:
        if tally(words, standalone_mode=False) != 0:
            raise SystemExit(f"tally {' '.join(words)} failed")
    (bundle,) = (home / "solver" / "runs").glob("*/bundle.tally")
    return bundle


def tell(text: str) -> None:
    """Say what comes next."""
    print(f"\n{text}")


def watched(sighting: Sighting) -> None:
    """Say what the watcher says."""
    action = f", {sighting.action[:20]}…" if sighting.action else ""
    print(f"  watcher: 0x{sighting.receipt_id.hex()[:12]}… {sighting.verdict[:40]}{action}")


def watcher_of(home: Path, contracts: Contracts, bundle: Path, account: Account) -> PostWatcher:
    """Return who looks at all posts, believes the solver's key, and proves what is wrong."""

    def fetch(_posted: Posted, /) -> AbstractContextManager[BinaryIO]:
        return bundle.open("rb")

    policy = WatchPolicy(prove=True, spend_max=ETHER // 10)
    solver_key = (home / "keys" / "signing.key.pub").read_text()
    beliefs = Beliefs(signers=Signers(trust=trust_of(solver_key)))
    return PostWatcher(contracts, home / "watch", fetch, policy, account=account, beliefs=beliefs)


def play(home: Path, node: EmbeddedNode) -> None:
    """Deploy, post honestly, post a lie."""
    tell("A solver runs an intent. All that it left is in one bundle, signed.")
    bundle = run_intent(home)
    started = time.monotonic()

    def someone() -> Account:
        signer = LocalEvmSigner(generate_evm_secret())
        node.give(signer.get_address())
        return Account(node, signer, home / "sent", Terms(poll_seconds=0.05))

    tell(
        "Contracts come onto the chain: one keeps the bonds of solvers, one their posts, and one\n"
        "decides disputes. The solver registers, with a bond of 1 ether."
    )
    solver, stranger = someone(), someone()
    contracts = Contracts(node, deploy(stranger, stranger.address, print))
    solver.do(solving.registration(contracts, solver.signer, bytes(32)))
    solver_id = contracts.solver_of(solver.address)
    assert solver_id is not None
    solver.do(solving.deposit(contracts, ETHER, "first"))

    tell(
        "It posts the bundle: a few hashes, under which its evidence hangs. For an hour, whoever\n"
        "proves the post wrong takes a part of the bond. (Gas is what the chain charges for.)"
    )
    with bundle.open("rb") as stream:
        head = read_head(BundleReader(exactly(stream.read)))
    honest = commitment_of(
        head.manifest,
        bytes.fromhex(head.sha256),
        solver_id=solver_id,
        created_at=node.head()[1],
    )
    post, wish = solving.posting(contracts, solver.signer, honest, solving.Offer())
    print(f"posted  0x{post.hex()}  ({solver.do(wish).gas} gas)")

    tell("A watcher, who trusts nobody, fetches the bundle of each new post, and compares.")
    watcher = watcher_of(home, contracts, bundle, stranger)
    watcher.round(watched)

    tell(
        "The solver posts the same evidence again, as if another intent had been run. The watcher\n"
        "sends the contract a proof, which it checks by itself: nobody has to be asked."
    )
    lie = msgspec.structs.replace(honest, intent_hash=b"\7" * 32, created_at=node.head()[1])
    cheat, wish = solving.posting(contracts, solver.signer, lie, solving.Offer())
    solver.do(wish)
    print(f"posted  0x{cheat.hex()}  for work that was never done")
    watcher.round(watched)
    node.advance(3700)
    solver.do(solving.finalization(contracts, post))

    tell(
        "An hour later the honest post is final. The other one was slashed: it lost what stood\n"
        "behind it. Its solver is jailed, and posts nothing for a week."
    )
    print(f"honest  {contracts.post(post).status.name.lower()}")
    print(f"cheat   {contracts.post(cheat).status.name.lower()}")
    tell_money(contracts, solver_id, stranger)
    print(f"on chain in {time.monotonic() - started:.1f} s")


def tell_money(contracts: Contracts, solver_id: bytes, challenger: Account) -> None:
    """Say what is left of the bond, and who has the rest."""
    state = contracts.solver(solver_id)
    earned = contracts.read(REGISTRY, "claimable", challenger.address)
    print(
        f"bond    {shown_amount(state.bond)} of 1 ether, the solver is {state.status.name.lower()}"
    )
    print(f"earned  {shown_amount(earned)} by who proved it, as challenger and treasury")


def main() -> None:
    """Play it in a directory that is given, or in one that goes."""
    with TemporaryDirectory() as gone:
        home = Path(sys.argv[1] if len(sys.argv) > 1 else gone)
        home.mkdir(parents=True, exist_ok=True)
        node = EmbeddedNode(home)
        try:
            play(home, node)
        finally:
            node.close()


if __name__ == "__main__":
    main()
