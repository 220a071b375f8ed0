# SPDX-License-Identifier: Apache-2.0
"""Chains that change keys by a hand-over, and hand-overs that are none."""

from __future__ import annotations

from collections.abc import Iterator

from tools.corpus.chains import case, chain, facts, setting
from tools.corpus.making import (
    FIRST,
    ISSUER_ID,
    SECOND,
    THIRD,
    Case,
    Json,
    Key,
    b64u,
    digest,
    put,
    rotation,
    sha256,
    sign,
)
from tools.corpus.shapes import ACTION, OUTCOME, SUBJECT
from tools.corpus.signatures import IDENTITY, NOT_ON_CURVE, trust_file

MEMBER = f"{SUBJECT}/keyRotation"
INVALID = "SIGNATURE_INVALID"


def handing(hand_over: Json) -> dict[str, str | Json]:
    """Return what a hand-over receipt says, by pointer."""
    return {f"{ACTION}/type": "agent.key.rotate", f"{ACTION}/risk_level": "high", MEMBER: hand_over}


def turning(name: str, hand_over: Json, *signers: Key, at: int = 2) -> list[Json]:
    """Return a chain whose receipt `at` hands over; the signers sign one receipt each."""

    def edit(receipt: Json) -> Json:
        for pointer, value in handing(hand_over).items():
            receipt = put(receipt, pointer, value)
        return receipt

    keys = dict(enumerate(signers, start=1))
    return chain(name, len(signers), {at: edit}, keys=keys)


def cases() -> Iterator[Case]:
    """Yield all of them."""
    yield from _sound()
    yield from _members()
    yield from _signers()


def _sound() -> Iterator[Case]:
    over = rotation(FIRST, SECOND)
    name = "rotated"
    made = turning(name, over, FIRST, FIRST, SECOND, SECOND)
    told = [facts(made, "unknown", (FIRST, 1, 2), (SECOND, 3, 4))]
    yield case(name, "The old key hands over to the new one, in mid-chain.", made, chains=told)
    name = "rotated-at-genesis"
    made = turning(name, over, FIRST, SECOND, at=1)
    told = [facts(made, "unknown", (FIRST, 1, 1), (SECOND, 2, 2))]
    yield case(name, "The first receipt hands over.", made, chains=told)
    name = "rotated-at-the-end"
    made = turning(name, over, FIRST, FIRST)
    told = [facts(made, "unknown", (FIRST, 1, 2))]
    yield case(name, "The last receipt hands over.", made, chains=told)
    name = "rotated-twice"
    edits = {}
    for number, hand_over in ((2, over), (3, rotation(SECOND, THIRD))):
        edits[number] = setting(MEMBER, hand_over)
    made = chain(name, 4, edits, keys={3: SECOND, 4: THIRD})
    told = [facts(made, "unknown", (FIRST, 1, 2), (SECOND, 3, 3), (THIRD, 4, 4))]
    yield case(name, "From the first key to the second, and on to the third.", made, chains=told)
    name = "rotated-and-back"
    edits = {}
    for number, hand_over in ((1, over), (2, rotation(SECOND, FIRST))):
        edits[number] = setting(MEMBER, hand_over)
    made = chain(name, 3, edits, keys={2: SECOND})
    told = [facts(made, "unknown", (FIRST, 1, 1), (SECOND, 2, 2), (FIRST, 3, 3))]
    yield case(name, "To the second key, and back to the first.", made, chains=told)
    name = "rotated-within-trust"
    made = turning(name, over, FIRST, FIRST, SECOND)
    trust = trust_file((ISSUER_ID, FIRST.did, None, "2026-01-02T03:00:02.500Z"),
                       (ISSUER_ID, SECOND.did, "2026-01-02T03:00:02.500Z", None))  # fmt: skip
    yield case(name, "Both keys are in the trust file, each for its time.", made, trust=trust)
    name = "rotated-beyond-trust"
    made = turning(name, over, FIRST, FIRST, SECOND)
    trust = trust_file((ISSUER_ID, FIRST.did, None, None),
                       (ISSUER_ID, SECOND.did, None, "2026-01-01T00:00:00Z"))  # fmt: skip
    why = "The trust file limits the key that the hand-over goes to."
    yield case(name, why, made, "KEY_NOT_VALID_THEN", trust=trust)


