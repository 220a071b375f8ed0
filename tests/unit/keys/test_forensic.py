# SPDX-License-Identifier: Apache-2.0
"""Forensic keys as text: one form is written, five are read, and no error shows a key."""

from __future__ import annotations

from base64 import b64encode

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa, x25519
from hypothesis import given
from hypothesis import strategies as st

from tallystick.crypto.hpke import forensic_public_key
from tallystick.crypto.multibase import b64u_encode
from tallystick.errors import KeyFormatError
from tallystick.keys.forensic import (
    forensic_key_from,
    forensic_key_pem,
    forensic_public_key_from,
    forensic_public_key_pem,
    generate_forensic_key_pair,
)
from tallystick.model.disclosure import decrypt_disclosure, encrypt_disclosure

# RFC 7748 §6.1.
ALICE = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
ALICE_PUBLIC = bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")

PEM, PKCS8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
SPKI = serialization.PublicFormat.SubjectPublicKeyInfo
OPEN = serialization.NoEncryption()
LOCKED = serialization.BestAvailableEncryption(b"password")


def plain_forms(key: bytes) -> list[bytes]:
    """The forms that are no PEM."""
    return [
        key,
        key.hex().encode(),
        key.hex().upper().encode() + b"\n",
        b"u" + b64u_encode(key).encode() + b"\n",
        b64encode(key) + b"\r\n",
    ]


def test_generated_pairs_work_and_differ() -> None:
    """A generated pair opens what is sealed to it, and no two are the same."""
    one, other = generate_forensic_key_pair(), generate_forensic_key_pair()
    assert one.private_key != other.private_key
    made = encrypt_disclosure({"a": 1}, one.public_key, one.kid)
    assert decrypt_disclosure(made, one.private_key) == {"a": 1}


@given(st.binary(min_size=32, max_size=32))
def test_pem_round_trip(private: bytes) -> None:
    """What is written is read back, for both halves."""
    public = forensic_public_key(private)
    assert forensic_key_from(forensic_key_pem(private).encode()) == private
    assert forensic_public_key_from(forensic_public_key_pem(public).encode()) == public


def test_pem_is_the_usual_form() -> None:
    """The PEM of Alice's pair, as every other tool writes it."""
    assert forensic_key_pem(ALICE) == (
        "-----BEGIN PRIVATE KEY-----\n"
        "MC4CAQAwBQYDK2VuBCIEIHcHbQpzGKV9PBbBclGyZkXfTC+H68CZKrF3+6UduSwq\n"
        "-----END PRIVATE KEY-----\n"
    )
    assert forensic_public_key_pem(ALICE_PUBLIC) == (
        "-----BEGIN PUBLIC KEY-----\n"
        "MCowBQYDK2VuAyEAhSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=\n"
        "-----END PUBLIC KEY-----\n"
    )


@pytest.mark.parametrize("form", [*plain_forms(ALICE), forensic_key_pem(ALICE).encode()])
def test_private_key_is_read_in_each_form(form: bytes) -> None:
    """PEM, raw, hexadecimal, multibase and base64 all give the same 32 bytes."""
    assert forensic_key_from(form) == ALICE


@pytest.mark.parametrize(
    "form",
    [
        *plain_forms(ALICE_PUBLIC),
        forensic_public_key_pem(ALICE_PUBLIC).encode(),
        forensic_public_key_pem(ALICE_PUBLIC).replace("\n", "\r\n").encode(),
    ],
)
def test_public_key_is_read_in_each_form(form: bytes) -> None:
    """The public half has the same forms."""
    assert forensic_public_key_from(form) == ALICE_PUBLIC


BROKEN = [
    b"",
    b"\n",
    bytes(31),
    bytes(33),
    ALICE + b"\n",
    b"0123456789abcdef0123456789abcdef",
    b"0123456789abcdef0123456789abcde\n",
    ALICE.hex().encode()[:-1],
    b"0x" + ALICE.hex().encode(),
    b"u" + b64u_encode(ALICE).encode()[:-1] + b"B",
    b64u_encode(ALICE).encode(),
    b64encode(ALICE)[:-1],
    b64encode(ALICE)[:-2] + b"r=",
    b"z" + b64u_encode(ALICE).encode(),
    b"\xff" * 64,
    forensic_key_pem(ALICE).encode()[:-30],
    forensic_key_pem(ALICE).replace("MC4", "MC5").encode(),
    forensic_public_key_pem(ALICE_PUBLIC).replace("MCow", "MCox").encode(),
    b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
]


@pytest.mark.parametrize("form", BROKEN, ids=lambda form: ascii(form)[:30])
def test_broken_keys_are_refused(form: bytes) -> None:
    """Near misses of every form are refused, and the error shows nothing of them."""
    for read in (forensic_key_from, forensic_public_key_from):
        with pytest.raises(KeyFormatError) as caught:
            read(form)
        text = form.decode("latin-1").strip()
        assert not text or text not in str(caught.value)
        assert ALICE.hex()[:16] not in str(caught.value)


def test_the_wrong_half_is_named() -> None:
    """A public key does not open, and a private key is not to be handed to emitters."""
    with pytest.raises(KeyFormatError, match="this is a public key"):
        forensic_key_from(forensic_public_key_pem(ALICE_PUBLIC).encode())
    with pytest.raises(KeyFormatError, match="this is a private key"):
        forensic_public_key_from(forensic_key_pem(ALICE).encode())


def test_other_algorithms_are_named() -> None:
    """A signing key is told from a forensic one."""
    signing = ed25519.Ed25519PrivateKey.from_private_bytes(ALICE)
    with pytest.raises(KeyFormatError, match="this one is Ed25519"):
        forensic_key_from(signing.private_bytes(PEM, PKCS8, OPEN))
    with pytest.raises(KeyFormatError, match="this one is Ed25519"):
        forensic_public_key_from(signing.public_key().public_bytes(PEM, SPKI))
    large = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    with pytest.raises(KeyFormatError, match="this one is RSA"):
        forensic_key_from(large.private_bytes(PEM, PKCS8, OPEN))


def test_encrypted_key_is_named() -> None:
    """A password-protected key says so."""
    locked = x25519.X25519PrivateKey.from_private_bytes(ALICE).private_bytes(PEM, PKCS8, LOCKED)
    with pytest.raises(KeyFormatError, match="password"):
        forensic_key_from(locked)


@pytest.mark.parametrize("key", [bytes(32), b"\xff" * 32, ALICE_PUBLIC[:31] + b"\xea"])
def test_weak_public_keys_are_refused(key: bytes) -> None:
    """A public key of small order or in a second spelling is refused when it is read."""
    for form in plain_forms(key):
        with pytest.raises(KeyFormatError, match=r"small order|not canonical"):
            forensic_public_key_from(form)


def test_sizes_are_checked_before_writing() -> None:
    """Only 32 bytes become PEM."""
    with pytest.raises(KeyFormatError, match="32 bytes, not 31"):
        forensic_key_pem(ALICE[:31])
    with pytest.raises(KeyFormatError, match="32 bytes, not 33"):
        forensic_public_key_pem(ALICE_PUBLIC + b"\0")
