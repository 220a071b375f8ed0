# SPDX-License-Identifier: Apache-2.0
"""Asks libsodium whether Ed25519 signatures fit: one at a time, or packed for another process.

Imports nothing but libsodium's binding, so that a process which only checks starts at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from nacl._sodium import ffi
from nacl._sodium import lib as sodium

SIGNATURE_BYTES: Final = 64
KEY_BYTES: Final = 32
_SIZE_BYTES: Final = 4
_NO_BUFFER: Final = ffi.NULL


def check(signature: bytes, message: bytes, public_key: bytes) -> bool:
    """Tell whether libsodium accepts the signature; wrong lengths are simply not accepted."""
    # The binding hands the key to C unmeasured: a short one would be read past its end.
    if len(signature) != SIGNATURE_BYTES or len(public_key) != KEY_BYTES:
        return False
    signed = signature + message
    # Straight to libsodium: the wrapper would copy the message out again, which costs a verifier
    # of millions as much as reading a receipt. No buffer is written where there is none.
    answer: int = sodium.crypto_sign_open(_NO_BUFFER, _NO_BUFFER, signed, len(signed), public_key)
    return answer == 0


def pack(questions: Iterable[tuple[bytes, bytes, bytes]]) -> bytes:
    """Return (signature, message, public key) of each question in one piece for `check_packed`."""
    parts: list[bytes] = []
    for signature, message, public_key in questions:
        if len(signature) != SIGNATURE_BYTES or len(public_key) != KEY_BYTES:
            raise ValueError("a signature has 64 bytes and a key 32")
        signed_bytes = SIGNATURE_BYTES + len(message)
        parts += (signed_bytes.to_bytes(_SIZE_BYTES), public_key, signature, message)
    return b"".join(parts)


def check_packed(data: bytes) -> bytes:
    """Return what `check` answers for each question in the piece: a byte each, 1 or 0."""
    start = ffi.from_buffer("unsigned char[]", data)
    answers = bytearray()
    at, end = 0, len(data)
    while at < end:
        key_at = at + _SIZE_BYTES
        signed_at = key_at + KEY_BYTES
        signed_bytes = int.from_bytes(data[at:key_at])
        at = signed_at + signed_bytes
        if signed_bytes < SIGNATURE_BYTES or at > end:
            raise ValueError("the piece ends within a question")
        answer = sodium.crypto_sign_open(
            _NO_BUFFER, _NO_BUFFER, start + signed_at, signed_bytes, start + key_at
        )
        answers.append(answer == 0)
    return bytes(answers)
