# SPDX-License-Identifier: Apache-2.0
"""Under which key a chain stands, and why a signature does not hold."""

from __future__ import annotations

from typing import Any

import pytest
from tests.material import (
    DAY,
    ISSUER,
    KEY,
    OTHER_KEY,
    OTHER_PUBLIC,
    PUBLIC,
    Members,
    chain_of,
    hash_of,
    relinked,
    rotation,
    signed,
    statement,
    wire,
    with_member,
    without_member,
)

from tallystick.crypto.ed25519 import KeyPair
from tallystick.crypto.multibase import b64u_decode, b64u_encode
from tallystick.limits import STRANGERS_MAX
from tallystick.verify.report import Report
from tallystick.verify.source import Source
from tallystick.verify.trust import Trust, TrustedKey
from tallystick.verify.verification import verify_chain, verify_input, verify_receipt

S = "/credentialSubject"
ORDER = 2**252 + 27742317777372353535851937790883648493
THIRD_KEY = KeyPair.from_seed(b"\3" * 32)
THIRD_PUBLIC = THIRD_KEY.signing_key().public_key
ONE = signed(statement())


def report_on(receipts: list[Members], key: object = PUBLIC) -> Report:
    return verify_chain([wire(one) for one in receipts], key)


def resigned(receipt: Members, signature: bytes) -> Members:
    return with_member(receipt, "/proof/proofValue", "u" + b64u_encode(signature))


SIGNATURE = b64u_decode(ONE["proof"]["proofValue"][1:])


def test_the_right_key_verifies_and_others_do_not() -> None:
    """A receipt holds under its issuer's key, in whatever place of the list it stands."""
    assert verify_receipt(ONE, PUBLIC)
    assert verify_receipt(ONE, [OTHER_PUBLIC, THIRD_PUBLIC, PUBLIC])
    report = verify_receipt(ONE, [OTHER_PUBLIC, THIRD_PUBLIC])
    assert report.codes() == ["SIGNATURE_INVALID"]
    assert report.findings[0].where == "receipt[0]/proof/proofValue"


@pytest.mark.parametrize(
    ("signature", "code"),
    [
        (SIGNATURE[:-1] + bytes([SIGNATURE[-1] ^ 1]), "SIGNATURE_INVALID"),
        (bytes([SIGNATURE[0] ^ 1]) + SIGNATURE[1:], "SIGNATURE_INVALID"),
        (
            SIGNATURE[:32]
            + (int.from_bytes(SIGNATURE[32:], "little") + ORDER).to_bytes(32, "little"),
            "SIGNATURE_S_RANGE",
        ),
        (SIGNATURE[:32] + b"\xff" * 32, "SIGNATURE_S_RANGE"),
        (bytes([1]) + bytes(31) + SIGNATURE[32:], "SIGNATURE_R_SMALL_ORDER"),
        (bytes(64), "SIGNATURE_R_SMALL_ORDER"),
        (b"\xff" * 32 + SIGNATURE[32:], "SIGNATURE_R_SMALL_ORDER"),
    ],
)
def test_each_way_not_to_fit_has_its_code(signature: bytes, code: str) -> None:
    """A second signature made from a first, and a weak one, are told apart from a wrong one."""
    assert verify_receipt(resigned(ONE, signature), PUBLIC).codes() == [code]


def test_a_chain_stays_with_its_first_key() -> None:
    """Another trusted key in mid-chain is told as such: a key changes by a hand-over only."""
    receipts = chain_of(3)
    mixed = [receipts[0], signed(receipts[1], OTHER_KEY), receipts[2]]
    assert report_on(mixed, [PUBLIC, OTHER_PUBLIC]).codes() == ["KEY_CHANGED"]
    strange = [receipts[0], signed(receipts[1], THIRD_KEY), receipts[2]]
    assert report_on(strange, [PUBLIC, OTHER_PUBLIC]).codes() == ["SIGNATURE_INVALID"]
    assert report_on(mixed, PUBLIC).codes() == ["SIGNATURE_INVALID"]
    assert report_on(chain_of(3, key=OTHER_KEY), [PUBLIC, OTHER_PUBLIC]).verified


def test_a_forged_first_receipt_sets_no_key() -> None:
    """The chain stands on the first key that fits, even if that is after a forged receipt."""
    receipts = chain_of(3, key=OTHER_KEY)
    forged = [with_member(receipts[0], "/issuer/name", "x"), *receipts[1:]]
    report = report_on(forged, [PUBLIC, OTHER_PUBLIC])
    assert report.codes() == ["SIGNATURE_INVALID", "CHAIN_LINK_BROKEN"]
    assert [(use.first_sequence, use.last_sequence) for use in report.chains[0].keys] == [(2, 3)]


