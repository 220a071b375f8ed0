# SPDX-License-Identifier: Apache-2.0
"""HPKE seals to one X25519 key, and judges public keys more strictly than its backend."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from nacl.bindings import crypto_scalarmult
from nacl.exceptions import RuntimeError as SodiumError
from tests.unit.crypto.seeded_hpke import (
    AES_128_GCM,
    CHACHA20_POLY1305,
    Aead,
    derive_private_key,
    seal_seeded,
)

from tallystick.crypto.hpke import forensic_public_key, open_, public_key_weakness, seal
from tallystick.crypto.multibase import b64u_decode
from tallystick.errors import DecryptionError, KeyFormatError

ROOT = Path(__file__).resolve().parents[3]
SHARED = Path(os.environ.get("TALLY_SHARED") or ROOT.parent / "shared")
VECTORS = SHARED / "vectors" / "agent-receipts" / "disclosure_envelope_vectors.json"

# RFC 7748 §6.1.
ALICE = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
ALICE_PUBLIC = bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
BOB = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
BOB_PUBLIC = bytes.fromhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")

P = 2**255 - 19
ORDER_8 = (
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
)


def u(value: int) -> bytes:
    """A number as a u-coordinate."""
    return value.to_bytes(32, "little")


def with_top_bit(key: bytes) -> bytes:
    """The same point to RFC 7748, spelt with the bit that it ignores."""
    return key[:31] + bytes([key[31] | 0x80])


LOW_ORDER_CANONICAL = [u(0), u(1), u(P - 1), *ORDER_8]
LOW_ORDER = [
    *LOW_ORDER_CANONICAL,
    u(P),
    u(P + 1),
    *[with_top_bit(key) for key in [*LOW_ORDER_CANONICAL, u(P), u(P + 1)]],
]
NOT_CANONICAL = [u(P + 9), u(2**255 - 1), with_top_bit(ALICE_PUBLIC), with_top_bit(u(9))]

RFC_9180: list[dict[str, Any]] = [
    {
        "section": "A.1.1",
        "aead": AES_128_GCM,
        "ikm_e": "7268600d403fce431561aef583ee1613527cff655c1343f29812e66706df3234",
        "sk_e": "52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736",
        "enc": "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431",
        "public": "3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d",
        "ct": "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a9"
        "6d8770ac83d07bea87e13c512a",
    },
    {
        "section": "A.2.1",
        "aead": CHACHA20_POLY1305,
        "ikm_e": "909a9b35d3dc4713a5e72a4da274b55d3d3821a37e5d099e74a647db583a904b",
        "sk_e": "f4ec9b33b792c372c1d2c2063507b684ef925b8c75a42dbcbf57d63ccd381600",
        "enc": "1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a",
        "public": "4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a",
        "ct": "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db"
        "21993c62ce81883d2dd1b51a28",
    },
]


def shared_vectors() -> list[dict[str, Any]]:
    """The published envelopes, counted."""
    if not VECTORS.exists():
        pytest.skip(f"shared vectors not found at {VECTORS}; set TALLY_SHARED")
    vectors: list[dict[str, Any]] = json.loads(VECTORS.read_text())["vectors"]
    assert len(vectors) == 2
    return vectors


@pytest.mark.parametrize("vector", RFC_9180, ids=lambda v: v["section"])
def test_seeded_sender_is_rfc_9180(vector: dict[str, Any]) -> None:
    """The tests' own sender reproduces the base mode vectors of the RFC byte for byte."""
    aead: Aead = vector["aead"]
    enc, ct = seal_seeded(
        bytes.fromhex(vector["public"]),
        b"Beauty is truth, truth beauty",
        bytes.fromhex(vector["ikm_e"]),
        aead=aead,
        info=b"Ode on a Grecian Urn",
        aad=b"Count-0",
    )
    assert (enc.hex(), ct.hex()) == (vector["enc"], vector["ct"])
    assert derive_private_key(bytes.fromhex(vector["ikm_e"])).hex() == vector["sk_e"]


def test_shared_vectors_are_reproduced_and_opened() -> None:
    """The seeded sender makes the shared vectors' bytes, and `open_` reads them."""
    private = {"forensic-test-recipient-1": ALICE, "forensic-test-recipient-2": BOB}
    for vector in shared_vectors():
        key = private[vector["recipient"]]
        plaintext = vector["plaintext_canonical_jcs"].encode()
        envelope = vector["envelope_object"]
        enc, ct = b64u_decode(envelope["recipients"][0]["enc"]), b64u_decode(envelope["ct"])
        seed = bytes.fromhex(vector["hpke_ephemeral"]["ikmE_hex"])
        assert seal_seeded(forensic_public_key(key), plaintext, seed) == (enc, ct)
        assert open_(key, enc, ct) == plaintext


