# SPDX-License-Identifier: Apache-2.0
"""What a log holds besides. Most cases are vectors: `vectors/input/log-holds-*`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from tests.material import (
    CHAIN,
    KEY,
    OTHER_KEY,
    OTHER_PUBLIC,
    PUBLIC,
    Members,
    chain_of,
    hash_of,
    rotation,
    signed,
    statement,
)

from tallystick.crypto.ed25519 import KeyPair
from tallystick.verify import coverage
from tallystick.verify.report import Report
from tallystick.verify.source import Source
from tallystick.verify.verification import verify_input


def compared(given: Sequence[Any], held: Sequence[Any]) -> Report:
    """Return the report on receipts beside those that a log holds."""
    return verify_input([Source(list(given))], PUBLIC, holdings=lambda _: [Source(list(held))])


def test_the_log_is_asked_for_the_chains_of_the_input() -> None:
    """Whoever fetches from a log is told which chains are wanted."""
    asked = []

    def holdings(chains: Sequence[str]) -> list[Source]:
        asked.append(list(chains))
        return []

    report = verify_input([Source(chain_of(2))], PUBLIC, holdings=holdings)
    assert (asked, report.codes()) == ([[CHAIN]], ["log_lacks"])


def test_what_was_cut_off_is_counted() -> None:
    """One finding for each chain says how much, and where the log holds it."""
    whole = chain_of(5)
    report = compared(whole[:2], whole)
    (finding,) = report.findings
    assert (finding.code, finding.where) == ("LOG_HOLDS_MORE", "log:receipt[2]")
    assert (finding.expected, finding.found) == ("up to 5", "up to 2")


def test_only_the_chains_key_counts() -> None:
    """Receipts of others under the chain's name, and under the issuer's, accuse nobody."""
    whole = chain_of(2)
    forged = signed(statement(3, "sha256:" + "0" * 64), OTHER_KEY)
    report = compared(whole, [*whole, forged, forged])
    assert (report.verified, report.codes()) == (True, ["log_unsigned"])
    assert report.findings[0].found == "2"
    genuine = signed(statement(3, "sha256:" + "0" * 64), KEY)
    assert compared(whole, [*whole, genuine]).codes() == ["LOG_HOLDS_MORE"]


def handed_over_twice(name: str) -> list[Members]:
    """Return a chain of three keys, of which the middle one signed receipts 3 to 5."""
    third = KeyPair.from_seed(bytes(range(2, 34)))
    hand_overs = {2: (PUBLIC, OTHER_PUBLIC), 5: (OTHER_PUBLIC, third.signing_key().public_key)}
    receipts: list[Members] = []
    previous = None
    for sequence, key in enumerate((KEY, KEY, OTHER_KEY, OTHER_KEY, OTHER_KEY, third), 1):
        receipt = statement(sequence, previous)
        if sequence in hand_overs:
            receipt["credentialSubject"]["keyRotation"] = rotation(*hand_overs[sequence])
        if sequence == 4:
            receipt["issuer"]["name"] = name
        receipts.append(signed(receipt, key))
        previous = hash_of(receipt)
    return receipts


def test_a_key_between_two_hand_overs_counts_in_its_place() -> None:
    """What it signed besides, the issuer said. What it signs behind its hand-over, anybody may."""
    whole, other = handed_over_twice("one"), handed_over_twice("other")
    assert compared(whole, whole).codes() == []
    report = compared(whole, other[:4])
    assert str(report.verdict) == "refused"
    assert [one.where for one in report.findings if one.code == "LOG_HOLDS_OTHER"] == [
        "log:receipt[3]"
    ]
    late = signed(statement(6, "sha256:" + "0" * 64), OTHER_KEY)
    report = compared(whole, [*whole, late])
    assert (report.verified, report.codes()) == (True, ["log_unsigned"])


def test_junk_in_a_log_is_passed_over() -> None:
    """What is no receipt, or has no place in a chain, says nothing about one."""
    whole = chain_of(2)
    assert compared(whole, [*whole, b"junk", {}, {"credentialSubject": {}}]).verified


def test_more_than_can_be_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit it is said that not all was compared."""
    monkeypatch.setattr(coverage, "LOG_HELD_RECEIPTS_MAX", 2)
    whole = chain_of(3)
    report = compared(whole, whole)
    assert (str(report.verdict), report.codes()) == ("unchecked", ["LOG_UNCONFIRMED"])
    assert compared(whole, whole[:2]).codes() == ["log_lacks"]
