# SPDX-License-Identifier: Apache-2.0
"""Drafts for the ledger: who acted is asked of the system, what is stated stands in drafting.py."""

from __future__ import annotations

from typing import Any

from tallystick.daemon.attested import AttestedFrame
from tallystick.daemon.drafting import DraftSettings, draft_drops, draft_receipt
from tallystick.daemon.principal_names import PrincipalNames


class Drafter:
    """What receipts state, by settings that a reload may replace between two frames."""

    def __init__(self, settings: DraftSettings, names: PrincipalNames) -> None:
        self.settings = settings
        self._names = names

    def receipt(self, one: AttestedFrame) -> dict[str, Any]:
        """Return the arguments of `create_receipt` for a frame."""
        principal = self._names.principal(one.peer.credential.uid)
        return draft_receipt(
            one.frame,
            one.peer,
            principal,
            self.settings,
            late=one.late,
            is_parsed=one.is_parsed,
        )

    def drops(self, one: AttestedFrame) -> dict[str, Any]:
        """Return the same for what the emitter says it lost before this frame."""
        principal = self._names.principal(one.peer.credential.uid)
        count = one.frame.drop_count
        return draft_drops(one.frame, one.peer, principal, self.settings, count)
