# SPDX-License-Identifier: Apache-2.0
"""A sender whose ephemeral key comes from a seed, written from RFC 9180, for vectors only.

Its AEAD is a parameter, because the RFC has no X25519 vector with AES-256-GCM: the A.1.1 and
A.2.1 vectors hold the rest of it in place.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

KEM_SUITE = b"KEM\x00\x20"


@dataclass(frozen=True)
class Aead:
    """One row of RFC 9180 §7.3."""

    number: int
    key_bytes: int
    cipher: type[AESGCM | ChaCha20Poly1305]


AES_128_GCM = Aead(1, 16, AESGCM)
AES_256_GCM = Aead(2, 32, AESGCM)
CHACHA20_POLY1305 = Aead(3, 32, ChaCha20Poly1305)


def seal_seeded(
    public_key: bytes,
    plaintext: bytes,
    ikm_e: bytes,
    *,
    aead: Aead = AES_256_GCM,
    info: bytes = b"",
    aad: bytes = b"",
) -> tuple[bytes, bytes]:
    """§6.1 SealBase with the ephemeral key pair of DeriveKeyPair(ikmE)."""
    suite = b"HPKE\x00\x20\x00\x01" + aead.number.to_bytes(2, "big")
    shared, enc = encap(public_key, derive_private_key(ikm_e))
    # §5.1 KeySchedule, mode 0, no PSK.
    context = (
        b"\x00"
        + labeled_extract(b"", b"psk_id_hash", b"", suite)
        + labeled_extract(b"", b"info_hash", info, suite)
    )
    secret = labeled_extract(shared, b"secret", b"", suite)
    key = labeled_expand(secret, b"key", context, aead.key_bytes, suite)
    nonce = labeled_expand(secret, b"base_nonce", context, 12, suite)
    return enc, aead.cipher(key).encrypt(nonce, plaintext, aad)


def derive_private_key(ikm: bytes) -> bytes:
    """§7.1.3 DeriveKeyPair for X25519: the private half."""
    return labeled_expand(
        labeled_extract(b"", b"dkp_prk", ikm, KEM_SUITE), b"sk", b"", 32, KEM_SUITE
    )


def encap(public_key: bytes, ephemeral: bytes) -> tuple[bytes, bytes]:
    """§4.1 Encap: the shared secret and the encapsulated key."""
    private = X25519PrivateKey.from_private_bytes(ephemeral)
    enc = private.public_key().public_bytes_raw()
    dh = private.exchange(X25519PublicKey.from_public_bytes(public_key))
    prk = labeled_extract(b"", b"eae_prk", dh, KEM_SUITE)
    return labeled_expand(prk, b"shared_secret", enc + public_key, 32, KEM_SUITE), enc


def labeled_extract(salt: bytes, label: bytes, ikm: bytes, suite: bytes) -> bytes:
    """§4 LabeledExtract."""
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, sha256)


def labeled_expand(prk: bytes, label: bytes, info: bytes, size: int, suite: bytes) -> bytes:
    """§4 LabeledExpand, for the sizes up to one hash that this suite needs."""
    labeled = size.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    return hmac.digest(prk, labeled + b"\x01", sha256)[:size]
