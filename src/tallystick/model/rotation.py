# SPDX-License-Identifier: Apache-2.0
"""The hand-over of a chain from one key to the next, signed by the outgoing key."""

from __future__ import annotations

from typing import Literal

from tallystick.crypto.digest import sha256_tagged
from tallystick.crypto.ed25519 import key_weakness
from tallystick.crypto.multibase import b64u_decode, b64u_encode
from tallystick.errors import KeyFormatError, RefusedInput
from tallystick.model.fact import Fact
from tallystick.model.shapes import NonEmpty, PublicKeyText, Sha256

ROTATION_ACTION_TYPE = "agent.key.rotate"
_ALGORITHM = "ed25519"


class KeyRotation(Fact, frozen=True, kw_only=True):
    """The `keyRotation` member: which key hands over to which."""

    event_type: Literal["key_rotated"]
    new_algorithm: NonEmpty
    new_key_fingerprint: Sha256
    new_public_key: PublicKeyText
    old_algorithm: NonEmpty
    old_key_fingerprint: Sha256
    signed_with: Literal["old"]


def rotation_between(old_public_key: bytes, new_public_key: bytes) -> KeyRotation:
    """Return the hand-over from one raw public key to another."""
    weakness = key_weakness(new_public_key)
    if weakness:
        raise KeyFormatError(f"the new key is unusable: {weakness}")
    if old_public_key == new_public_key:
        raise KeyFormatError("the new key is the old key")
    return KeyRotation(
        event_type="key_rotated",
        signed_with="old",
        old_algorithm=_ALGORITHM,
        new_algorithm=_ALGORITHM,
        old_key_fingerprint=sha256_tagged(old_public_key),
        new_key_fingerprint=sha256_tagged(new_public_key),
        new_public_key="u" + b64u_encode(new_public_key),
    )


def rotation_faults(rotation: KeyRotation, active_key: bytes) -> list[tuple[str, str, str]]:
    """Return (code, member, message) for every way in which this is no hand-over from that key."""
    faults = [
        ("ROTATION_ALGORITHM", member, f"{algorithm!r} where only 'ed25519' is known")
        for member, algorithm in (
            ("old_algorithm", rotation.old_algorithm),
            ("new_algorithm", rotation.new_algorithm),
        )
        if algorithm != _ALGORITHM
    ]
    if rotation.old_key_fingerprint != sha256_tagged(active_key):
        faults.append(
            ("ROTATION_OLD_KEY", "old_key_fingerprint", "is not the key that the chain stands on")
        )
    new_key = incoming_key(rotation)
    if new_key is None:
        faults.append(("ROTATION_KEY_ENCODING", "new_public_key", "is not 32 bytes in base64url"))
        return faults
    if rotation.new_key_fingerprint != sha256_tagged(new_key):
        faults.append(
            ("ROTATION_NEW_KEY", "new_key_fingerprint", "is not the digest of new_public_key")
        )
    weakness = key_weakness(new_key)
    if weakness:
        faults.append(("ROTATION_KEY_WEAK", "new_public_key", f"is unusable: {weakness}"))
    return faults


def incoming_key(rotation: KeyRotation) -> bytes | None:
    """Return the 32 raw bytes of the incoming key, or None when there are none."""
    try:
        key = b64u_decode(rotation.new_public_key[1:])
    except RefusedInput:
        return None
    return key if len(key) == 32 else None
