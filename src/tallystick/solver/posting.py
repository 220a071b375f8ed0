# SPDX-License-Identifier: Apache-2.0
"""Posts the runs of a solver on a chain, each once, and makes posts final when they may be.

What is signed for an intent is kept in the home before any node sees it. A second signature for
the same intent (its time or its number on the chain ran out) is only ever given to the same
outcome: two outcomes signed for one intent cost the bond, whoever shows them.

`tally hub` and the solver share the account's journal, so they share its numbers, too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from tallystick.durable.file import make_directory, read_bounded, write_replace
from tallystick.errors import NodeError, PostingError, RevertError, RunError, WalLockedError
from tallystick.limits import KEPT_POST_BYTES_MAX
from tallystick.model.manifest import manifest_sha256, parse_manifest
from tallystick.model.post import Commitment, commitment_of
from tallystick.onchain.account import Account, Terms, Wish
from tallystick.onchain.artifact import RECEIPTS
from tallystick.onchain.contracts import Contracts, PostState, PostStatus
from tallystick.onchain.deployment import own_deployment, read_deployment
from tallystick.onchain.embedded import EMBEDDED, EmbeddedNode
from tallystick.onchain.node import Node, open_node
from tallystick.onchain.solving import Offer, finalization, posting
from tallystick.ports import EvmSigner
from tallystick.solver.home import SolverHome, held

# A transaction that takes longer is waited for by whoever takes the run up next.
_TERMS: Final = Terms(wait_seconds=30.0)
_MODE: Final = 0o700


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """A run's post, and what has become of it."""

    post_id: str
    chain_id: int
    status: str  # as in the contract, in lower case
    seconds_left: int = 0  # until it can be final, where it is pending

    @property
    def is_open(self) -> bool:
        """Whether something may still become of it."""
        return self.status in ("pending", "disputed")


class SignedPost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was signed for an intent, with the call that hands it in."""

    post_id: bytes
    outcome: bytes
    evidence: bytes
    wish: Wish


class Poster:
    """Posts for one operator on one chain; the node is open only while it is asked."""

    def __init__(
        self,
        home: SolverHome,
        signer: EvmSigner,
        open_chain: Callable[[], Node],
        *,
        onchain_home: str,
        contracts: str = "",
        terms: Terms = _TERMS,
    ) -> None:
        """`onchain_home` holds the account's journal; `contracts` is a file, or what lies there."""
        self._home = home
        self._signer = signer
        self._open_chain = open_chain
        self._directory = onchain_home
        self._contracts = contracts
        self._terms = terms

    def bring(self, manifest: bytes) -> Post:
        """See to it that a run's post is there, and final if it may be; return how it stands."""
        with self._asked() as (contracts, account):
            post_id = self._posted(contracts, account, manifest)
            state = contracts.post(post_id)
            if state.status is PostStatus.PENDING and contracts.read(
                RECEIPTS, "canFinalize", post_id
            ):
                account.do(finalization(contracts, post_id))
                state = contracts.post(post_id)
            return _view(contracts, post_id, state)

    def post(self, manifest: bytes) -> Post:
        """See to it that a run's post is there; a second call finds it."""
        with self._asked() as (contracts, account):
            post_id = self._posted(contracts, account, manifest)
            return _view(contracts, post_id, contracts.post(post_id))

    @contextmanager
    def _asked(self) -> Iterator[tuple[Contracts, Account]]:
        with held(os.path.join(self._home.path, "posting.lock"), "the posts", wait=True):
            node = self._open_chain()
            try:
                at = (
                    read_deployment(self._contracts)
                    if self._contracts
                    else own_deployment(self._directory, node)
                )
                contracts = Contracts(node, at)
                yield contracts, Account(node, self._signer, self._directory, self._terms)
            finally:
                if isinstance(node, EmbeddedNode):
                    node.close()

    def _posted(self, contracts: Contracts, account: Account, manifest: bytes) -> bytes:
        solver_id = contracts.solver_of(account.address)
        if solver_id is None:
            raise PostingError(
                f"{account.address} is no solver's operator; `tally hub register` makes it one"
            )
        wanted = commitment_of(
            parse_manifest(manifest),
            bytes.fromhex(manifest_sha256(manifest)),
            solver_id=solver_id,
            created_at=contracts.node.head()[1],
        )
        there = contracts.posted_for(solver_id, wanted.intent_hash)
        if there is None:
            self._send(contracts, account, wanted)
            there = contracts.posted_for(solver_id, wanted.intent_hash)
        if there is None:
            raise NodeError("the post was mined, and the node does not show it", is_transient=True)
        if contracts.posted(there).commitment.evidence_hash != wanted.evidence_hash:
            raise RunError(f"the intent has a post with other evidence: 0x{there.hex()}")
        return there

    def _send(self, contracts: Contracts, account: Account, wanted: Commitment) -> None:
        path = self._path(contracts, wanted)
        kept = self._kept(path)
        if kept is not None:
            if (kept.outcome, kept.evidence) != (wanted.outcome_hash, wanted.evidence_hash):
                raise RunError("another outcome was signed for this intent; this one never is")
            try:
                account.do(kept.wish)
            except RevertError:
                pass  # its time or number ran out before it was mined: signed anew, for the same
            else:
                return
        post_id, wish = posting(contracts, self._signer, wanted, Offer())
        made = SignedPost(
            post_id=post_id, outcome=wanted.outcome_hash, evidence=wanted.evidence_hash, wish=wish
        )
        make_directory(os.path.dirname(path), _MODE)
        write_replace(path, msgspec.json.encode(made), 0o600)
        account.do(wish)

    def _path(self, contracts: Contracts, wanted: Commitment) -> str:
        """Return where is kept what was signed for an intent, for one solver of one contract."""
        at = contracts.at
        solver = int.from_bytes(wanted.solver_id, "big")
        name = f"{at.chain_id}-{at.receipts[2:].lower()}-{solver}-{wanted.intent_hash.hex()}.json"
        return os.path.join(self._home.path, "posts", name)

    def _kept(self, path: str) -> SignedPost | None:
        if not os.path.lexists(path):
            return None
        try:
            return msgspec.json.decode(read_bounded(path, KEPT_POST_BYTES_MAX), type=SignedPost)
        except msgspec.MsgspecError as fault:
            raise RunError(f"{path} holds no signed post: {fault}") from None


def open_chain(rpc: str, directory: str) -> Node:
    """Open the node of an address, or the chain that is embedded in a directory."""
    if rpc != EMBEDDED:
        return open_node(rpc)
    make_directory(directory, _MODE)
    try:
        return EmbeddedNode(directory)
    except WalLockedError as fault:
        raise NodeError(f"the embedded chain is in use: {fault}", is_transient=True) from None


def _view(contracts: Contracts, post_id: bytes, state: PostState) -> Post:
    is_pending = state.status is PostStatus.PENDING
    left = max(0, state.deadline + 1 - contracts.clock()) if is_pending else 0
    return Post(
        post_id=f"0x{post_id.hex()}",
        chain_id=contracts.at.chain_id,
        status=state.status.name.lower(),
        seconds_left=left,
    )