def test_without_a_key_nothing_is_checked() -> None:
    """No key at all, or none for this issuer, is said once for each issuer."""
    report = report_on(chain_of(3), None)
    assert report.codes() == ["KEY_MISSING"]
    trust = Trust(issuers={"did:agent:other": (TrustedKey(public_key=PUBLIC),)})
    report = report_on(chain_of(3), trust)
    assert report.codes() == ["KEY_UNKNOWN_ISSUER"]
    assert report.findings[0].found == ISSUER
    assert str(report.verdict) == "unchecked"


def test_an_unusable_key_is_the_one_finding() -> None:
    """Where the only key could not be read, that is what is said."""
    assert report_on(chain_of(2), "garbage").codes() == ["KEY_UNUSABLE"]


def strangers(count: int) -> list[bytes]:
    receipts = []
    for number in range(count):
        one = statement(chain_id=f"c{number}", number=number)
        one["issuer"]["id"] = f"did:agent:{number}"
        receipts.append(wire(signed(one, method=f"did:agent:{number}#k")))
    return receipts


@pytest.mark.parametrize("more", [0, 1, 5])
def test_strangers_at_the_limit(more: int) -> None:
    """Each issuer without a key is named, up to the limit; those beyond still decide."""
    report = verify_input([Source(strangers(STRANGERS_MAX + more))], None)
    assert str(report.verdict) == "unchecked"
    assert report.codes() == ["KEY_MISSING"] * STRANGERS_MAX
    assert report.unlisted == more


def test_keys_of_named_issuers() -> None:
    """A key that is trusted for one issuer signs for no other."""
    trust = Trust(
        issuers={
            ISSUER: (TrustedKey(public_key=OTHER_PUBLIC),),
            "did:agent:b": (TrustedKey(public_key=PUBLIC),),
        }
    )
    assert verify_receipt(ONE, trust).codes() == ["SIGNATURE_INVALID"]
    other = statement()
    other["issuer"]["id"] = "did:agent:b"
    assert verify_receipt(signed(other, method="did:agent:b#k"), trust).verified


def limited(start: str | None, end: str | None, *more: TrustedKey) -> Trust:
    entry = TrustedKey(public_key=PUBLIC, valid_from=start, valid_until=end)
    return Trust(issuers={ISSUER: (entry, *more)})


@pytest.mark.parametrize(
    ("trust", "codes"),
    [
        (limited(DAY, DAY), []),
        (limited("2026-05-05T00:00:00Z", None), ["KEY_NOT_VALID_THEN"] * 3),
        (limited(None, "2026-05-04T00:00:00Z"), ["KEY_NOT_VALID_THEN"] * 3),
        (limited(None, "2026-05-04T00:00:00Z", TrustedKey(public_key=PUBLIC)), []),
        (
            limited(
                None, "2026-05-04T00:00:00Z",
                TrustedKey(public_key=PUBLIC, valid_from="2026-05-04T00:00:00Z"),
            ),
            [],
        ),
    ],
)  # fmt: skip
def test_validity_is_checked_at_each_receipt(trust: Trust, codes: list[str]) -> None:
    """A receipt that was issued outside of its key's validity is refused, the first as the last."""
    assert report_on(chain_of(3), trust).codes() == codes


@pytest.mark.parametrize("at", [0, 1])
def test_what_can_not_be_checked_is_not_judged_again(at: int) -> None:
    """Without a signature, or without the bytes that it would be of, the fault is told once."""
    receipts = chain_of(3)
    unsigned = without_member(receipts[at], "/proof/proofValue")
    report = verify_chain([*receipts[:at], unsigned, *receipts[at + 1 :]], PUBLIC)
    assert report.codes() == ["FIELD_MISSING"]
    bodiless = with_member(receipts[at], "/issuer/name", "\ud800")
    report = verify_chain([*receipts[:at], bodiless, *receipts[at + 1 :]], PUBLIC)
    assert "MALFORMED_SURROGATE" in report.codes()
    assert "SIGNATURE_INVALID" not in report.codes()


def test_a_refused_date_is_not_judged_again() -> None:
    """Where the date itself was refused, validity has nothing to look at."""
    receipts = relinked([with_member(one, "/issuanceDate", "x") for one in chain_of(2)])
    trust = limited("2030-01-01T00:00:00Z", None)
    assert report_on(receipts, trust).codes() == ["TIMESTAMP_SHAPE"] * 2


def rotating(*steps: tuple[KeyPair, Any]) -> list[Members]:
    """Return a chain: by each step a receipt of that key, with that hand-over or none."""
    receipts: list[Members] = []
    previous = None
    for sequence, (key, hand_over) in enumerate(steps, 1):
        one = statement(sequence, previous)
        if hand_over is not None:
            one["credentialSubject"]["keyRotation"] = hand_over
        receipts.append(signed(one, key))
        previous = hash_of(one)
    return receipts