def test_public_keys_of_rfc_7748() -> None:
    """A private key gives the public key that RFC 7748 prints for it."""
    assert forensic_public_key(ALICE) == ALICE_PUBLIC
    assert forensic_public_key(BOB) == BOB_PUBLIC


@given(plaintext=st.binary(max_size=300), private=st.binary(min_size=32, max_size=32))
def test_open_inverts_seal(plaintext: bytes, private: bytes) -> None:
    """What is sealed to a key opens with it, and costs 32 + 16 bytes."""
    enc, ct = seal(forensic_public_key(private), plaintext)
    assert (len(enc), len(ct)) == (32, len(plaintext) + 16)
    assert open_(private, enc, ct) == plaintext


@given(plaintext=st.binary(max_size=100), seed=st.binary(min_size=32, max_size=32))
def test_opens_what_the_seeded_sender_seals(plaintext: bytes, seed: bytes) -> None:
    """A second implementation of the sender meets our receiver."""
    assert open_(BOB, *seal_seeded(BOB_PUBLIC, plaintext, seed)) == plaintext


def test_every_seal_is_fresh() -> None:
    """The same plaintext never gives the same bytes twice."""
    sealed = [seal(ALICE_PUBLIC, b"{}") for _ in range(8)]
    assert len({enc for enc, _ in sealed}) == len({ct for _, ct in sealed}) == 8


@given(bit=st.integers(min_value=0, max_value=(32 + 18) * 8 - 1))
def test_any_flipped_bit_is_refused(bit: int) -> None:
    """One changed bit of encapsulated key, ciphertext or tag opens nothing."""
    enc, ct = seal(ALICE_PUBLIC, b"{}")
    altered = bytearray(enc + ct)
    altered[bit // 8] ^= 1 << bit % 8
    with pytest.raises(DecryptionError):
        open_(ALICE, bytes(altered[:32]), bytes(altered[32:]))


def test_wrong_key_is_refused() -> None:
    """What is sealed to Alice does not open for Bob."""
    with pytest.raises(DecryptionError, match="not sealed to this key"):
        open_(BOB, *seal(ALICE_PUBLIC, b"{}"))


@pytest.mark.parametrize("key", LOW_ORDER, ids=bytes.hex)
def test_low_order_list_is_what_libraries_call_weak(key: bytes) -> None:
    """Each key on our list gives a shared secret of zeros, by the word of two libraries."""
    with pytest.raises(SodiumError):
        crypto_scalarmult(ALICE, key)
    with pytest.raises(ValueError, match="shared key"):
        X25519PrivateKey.from_private_bytes(ALICE).exchange(X25519PublicKey.from_public_bytes(key))
    assert public_key_weakness(key) == "small order"


@pytest.mark.parametrize("key", NOT_CANONICAL, ids=bytes.hex)
def test_second_spellings_are_not_canonical(key: bytes) -> None:
    """A public key has one spelling; the others are named as such."""
    assert public_key_weakness(key) == "not canonical"


@pytest.mark.parametrize("key", [ALICE_PUBLIC, BOB_PUBLIC, u(2), u(9), u(P - 2)], ids=bytes.hex)
def test_sound_keys_have_no_weakness(key: bytes) -> None:
    """Ordinary keys, the base point and the neighbours of weak ones are sound."""
    assert public_key_weakness(key) is None


@pytest.mark.parametrize("key", [*LOW_ORDER, *NOT_CANONICAL], ids=bytes.hex)
def test_weak_public_key_is_refused_both_ways(key: bytes) -> None:
    """Nothing is sealed to a weak key, and nothing opens with one as the encapsulated key."""
    with pytest.raises(KeyFormatError, match=r"small order|not canonical"):
        seal(key, b"{}")
    with pytest.raises(DecryptionError, match=r"small order|not canonical"):
        open_(ALICE, key, bytes(18))


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_sizes_are_checked(size: int) -> None:
    """Keys that have not 32 bytes are refused by name, before any work."""
    with pytest.raises(KeyFormatError, match="public key has 32 bytes"):
        seal(bytes(size), b"{}")
    with pytest.raises(KeyFormatError, match="private key has 32 bytes"):
        open_(bytes(size), ALICE_PUBLIC, bytes(18))
    with pytest.raises(KeyFormatError, match="private key has 32 bytes"):
        forensic_public_key(bytes(size))
    with pytest.raises(DecryptionError, match="encapsulated key"):
        open_(ALICE, bytes(size), bytes(18))


def test_short_ciphertext_is_refused() -> None:
    """A ciphertext without room for its tag says so."""
    with pytest.raises(DecryptionError, match="15 bytes"):
        open_(ALICE, BOB_PUBLIC, bytes(15))


def test_import_stays_light() -> None:
    """Importing the module does not load `cryptography`."""
    code = "import sys, tallystick.crypto.hpke; sys.exit('cryptography' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    assert (
        subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0
    )
