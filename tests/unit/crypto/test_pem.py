# SPDX-License-Identifier: Apache-2.0
"""PEM of Ed25519 keys: the one text that is read, and words for all others."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from hypothesis import given
from hypothesis import strategies as st

from tallystick.crypto import pem
from tallystick.limits import KEY_FILE_BYTES_MAX

RAW32 = st.binary(min_size=32, max_size=32)
SEED = bytes(range(32))
PEER = Ed25519PrivateKey.from_private_bytes(SEED)
PRIVATE = pem.write_private(SEED).encode()
PUBLIC = pem.write_public(PEER.public_key().public_bytes_raw()).encode()
BODY = PRIVATE.splitlines()[1]
PUBLIC_BODY = PUBLIC.splitlines()[1]

PEM, PKCS8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
SPKI = serialization.PublicFormat.SubjectPublicKeyInfo
PLAIN = serialization.NoEncryption()


def _block(label: str, der: bytes) -> bytes:
    body = base64.encodebytes(der)
    return b"-----BEGIN %b-----\n%b-----END %b-----\n" % (label.encode(), body, label.encode())


@given(RAW32)
def test_private_pem_equals_the_other_implementation(seed: bytes) -> None:
    """Our PKCS#8 PEM is byte-equal to `cryptography`'s, and reads back."""
    text = pem.write_private(seed).encode()
    peer = Ed25519PrivateKey.from_private_bytes(seed)
    assert text == peer.private_bytes(PEM, PKCS8, PLAIN)
    assert pem.read_seed(text) == seed


@given(RAW32)
def test_public_pem_equals_the_other_implementation(seed: bytes) -> None:
    """Our SPKI PEM is byte-equal to `cryptography`'s, and reads back."""
    public: Ed25519PublicKey = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    text = pem.write_public(public.public_bytes_raw()).encode()
    assert text == public.public_bytes(PEM, SPKI)
    assert pem.read_public(text) == public.public_bytes_raw()


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.rstrip(b"\n"),
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: b"\n \t" + text + b"\r\n\n",
    ],
)
def test_white_space_around_and_crlf_are_fine(change: object) -> None:
    """A file edited elsewhere still reads: CRLF, no last line break, blank lines around."""
    assert callable(change)
    assert pem.read_seed(change(PRIVATE)) == SEED
    assert pem.read_public(change(PUBLIC)) == PEER.public_key().public_bytes_raw()


def _pkcs8(key: PrivateKeyTypes) -> bytes:
    return key.private_bytes(PEM, PKCS8, PLAIN)


