# SPDX-License-Identifier: Apache-2.0
"""What is remembered of one chain."""

from __future__ import annotations

import sys

from tests.material import (
    CHAIN,
    ISSUER,
    OTHER_PUBLIC,
    PUBLIC,
    full_statement,
    signed,
    statement,
    wire,
    with_member,
)

from tallystick.limits import CHAIN_STATE_BYTES_EACH
from tallystick.model.reader import parse_receipt, read_receipt
from tallystick.verify.report import KeyUse
from tallystick.verify.state import ChainState, bytes_of
from tallystick.verify.trust import TrustedKey, fingerprint_of

SMALL = parse_receipt(wire(signed(statement())))
FULL = parse_receipt(wire(signed(full_statement())))


def test_a_state_begins_with_what_the_first_receipt_says() -> None:
    """Issuer, session, principal and delegation are those of the first receipt."""
    state = ChainState(CHAIN, FULL, "receipt[0]")
    assert (state.issuer, state.session, state.principal) == (ISSUER, "s", "did:user:u")
    assert state.delegation == FULL.credentialSubject.delegation
    assert (state.length, state.head, state.status) == (0, "", "unknown")


def test_a_state_begins_without_what_was_refused() -> None:
    """Members that were refused are None, and so is what they would have said."""
    broken = with_member(signed(statement()), "/issuer", 5)
    broken = with_member(broken, "/credentialSubject/principal", 5)
    receipt, _ = read_receipt(broken)
    assert receipt is not None
    state = ChainState(CHAIN, receipt, "receipt[0]")
    assert (state.issuer, state.session, state.principal) == (None, None, None)
    assert state.report().issuer == ""


def test_memory_is_counted_in_bytes() -> None:
    """Every text that is kept counts, with the bytes that it takes."""
    assert bytes_of(None) == 0
    assert bytes_of("a" * 1000) == sys.getsizeof("a" * 1000)
    assert bytes_of("\U0001f600" * 1000) > 4000
    small, full = ChainState(CHAIN, SMALL, "w"), ChainState(CHAIN, FULL, "w")
    parent = FULL.credentialSubject.delegation
    assert parent is not None
    more = ("s", parent.parent_chain_id, parent.parent_receipt_id, parent.delegator.id)
    assert small.bytes_kept() > CHAIN_STATE_BYTES_EACH
    assert full.bytes_kept() - small.bytes_kept() == sum(map(bytes_of, more))
    full.method = "m"
    assert full.bytes_kept() - small.bytes_kept() == sum(map(bytes_of, (*more, "m")))


def test_a_delegation_without_its_delegator_is_counted() -> None:
    """A delegation of which a part was refused has a size all the same."""
    broken = with_member(signed(full_statement()), "/credentialSubject/delegation/delegator", 5)
    receipt, _ = read_receipt(broken)
    assert receipt is not None
    assert ChainState(CHAIN, receipt, "w").bytes_kept() > CHAIN_STATE_BYTES_EACH


def test_stretches_of_keys_are_told_in_order() -> None:
    """Each key is named once for the stretch that it signed; one that signed nothing is not."""
    state = ChainState(CHAIN, SMALL, "w")
    state.stand_on(PUBLIC, ())
    for sequence in (1, 2, 3):
        state.note_signed(sequence)
    state.stand_on(OTHER_PUBLIC, ())
    state.note_signed(4)
    state.stand_on(PUBLIC, ())
    assert state.report().keys == (
        KeyUse(fingerprint=fingerprint_of(PUBLIC), first_sequence=1, last_sequence=3),
        KeyUse(fingerprint=fingerprint_of(OTHER_PUBLIC), first_sequence=4, last_sequence=4),
    )
    assert state.report() == state.report()


def test_who_signed_first_and_last() -> None:
    """A key that was handed to and has signed nothing is not the last one."""
    state = ChainState(CHAIN, SMALL, "w")
    assert state.signers() == (None, None)
    state.stand_on(PUBLIC, ())
    state.note_signed(1)
    assert state.signers() == (PUBLIC, PUBLIC)
    state.stand_on(OTHER_PUBLIC, ())
    assert state.signers() == (PUBLIC, PUBLIC)
    state.note_signed(2)
    assert state.signers() == (PUBLIC, OTHER_PUBLIC)
    state.report()
    assert state.signers() == (PUBLIC, OTHER_PUBLIC)


def test_a_key_that_handed_over_is_known_by_its_stretch() -> None:
    """It is told for the places that it signed, both ends included, and for no other."""
    state = ChainState(CHAIN, SMALL, "w")
    state.stand_on(PUBLIC, ())
    for sequence in (2, 3):
        state.note_signed(sequence)
    state.stand_on(OTHER_PUBLIC, ())
    state.note_signed(4)
    state.stand_on(PUBLIC, ())
    state.note_signed(6)
    found = [state.earlier_keys(sequence) for sequence in range(1, 8)]
    assert found == [[], [PUBLIC], [PUBLIC], [OTHER_PUBLIC], [], [], []]


def test_windows_are_those_of_the_active_key() -> None:
    """Only entries of the active key limit it, and an entry without limits lifts them all."""
    limited = TrustedKey(public_key=PUBLIC, valid_until="2026-01-01T00:00:00Z")
    later = TrustedKey(public_key=PUBLIC, valid_from="2027-01-01T00:00:00Z")
    other = TrustedKey(public_key=OTHER_PUBLIC, valid_from="2020-01-01T00:00:00Z")
    free = TrustedKey(public_key=PUBLIC)
    for trusted, windows in (
        ((limited, other, later), (limited, later)),
        ((limited, free), ()),
        ((other,), ()),
    ):
        state = ChainState(CHAIN, SMALL, "w")
        state.stand_on(PUBLIC, trusted)
        assert state.windows == windows
