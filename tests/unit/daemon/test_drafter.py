# SPDX-License-Identifier: Apache-2.0
"""Drafts: who acted is the system's word, and settings may change between two frames."""

from __future__ import annotations

import msgspec
from tests.ledgers import ISSUER, PEER, frame

from tallystick.daemon.attested import AttestedFrame
from tallystick.daemon.drafter import Drafter
from tallystick.daemon.drafting import DraftSettings
from tallystick.daemon.principal_names import PrincipalNames
from tallystick.model.extension import extension_of
from tallystick.model.redact import Redactor


def test_the_principal_is_the_user_of_the_peer() -> None:
    """Named by the user id that the kernel gave, in the receipt and in what was lost before it."""
    names = PrincipalNames("linux", lookup=lambda uid: f"user{uid}")
    settings = DraftSettings(issuer_id=ISSUER, redactor=Redactor())
    drafter = Drafter(settings, names)
    one = AttestedFrame(frame=frame(drop_count=3), peer=PEER, received_ns=1, late=True)
    for draft in (drafter.receipt(one), drafter.drops(one)):
        assert draft["principal"].id == "did:user:user7"
        assert draft["action"].peer_credential == PEER.credential
    assert drafter.drops(one)["action"].emitter_metadata.drop_count == 3
    facts = extension_of(drafter.receipt(one)["issuer"])
    assert facts is not None
    assert facts.late is True
    drafter.settings = msgspec.structs.replace(settings, issuer_id="did:other")
    assert drafter.receipt(one)["issuer"].id == "did:other"