VERSION_2 = (
    bytes.fromhex("3051020101300506032b657004220420")
    + SEED
    + bytes.fromhex("812100")
    + PEER.public_key().public_bytes_raw()
)
RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
OPENSSH = PEER.private_bytes(PEM, serialization.PrivateFormat.OpenSSH, PLAIN)
ENCRYPTED = PEER.private_bytes(PEM, PKCS8, serialization.BestAvailableEncryption(b"pass"))
LEGACY = RSA.private_bytes(PEM, serialization.PrivateFormat.TraditionalOpenSSL, PLAIN)
OLD_ENCRYPTED = LEGACY.replace(
    b"KEY-----\n", b"KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n", 1
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "empty, where a PKCS#8 PEM of an Ed25519 private key is wanted"),
        (b" \n", "empty"),
        (b"hello", "not PEM"),
        (b"\xff\xfe\x00", "not PEM"),
        (b"\x30\x2e" + bytes(46), "perhaps DER"),
        (SEED, "not PEM"),
        (b"a" * (KEY_FILE_BYTES_MAX + 1), "larger than"),
        (PRIVATE + PRIVATE, "2 PEM blocks"),
        (PRIVATE + PUBLIC, "2 PEM blocks"),
        (PUBLIC, "a public key where a private key is wanted"),
        (OPENSSH, "an OpenSSH private key (`tally keygen`"),
        (b"ssh-ed25519 AAAAC3Nza root@host", "an OpenSSH public key"),
        (ENCRYPTED, "an encrypted private key (`openssl pkey` removes"),
        (OLD_ENCRYPTED, "an encrypted private key"),
        (LEGACY, "an RSA key"),
        (_pkcs8(RSA), "an RSA key"),
        (_pkcs8(EC), "an EC key"),
        (EC.private_bytes(PEM, serialization.PrivateFormat.TraditionalOpenSSL, PLAIN), "an EC key"),
        (_pkcs8(dsa.generate_private_key(1024)), "a DSA key"),
        (_pkcs8(x25519.X25519PrivateKey.generate()), "an X25519 key (for encryption"),
        (_pkcs8(ed448.Ed448PrivateKey.generate()), "an Ed448 key"),
        (_block("PRIVATE KEY", VERSION_2), "a PKCS#8 key of version 2"),
        (_block("CERTIFICATE", b"x"), "a certificate"),
        (_block("SOMETHING NEW", b"x"), "a PEM block of another kind"),
        (_block("PRIVATE KEY", b"x" * 48), "a damaged or unknown key"),
        (b"-----BEGIN PRIVATE KEY-----\n", "a damaged or unknown key"),
        (PRIVATE.replace(BODY, BODY[:-1]), "a damaged or unknown key"),
        (PRIVATE.replace(BODY, BODY[:32] + b"\n" + BODY[32:]), "not in the one usual form"),
        (b"a note\n" + PRIVATE, "not in the one usual form"),
        (b"\xef\xbb\xbf" + PRIVATE, "not in the one usual form"),
    ],
)
def test_what_is_no_private_key_is_named(text: bytes, message: str) -> None:
    """Each other thing that people have as a key is refused by its own name."""
    found = pem.read_seed(text)
    assert isinstance(found, str)
    assert message in found
    assert "wanted" in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PRIVATE, "a private key where a public key is wanted"),
        (RSA.public_key().public_bytes(PEM, SPKI), "an RSA key"),
        (EC.public_key().public_bytes(PEM, SPKI), "an EC key"),
        (x25519.X25519PrivateKey.generate().public_key().public_bytes(PEM, SPKI), "an X25519 key"),
        (OPENSSH, "an OpenSSH private key"),
        (ENCRYPTED, "an encrypted private key"),
        (PUBLIC + PUBLIC, "2 PEM blocks"),
        (PUBLIC.replace(b"=", b""), "a damaged or unknown key"),
        (b"", "empty, where a PEM of an Ed25519 public key is wanted"),
    ],
)
def test_what_is_no_public_key_is_named(text: bytes, message: str) -> None:
    """The same for public keys."""
    found = pem.read_public(text)
    assert isinstance(found, str)
    assert message in found
    assert "wanted" in found


def test_trailing_bits_of_a_public_pem_must_be_zero() -> None:
    """The two unused bits of the last base64 character are part of the form."""
    assert PUBLIC_BODY.endswith(b"=")
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = alphabet.index(PUBLIC_BODY[-2])
    for bits in (1, 2, 3):
        body = PUBLIC_BODY[:-2] + alphabet[last | bits : (last | bits) + 1] + b"="
        assert base64.b64decode(body) == base64.b64decode(PUBLIC_BODY)
        assert isinstance(pem.read_public(PUBLIC.replace(PUBLIC_BODY, body)), str)


@given(st.integers(0, len(PRIVATE) - 1), st.integers(0, 255))
def test_one_changed_byte_never_reads_as_the_same_key(index: int, value: int) -> None:
    """A changed byte outside of white space changes the seed or is refused, without quoting."""
    text = PRIVATE[:index] + bytes([value]) + PRIVATE[index + 1 :]
    found = pem.read_seed(text)
    if text == PRIVATE or text.split() == PRIVATE.split():
        return
    assert found != SEED
    if isinstance(found, str):
        assert BODY.decode()[24:40] not in found


@given(st.binary(max_size=300))
def test_any_bytes_give_an_answer(data: bytes) -> None:
    """Reading never raises."""
    for text in (data, _block("PRIVATE KEY", data), _block("PUBLIC KEY", data)):
        assert isinstance(pem.read_seed(text), str | bytes)
        assert isinstance(pem.read_public(text), str | bytes)