def _members() -> Iterator[Case]:
    over = rotation(FIRST, SECOND)
    spelled = b64u(SECOND.raw)
    weak = over | {"new_public_key": b64u(IDENTITY), "new_key_fingerprint": sha256(IDENTITY)}
    off = {"new_public_key": b64u(NOT_ON_CURVE), "new_key_fingerprint": sha256(NOT_ON_CURVE)}
    for what, told, hand_over, code in (
        ("old-key", "The outgoing key is another.", rotation(THIRD, SECOND), "ROTATION_OLD_KEY"),
        ("new-fingerprint", "The fingerprint is another key's.",
         over | {"new_key_fingerprint": THIRD.fingerprint}, "ROTATION_NEW_KEY"),
        ("weak-key", "The new key is the identity: anyone can sign with it.", weak,
         "ROTATION_KEY_WEAK"),
        ("key-off-curve", "The new key is no point of the curve.", over | off,
         "ROTATION_KEY_WEAK"),
        ("old-algorithm", "An unknown algorithm.", over | {"old_algorithm": "rsa"},
         "ROTATION_ALGORITHM"),
        ("new-algorithm", "An unknown algorithm.", over | {"new_algorithm": "Ed25519"},
         "ROTATION_ALGORITHM"),
        ("short-key", "The new key has 31 bytes.",
         over | {"new_public_key": b64u(SECOND.raw[:31])}, "ROTATION_KEY_ENCODING"),
        ("long-key", "The new key has 33 bytes.",
         over | {"new_public_key": b64u(SECOND.raw + b"\0")}, "ROTATION_KEY_ENCODING"),
        ("padded-key", "The new key is padded.", over | {"new_public_key": spelled + "="},
         "ROTATION_KEY_ENCODING"),
        ("key-prefix", "The new key is base58.", over | {"new_public_key": "z" + spelled[1:]},
         "ROTATION_KEY_ENCODING"),
        ("key-alphabet", "The new key is in the standard alphabet.",
         over | {"new_public_key": spelled[:9] + "+/" + spelled[11:]}, "ROTATION_KEY_ENCODING"),
        ("key-empty", "The new key is empty.", over | {"new_public_key": "u"},
         "ROTATION_KEY_ENCODING"),
        ("key-trailing-bits", "The new key has unused bits that are set.",
         over | {"new_public_key": _with_trailing_bits(spelled)}, "ROTATION_KEY_ENCODING"),
    ):  # fmt: skip
        name = f"rotation-{what}"
        made = turning(name, hand_over, FIRST, FIRST)
        yield case(name, told, made, code)
    name = "rotation-refused-and-followed"
    hand_over = over | {"new_key_fingerprint": THIRD.fingerprint}
    made = turning(name, hand_over, FIRST, FIRST, SECOND)
    why = "A hand-over that is refused hands nothing over: the next receipt does not fit."
    yield case(name, why, made, "ROTATION_NEW_KEY", INVALID)
    name = "rotation-refused-and-ignored"
    made = turning(name, hand_over, FIRST, FIRST, FIRST)
    why = "A hand-over that is refused, and the old key goes on."
    yield case(name, why, made, "ROTATION_NEW_KEY")


def _with_trailing_bits(text: str) -> str:
    # 32 bytes leave two unused bits in the last of 43 characters.
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:-1] + alphabet[alphabet.index(text[-1]) + 1]


def _signers() -> Iterator[Case]:
    over = rotation(FIRST, SECOND)
    name = "rotation-altered"
    made = turning(name, over, FIRST, FIRST)
    made[1] = put(made[1], f"{OUTCOME}/status", "failure")
    yield case(name, "The hand-over was altered after signing.", made, INVALID)
    name = "rotation-altered-and-followed"
    made = turning(name, over, FIRST, FIRST, SECOND)
    made[1] = sign(put(made[1], f"{OUTCOME}/status", "failure"), THIRD)
    relinked = put(made[2], f"{SUBJECT}/chain/previous_receipt_hash", digest(made[1]))
    made[2] = sign({key: relinked[key] for key in relinked if key != "proof"}, SECOND)
    why = "An outsider signed the hand-over to a key of his: it counts for nothing."
    yield case(name, why, made, INVALID, INVALID)
    name = "rotation-by-the-new-key"
    made = turning(name, over, FIRST, SECOND)
    yield case(name, "The new key signed its own hand-over.", made, INVALID)
    name = "old-key-after-rotation"
    made = turning(name, over, FIRST, FIRST, SECOND, FIRST)
    why = "The old key signs again after it handed over."
    yield case(name, why, made, "KEY_CHANGED")
    name = "new-key-before-rotation"
    made = turning(name, over, FIRST, SECOND, FIRST, at=3)
    yield case(name, "The new key signs before the hand-over.", made, INVALID)
    name = "outsider-after-rotation"
    made = turning(name, over, FIRST, FIRST, THIRD)
    yield case(name, "Neither of the two keys signed the third.", made, INVALID)
