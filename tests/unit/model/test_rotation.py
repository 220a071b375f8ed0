# SPDX-License-Identifier: Apache-2.0
"""The hand-over from one key to the next."""

from __future__ import annotations

import msgspec
import pytest
from tests.material import OTHER_PUBLIC, PUBLIC, rotation

from tallystick.crypto.multibase import b64u_encode
from tallystick.errors import KeyFormatError
from tallystick.model.rotation import (
    KeyRotation,
    incoming_key,
    rotation_between,
    rotation_faults,
)

IDENTITY = (1).to_bytes(32, "little")


def test_a_hand_over_is_what_the_protocol_says() -> None:
    """Fingerprints are over raw keys, and the new key stands there in base64url behind a `u`."""
    made = rotation_between(PUBLIC, OTHER_PUBLIC)
    assert made.to_dict() == rotation(PUBLIC, OTHER_PUBLIC)
    assert incoming_key(made) == OTHER_PUBLIC
    assert rotation_faults(made, PUBLIC) == []


def test_no_hand_over_to_the_same_or_to_a_weak_key() -> None:
    """A key does not hand over to itself, nor to one with which anyone could sign."""
    with pytest.raises(KeyFormatError, match="old key"):
        rotation_between(PUBLIC, PUBLIC)
    with pytest.raises(KeyFormatError, match="small order"):
        rotation_between(PUBLIC, IDENTITY)
    with pytest.raises(KeyFormatError, match="32 bytes"):
        rotation_between(PUBLIC, OTHER_PUBLIC[:31])


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({"old_algorithm": "rsa"}, ["ROTATION_ALGORITHM"]),
        ({"new_algorithm": "Ed25519"}, ["ROTATION_ALGORITHM"]),
        ({"old_algorithm": "x", "new_algorithm": "y"}, ["ROTATION_ALGORITHM"] * 2),
        ({"old_key_fingerprint": "sha256:" + "0" * 64}, ["ROTATION_OLD_KEY"]),
        ({"new_key_fingerprint": "sha256:" + "0" * 64}, ["ROTATION_NEW_KEY"]),
        ({"new_public_key": "u" + b64u_encode(PUBLIC)}, ["ROTATION_NEW_KEY"]),
        ({"new_public_key": "u" + b64u_encode(PUBLIC[:31])}, ["ROTATION_KEY_ENCODING"]),
        ({"new_public_key": "u" + b64u_encode(PUBLIC + b"x")}, ["ROTATION_KEY_ENCODING"]),
        ({"new_public_key": "uA"}, ["ROTATION_KEY_ENCODING"]),
        ({"new_public_key": "u" + "A" * 42 + "B"}, ["ROTATION_KEY_ENCODING"]),
        (rotation(PUBLIC, IDENTITY), ["ROTATION_KEY_WEAK"]),
        (rotation(PUBLIC, b"\xff" * 32), ["ROTATION_KEY_WEAK"]),
        (
            {"new_public_key": "u" + b64u_encode(IDENTITY)},
            ["ROTATION_NEW_KEY", "ROTATION_KEY_WEAK"],
        ),
    ],
)
def test_each_rule_of_a_hand_over(changes: dict[str, str], codes: list[str]) -> None:
    """Each way to be no hand-over from the active key has its code, and all are found."""
    changed = msgspec.structs.replace(rotation_between(PUBLIC, OTHER_PUBLIC), **changes)
    faults = rotation_faults(changed, PUBLIC)
    assert [code for code, _, _ in faults] == codes
    assert {member for _, member, _ in faults} <= set(KeyRotation.__struct_fields__)


def test_a_hand_over_is_from_the_active_key() -> None:
    """The same hand-over does not hold for a chain that stands on another key."""
    made = rotation_between(PUBLIC, OTHER_PUBLIC)
    assert [code for code, _, _ in rotation_faults(made, OTHER_PUBLIC)] == ["ROTATION_OLD_KEY"]
