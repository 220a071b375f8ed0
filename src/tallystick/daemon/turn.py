# SPDX-License-Identifier: Apache-2.0
"""What one transaction says: which frame goes to which chain, and what the daemon adds.

A turn changes a copy of where the chains stand. It becomes the ledger's when its rows are on
stable storage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from tallystick.daemon.attested import AttestedFrame, StatedFrame
from tallystick.daemon.batch import (
    Batch,
    Draft,
    Issuing,
    Place,
    Status,
    delegated,
    going_on_from,
)
from tallystick.daemon.chain_names import agent_chain, unused
from tallystick.model.action import Action, EmitterMetadata, Target
from tallystick.model.chain import Head
from tallystick.model.extension import Dropped, Extension
from tallystick.model.frame import Acknowledgement, Frame
from tallystick.model.rotation import KeyRotation
from tallystick.model.taxonomy import AGENT_START, CHAINS_SYSTEM, EVENTS_DROPPED, KEY_ROTATE
from tallystick.ports import Signer


class Standing(NamedTuple):
    """Where things stand between two transactions."""

    # The open root, or None before the first receipt and after an orderly end.
    root: Place | None = None
    # The head of the root before that one.
    previous: Head | None = None
    last_ms: int = 0


class Turn:
    """One transaction in the making."""

    def __init__(
        self,
        issuing: Issuing,
        standing: Standing,
        *,
        place_of: Callable[[str], Place],
        base: str,
        is_used: Callable[[str], bool],
    ) -> None:
        """Go on from `standing`; a new root is `base`, or the next that is not used."""
        self.batch = Batch(issuing, place_of, standing.last_ms)
        self._issuing = issuing
        self._root = standing.root
        self._previous = standing.previous
        self._base = base
        self._is_used = is_used

    @property
    def standing(self) -> Standing:
        """Where things stand behind this turn."""
        return Standing(self._root, self._previous, self.batch.last_ms)

    def add(self, one: AttestedFrame, draft: Draft, drops: Draft | None = None) -> Acknowledgement:
        """Write what a frame says, behind what its emitter lost; all of it or, raising, nothing."""
        batch, now_ms, frame = self.batch, one.received_ns // 1_000_000, one.frame
        if frame.agent_id is None and drops is None and self._root is not None:
            answer = batch.add(self._root, draft, now_ms)
            self._root = batch.places[answer.chain_id]
            return answer
        mark = (batch.mark(), self._root)
        try:
            drafts = (draft,) if drops is None else (drops, draft)
            return self._add_with_more(frame, drafts, now_ms)
        except BaseException:
            before, self._root = mark
            batch.back_to(before)
            raise

    def add_stated(self, one: StatedFrame) -> Acknowledgement | None:
        """Write what was stated ahead; None where it was stated for another place than there is."""
        if self._root is None:
            return None
        answer = self.batch.add_stated(self._root.head, one)
        if answer is not None:
            self._root = self.batch.places[answer.chain_id]
        return answer

    def _add_with_more(self, frame: Frame, drafts: Sequence[Draft], now_ms: int) -> Acknowledgement:
        answer: Acknowledgement | None = None
        if frame.agent_id is None:
            for each in drafts:
                answer = self._add_to_root(each, now_ms)
        else:
            # By the name that a receipt may show: a chain's name stands in all of its receipts.
            chain_id = agent_chain(self._root_id(), _agent_in(drafts[-1]) or frame.agent_id)
            for each in drafts:
                answer = self._add_to_agent(chain_id, each, now_ms)
        assert answer is not None
        return answer

    def note_losses(self, count: int, facts: Dropped, now_ms: int) -> None:
        """Write how many frames the daemon itself made no receipt of."""
        metadata = EmitterMetadata(drop_count=count)
        action = Action(type=EVENTS_DROPPED, tool_name="events_dropped", emitter_metadata=metadata)
        self._add_to_root(self.batch.own(action, facts=Extension(dropped=facts)), now_ms)

    def end_all(
        self,
        status: Status,
        agents: Iterable[Place],
        now_ms: int,
        *,
        successor: Signer | None = None,
    ) -> None:
        """Close the root and then the chains of its agents; the next root goes on from there.

        Where the root has been handed over, its successor signs the end of it.
        """
        if self._root is None:
            return
        root_id = self._root.head.chain_id
        self.batch.end(self._root, status, now_ms, signer=successor)
        for place in agents:
            if not self.batch.place(place.head.chain_id).is_terminal:
                self.batch.end(self.batch.place(place.head.chain_id), status, now_ms)
        self._previous = self.batch.places[root_id].head
        self._root = None

    def hand_over(
        self, rotation: KeyRotation, successor: Signer, agents: Iterable[Place], now_ms: int
    ) -> Acknowledgement:
        """Write the hand-over into the root, by the outgoing key, and close all chains behind it.

        The root's end is signed by the next key: it vouches so for all that came before.
        """
        draft = self.batch.own(Action(type=KEY_ROTATE), key_rotation=rotation)
        answer = self._add_to_root(draft, now_ms)
        self.end_all("complete", agents, now_ms, successor=successor)
        return answer

    def _root_id(self) -> str:
        if self._root is None:
            places = self.batch.places
            name = unused(self._base, lambda one: one in places or self._is_used(one))
            self._root = Place(head=Head(chain_id=name))
        return self._root.head.chain_id

    def _add_to_root(self, draft: Draft, now_ms: int) -> Acknowledgement:
        root_id = self._root_id()
        assert self._root is not None
        if self._root.head.sequence == 0:
            draft = going_on_from(draft, self._previous)
        answer = self.batch.add(self._root, draft, now_ms)
        self._root = self.batch.places[root_id]
        return answer

    def _add_to_agent(self, chain_id: str, draft: Draft, now_ms: int) -> Acknowledgement:
        place = self.batch.place(chain_id)
        if place.head.sequence == 0:
            self._announce(chain_id, draft, now_ms)
            assert self._root is not None
            draft = delegated(draft, self._root, self._issuing.issuer_id)
            draft = going_on_from(draft, self._root.head)
        return self.batch.add(place, draft, now_ms)

    def _announce(self, chain_id: str, draft: Draft, now_ms: int) -> None:
        """Say in the root that a chain begins: who removes that chain as a whole is found out."""
        action = Action(
            type=AGENT_START,
            target=Target(resource=chain_id, system=CHAINS_SYSTEM),
            peer_credential=draft["action"].peer_credential,
        )
        own = self.batch.own(action)
        self._add_to_root({**own, "principal": draft["principal"]}, now_ms)


def _agent_in(draft: Draft) -> str | None:
    """Return the agent's id as the statement has it, with its secrets taken out."""
    runtime = draft["issuer"].runtime
    shown = None if runtime is None else runtime.get("agent_id")
    # Where an escaped slash came to light it still is no level of the name.
    return shown.replace("/", "_") if isinstance(shown, str) else None
