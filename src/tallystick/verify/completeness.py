# SPDX-License-Identifier: Apache-2.0
"""Whether a daemon's store still has all the chains that its receipts speak of.

A chain that was removed as a whole leaves no gap in any other. But each root names the head of the
root before it, and the chain of each agent is announced in its root; so who removes one would have
to change a signed receipt in another. What nothing speaks of yet are the newest root and its
newest receipts: for these the daemon keeps its file of heads, and an auditor the proof file of an
export.

Only sources that have to be whole are looked at, and there only chains that a daemon issued. But an
earlier key, for which only a later one vouches, may be anybody's by now: whatever chain it signed,
a later one must speak of it.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Final

import msgspec

from tallystick.errors import ReceiptError
from tallystick.limits import CHAIN_STATE_BYTES_EACH
from tallystick.model.extension import PreviousChain, extension_of
from tallystick.model.receipt import Issuer, Receipt
from tallystick.model.taxonomy import AGENT_START, CHAINS_SYSTEM, DAEMON_ISSUER
from tallystick.verify.chain import Judge
from tallystick.verify.receipt import Examined
from tallystick.verify.report import Findings
from tallystick.verify.source import Input
from tallystick.verify.state import ChainState, bytes_of
from tallystick.verify.trust import Trust

_MISSING: Final = "CHAIN_MISSING"
_UNANNOUNCED: Final = "CHAIN_UNANNOUNCED"


class _Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """Where a root says that the chain of an agent begins."""

    chain_id: str
    sequence: int
    digest: str
    where: str


class Completeness:
    """Takes what the judge has taken; tells at the end what is spoken of and not there."""

    def __init__(
        self, judge: Judge, stream: Input, findings: Findings, trust: Trust, ends: Container[str]
    ) -> None:
        """Take whose keys count, and the chains of which the caller knows the ends."""
        self._judge = judge
        self._stream = stream
        self._findings = findings
        self._trust = trust
        self._named = {one.public_key for one in trust.anyone if not one.is_earlier}
        # A store shows by itself what later chains speak of; its proof may be made of it just now.
        self._ends: Container[str] = () if stream.has_store else ends
        # Each chain that a daemon began, and the one that it says it goes on from.
        self._begun: dict[str, PreviousChain | None] = {}
        self._announced: dict[str, _Announcement] = {}

    def take(self, examined: Examined, at: int) -> None:
        """Look at the receipt with that index."""
        receipt = examined.receipt
        subject = receipt.credentialSubject if receipt is not None else None
        if receipt is None or subject is None or None in (subject.chain, subject.action):
            return
        link, action = subject.chain, subject.action
        if link.sequence != 1 and action.type != AGENT_START:
            return
        if link.chain_id is None or link.sequence is None:
            return
        if not (_is_daemons(receipt) and self._stream.of_whole(at, link.chain_id)):
            return
        if link.sequence == 1 and self._judge.has_room(CHAIN_STATE_BYTES_EACH, at):
            self._begun.setdefault(link.chain_id, _previous_of(receipt.issuer))
        target = action.target
        if (
            action.type == AGENT_START
            and target is not None
            and target.system == CHAINS_SYSTEM
            and target.resource is not None
            and self._judge.has_room(CHAIN_STATE_BYTES_EACH + bytes_of(target.resource), at)
        ):
            self._announced.setdefault(
                target.resource,
                _Announcement(
                    chain_id=link.chain_id,
                    sequence=link.sequence,
                    digest=examined.digest,
                    where=self._stream.where(at),
                ),
            )

    def tell(self) -> None:
        """Note what the chains say of each other that is not so; all receipts were taken."""
        if self._findings.has("SOURCE_UNREADABLE") or self._findings.has("CHAINS_OVER_LIMIT"):
            return  # what was not read may hold what is missed here
        chains = self._judge.chains
        first_roots: dict[str | None, str] = {}
        # Each root that another one goes on from, and that one.
        followed: dict[str, str] = {}
        for chain_id, previous in self._begun.items():
            state = chains.get(chain_id)
            if state is None:
                continue
            if previous is not None:
                self._tell_previous(state, previous)
            if state.delegation is not None:
                self._tell_agent(state, state.delegation.parent_chain_id)
            elif previous is None and first_roots.setdefault(state.issuer, chain_id) != chain_id:
                message = "names no root before it, and another one is the first"
                self._findings.add(_MISSING, state.where, message)
            elif previous is not None:
                other = followed.setdefault(previous.chain_id, chain_id)
                if other != chain_id:
                    message = f"goes on from {previous.chain_id!r}, as {other!r} does"
                    self._findings.add("CHAIN_REPLACED", state.where, message)
        if self._trust.has_earlier:
            for state in chains.values():
                self._tell_earlier_key(state, followed)
        for chain_id, announced in self._announced.items():
            if chain_id not in chains:
                message = "announces a chain that is not there"
                self._findings.add(_MISSING, announced.where, message, expected=chain_id)

    def _tell_previous(self, state: ChainState, previous: PreviousChain) -> None:
        before = self._judge.chains.get(previous.chain_id)
        place = f"receipt {previous.sequence} of {previous.chain_id!r}"
        if before is None or before.sequence < previous.sequence:
            message = f"begins a chain that goes on from {place}, which is not there"
            self._findings.add(_MISSING, state.where, message)
            return
        found = before.head if before.sequence == previous.sequence else None
        announced = self._announced.get(state.chain_id)
        if found is None and announced is not None:
            at = (announced.chain_id, announced.sequence)
            found = announced.digest if at == (previous.chain_id, previous.sequence) else None
        if found != previous.hash:
            self._findings.add(
                "CHAIN_REPLACED",
                state.where,
                f"begins a chain that goes on from {place}, and that is another one",
                expected=previous.hash,
                found=found or "one that the chain went on behind",
            )

    def _tell_agent(self, state: ChainState, parent_id: str | None) -> None:
        announced = self._announced.get(state.chain_id)
        if announced is None or announced.chain_id != parent_id:
            message = "begins a chain that its root does not announce"
            self._findings.add(_UNANNOUNCED, state.where, message)
        parent = self._judge.chains.get(parent_id) if parent_id is not None else None
        if parent is not None and parent.is_closed and not state.is_closed:
            message = "begins a chain that is open below a root that is closed"
            self._findings.add("CHAIN_CUT", state.where, message)

    def _tell_earlier_key(self, state: ChainState, followed: Container[str]) -> None:
        """Refuse a chain of an earlier key that is no part of what the later ones go on from."""
        first, last = state.signers()
        if first is None or state.chain_id in self._ends:
            return
        own = {one.public_key for one in self._trust.issuers.get(state.issuer or "", ())}
        if not {first, last}.isdisjoint(self._named | own):
            return
        is_agents = state.delegation is not None  # whose root was looked at
        if state.chain_id not in self._begun or not (is_agents or state.chain_id in followed):
            message = "begins a chain of an earlier key, and no later chain speaks of it"
            self._findings.add(_UNANNOUNCED, state.where, message)


def _is_daemons(receipt: Receipt) -> bool:
    return receipt.issuer is not None and receipt.issuer.type == DAEMON_ISSUER


def _previous_of(issuer: Issuer) -> PreviousChain | None:
    try:
        facts = extension_of(issuer)
    except ReceiptError:
        return None
    return None if facts is None else facts.previous_chain