TO_OTHER = rotation(PUBLIC, OTHER_PUBLIC)


def test_a_hand_over_moves_the_chain() -> None:
    """After a hand-over the new key signs, and the old one no more; both are in the report."""
    report = report_on(rotating((KEY, TO_OTHER), (OTHER_KEY, None), (OTHER_KEY, None)))
    assert report.verified
    assert [(use.first_sequence, use.last_sequence) for use in report.chains[0].keys] == [
        (1, 1), (2, 3),
    ]  # fmt: skip
    back = rotating(
        (KEY, TO_OTHER), (OTHER_KEY, rotation(OTHER_PUBLIC, THIRD_PUBLIC)), (THIRD_KEY, None)
    )
    assert report_on(back).verified
    for workers in (2, 7):  # which guess the key of what follows before the hand-over is judged
        data = [wire(one) for one in back]
        assert verify_chain(data, PUBLIC, workers=workers) == report_on(back)
    stale = report_on(rotating((KEY, TO_OTHER), (KEY, None)))
    assert stale.codes() == ["KEY_CHANGED"]


@pytest.mark.parametrize(
    ("hand_over", "codes"),
    [
        ({**TO_OTHER, "old_algorithm": "rsa"}, ["ROTATION_ALGORITHM"]),
        (rotation(THIRD_PUBLIC, OTHER_PUBLIC), ["ROTATION_OLD_KEY"]),
        ({**TO_OTHER, "new_key_fingerprint": "sha256:" + "0" * 64}, ["ROTATION_NEW_KEY"]),
        ({**TO_OTHER, "new_public_key": "uAAA"}, ["ROTATION_KEY_ENCODING"]),
        (rotation(PUBLIC, bytes([1]) + bytes(31)), ["ROTATION_KEY_WEAK"]),
        ({**TO_OTHER, "event_type": "other"}, ["FIELD_VALUE"]),
        ({**TO_OTHER, "signed_with": "new"}, ["FIELD_VALUE"]),
    ],
)
def test_a_hand_over_that_does_not_hold_moves_nothing(hand_over: Members, codes: list[str]) -> None:
    """The chain goes on under the old key, and the new one is not accepted."""
    report = report_on(rotating((KEY, hand_over), (KEY, None)))
    assert report.codes() == codes
    report = report_on(rotating((KEY, hand_over), (OTHER_KEY, None)))
    assert report.codes() == [*codes, "SIGNATURE_INVALID"]


def test_only_a_signed_hand_over_counts() -> None:
    """Nobody takes over a chain with a hand-over that its key did not sign."""
    report = report_on(rotating((KEY, None), (OTHER_KEY, TO_OTHER), (OTHER_KEY, None)))
    assert report.codes() == ["SIGNATURE_INVALID", "SIGNATURE_INVALID"]
    report = report_on(rotating((OTHER_KEY, TO_OTHER), (OTHER_KEY, None)))
    assert report.codes() == ["SIGNATURE_INVALID", "SIGNATURE_INVALID"]
    assert report_on(rotating((KEY, TO_OTHER), (OTHER_KEY, None)), None).codes() == ["KEY_MISSING"]


def test_a_hand_over_in_an_unsound_receipt_moves_nothing() -> None:
    """What is refused for another reason hands over to nobody."""
    receipts = rotating((KEY, TO_OTHER), (OTHER_KEY, None))
    first = with_member(receipts[0], "/colour", "red")
    receipts = [signed(first), signed({**receipts[1]}, OTHER_KEY)]
    assert report_on(receipts).codes() == [
        "FIELD_UNKNOWN", "CHAIN_LINK_BROKEN", "SIGNATURE_INVALID",
    ]  # fmt: skip


def test_the_validity_of_a_new_key_counts_from_the_hand_over() -> None:
    """A key that a hand-over brought is limited where the trust limits it, and free otherwise."""
    receipts = rotating((KEY, TO_OTHER), (OTHER_KEY, None))
    free = TrustedKey(public_key=PUBLIC)
    late = TrustedKey(public_key=OTHER_PUBLIC, valid_from="2030-01-01T00:00:00Z")
    assert report_on(receipts, Trust(anyone=(free,))).verified
    assert report_on(receipts, Trust(anyone=(free, late))).codes() == ["KEY_NOT_VALID_THEN"]


def test_a_receipt_without_an_issuer_has_no_key() -> None:
    """Where the issuer was refused there is nobody whose key could be tried."""
    broken = with_member(ONE, "/issuer", 5)
    assert verify_receipt(broken, PUBLIC).codes() == ["FIELD_TYPE"]
    assert report_on([broken]).codes() == ["FIELD_TYPE"]
    assert verify_chain([wire(broken)], PUBLIC, workers=2).codes() == ["FIELD_TYPE"]
