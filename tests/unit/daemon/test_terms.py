# SPDX-License-Identifier: Apache-2.0
"""Terms of drafting: what another process is told of them is what holds here."""

from __future__ import annotations

import msgspec
import pytest
from tests.ledgers import ISSUER
from tests.portions import TANGO, TERMS

from tallystick.daemon.disclosing import DisclosurePolicy, parse_policy
from tallystick.daemon.terms import Terms, draft_settings_of, encoded_terms, terms_of
from tallystick.errors import SettingError
from tallystick.keys.forensic import generate_forensic_key_pair

KEY = generate_forensic_key_pair().public_key
SEALING = Terms(
    issuer_id="did:ä",
    patterns=TANGO.patterns * 3,
    parameters=parse_policy("a.b,c.d"),
    responses=DisclosurePolicy(mode="high"),
    forensic_key=KEY,
)


@pytest.mark.parametrize("terms", [TERMS, TANGO, SEALING])
def test_terms_are_read_as_they_were_told(terms: Terms) -> None:
    """All of their members, and equal terms are the same bytes."""
    piece = encoded_terms(terms)
    assert terms_of(piece) == terms
    assert encoded_terms(terms_of(piece)) == piece


def test_what_are_no_terms_is_refused() -> None:
    """Nothing is drafted by half of them."""
    for piece in (b"", encoded_terms(TERMS)[:-1], msgspec.msgpack.encode({"issuer_id": 7})):
        with pytest.raises(msgspec.MsgspecError):
            terms_of(piece)


def test_settings_follow_the_terms() -> None:
    """Whose name, which secrets, and what is sealed."""
    plain, tango, sealing = map(draft_settings_of, (TERMS, TANGO, SEALING))
    assert (plain.issuer_id, sealing.issuer_id) == (ISSUER, "did:ä")
    assert plain.redactor.text("tango 12") == "tango 12"
    assert tango.redactor.text("tango 12") == sealing.redactor.text("tango 12") != "tango 12"
    assert sealing.disclosure is not None and plain.disclosure is not None
    assert sealing.disclosure.seal("a.b", "low", {"a": 1}, {"a": 1}).parameters is not None
    assert sealing.disclosure.seal("a.b", "low", {"a": 1}, {"a": 1}).response is None
    assert plain.disclosure.seal("a.b", "low", {"a": 1}, {"a": 1}) == (None, None)


def test_a_policy_without_a_key_is_refused() -> None:
    """Nobody could ever open what it seals."""
    with pytest.raises(SettingError, match="forensic public key"):
        draft_settings_of(msgspec.structs.replace(SEALING, forensic_key=None))
