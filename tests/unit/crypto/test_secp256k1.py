# SPDX-License-Identifier: Apache-2.0
"""Signatures of a KMS become those of Ethereum, and nothing else does."""

from __future__ import annotations

import sys
from hashlib import sha256

import pytest
from eth_account import Account
from eth_keys.datatypes import Signature
from hypothesis import given
from hypothesis import strategies as st
from tests.curve import ORDER, CurveKey
from tests.leaks import everything_shown_by

from tallystick.crypto import secp256k1
from tallystick.crypto.keccak import keccak256
from tallystick.crypto.secp256k1 import (
    S_MAX,
    EvmSignature,
    address_of,
    checksum_address,
    low_s,
    public_key_of,
    read_address,
    read_der,
    read_public_key,
    read_raw,
    recover,
    recovered_address,
    sign_digest,
    signature_by,
    sound_point,
    write_public_key,
)
from tallystick.errors import KeyFormatError, MissingExtraError, SignatureFormatError

KEY = CurveKey(0x1234567890ABCDEF)
DIGEST = keccak256(b"something")
PUBLIC = b"".join(KEY.numbers)


def test_a_thousand_kms_signatures() -> None:
    """High or low s, whichever parity: each signature is recovered to its key's address, by us and
    by eth-keys, and has low s. All four combinations are among them."""
    seen: set[tuple[bool, int]] = set()
    for number in range(1000):
        key = CurveKey(int.from_bytes(sha256(b"%d" % (number % 40)).digest(), "big") % ORDER)
        hashed = keccak256 if number % 2 else (lambda data: sha256(data).digest())
        digest = hashed(b"message %d" % number)
        high = bool(number % 3 % 2)
        r, s = read_der(key.sign(digest, high=high))
        assert (s > S_MAX) is high
        signature = signature_by(b"".join(key.numbers), digest, r, s)
        assert signature is not None
        assert signature.s <= S_MAX
        assert recovered_address(digest, signature) == key.address
        seen.add((high, signature.y_parity))
        if number % 20 == 0:  # pure Python takes its time
            told = Signature(vrs=(signature.y_parity, signature.r, signature.s))
            found = told.recover_public_key_from_msg_hash(digest)
            assert found.to_checksum_address() == key.address
    assert len(seen) == 4


def test_both_values_of_s_give_one_signature() -> None:
    """A signature and its malleable twin end as the same 65 bytes."""
    r, s = read_der(KEY.sign(DIGEST))
    one, other = (signature_by(PUBLIC, DIGEST, r, each) for each in (s, ORDER - s))
    assert one is not None
    assert one == other


def test_another_key_gives_no_signature() -> None:
    """Neither recovery bit leads to a key that did not sign, nor to a digest that was not."""
    r, s = read_der(KEY.sign(DIGEST))
    assert signature_by(b"".join(CurveKey(7).numbers), DIGEST, r, s) is None
    assert signature_by(PUBLIC, keccak256(b"other"), r, s) is None


def test_every_cut_and_every_byte_of_der() -> None:
    """Cut off anywhere, lengthened, or with a byte changed: refused, or at least another
    signature, which recovers to nobody's key."""
    der = KEY.sign(DIGEST)
    for end in range(len(der)):
        with pytest.raises(SignatureFormatError):
            read_der(der[:end])
    with pytest.raises(SignatureFormatError):
        read_der(der + b"\0")
    for at in range(len(der)):
        changed = bytearray(der)
        changed[at] ^= 1
        try:
            r, s = read_der(bytes(changed))
        except SignatureFormatError:
            continue
        assert signature_by(PUBLIC, DIGEST, r, s) is None


@pytest.mark.parametrize(
    ("der", "words"),
    [
        ("3106020101020101", "no DER sequence"),
        ("3007020101020101", "no DER sequence"),
        ("308106020101020101", "no DER sequence"),
        ("3006030101020101", "no DER integer at byte 2"),
        ("3006020101030101", "no DER integer at byte 5"),
        ("300702010102020001", "zero too many"),
        ("300702020001020101", "zero too many"),
        ("3006020181020101", "negative"),
        ("3006020100020101", "between 1"),
        ("3006020101020100", "between 1"),
        ("3006020101020501", "cut off"),
        ("3006020001020101", "cut off|wrong length"),
        ("300702010102010100", "follows"),
        ("3027022200" + "ff" * 33 + "020101"[:6], "cut off|wrong length"),
        ("3026022100" + f"{ORDER:064x}" + "020101", "between 1"),
        ("3026020101022100" + f"{ORDER + 1:064x}", "between 1"),
        ("", "0 bytes"),
        ("30" * 80, "80 bytes"),
    ],
)
def test_der_of_other_forms(der: str, words: str) -> None:
    """Wrong tags and lengths, long forms, negative numbers, padding and numbers out of range."""
    with pytest.raises(SignatureFormatError, match=words):
        read_der(bytes.fromhex(der))


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Whatever comes: two numbers whose DER is these bytes, or a refusal; never another error."""
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    try:
        r, s = read_der(data)
    except SignatureFormatError:
        return
    assert encode_dss_signature(r, s) == data


@given(st.integers(min_value=1, max_value=ORDER - 1), st.integers(min_value=1, max_value=ORDER - 1))
def test_der_of_any_numbers(r: int, s: int) -> None:
    """What another encoder writes is read as it was meant."""
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    assert read_der(encode_dss_signature(r, s)) == (r, s)
    assert read_raw(r.to_bytes(32, "big") + s.to_bytes(32, "big")) == (r, s)
    assert low_s(s) == min(s, ORDER - s)


@pytest.mark.parametrize("raw", [b"", b"\1" * 63, b"\1" * 65, b"\0" * 64, b"\xff" * 64])
def test_raw_signatures_of_other_forms(raw: bytes) -> None:
    """64 bytes with two numbers in range, or nothing."""
    with pytest.raises(SignatureFormatError):
        read_raw(raw)


def test_sixty_five_bytes() -> None:
    """A signature survives its bytes; high s, bad v and zeros are refused."""
    signature = sign_digest(KEY.secret, DIGEST)
    data = signature.to_bytes()
    assert len(data) == 65
    assert signature.v in (27, 28)
    assert EvmSignature.from_bytes(data) == signature
    high = data[:32] + (ORDER - signature.s).to_bytes(32, "big") + data[64:]
    for wrong, words in (
        (high, "EIP-2"),
        (data[:64] + b"\x00", "v is 0"),
        (data[:64], "64 bytes"),
        (bytes(32) + data[32:], "r is not"),
        (data[:32] + bytes(32) + data[64:], "s is zero"),
    ):
        with pytest.raises(SignatureFormatError, match=words):
            EvmSignature.from_bytes(wrong)


def test_own_signatures_are_those_of_eth_account() -> None:
    """The same key signs the same digest with the same deterministic signature."""
    signature = sign_digest(KEY.secret, DIGEST)
    theirs = Account.unsafe_sign_hash(DIGEST, KEY.secret)
    assert (signature.r, signature.s, signature.v) == (theirs.r, theirs.s, theirs.v)
    assert recover(DIGEST, signature) == PUBLIC == public_key_of(KEY.secret)


def test_signatures_without_a_key() -> None:
    """Numbers that lead to no point of the curve are nobody's; a digest has 32 bytes."""
    assert recover(DIGEST, EvmSignature(r=5, s=5, y_parity=0)) is None
    assert recovered_address(DIGEST, EvmSignature(r=5, s=5, y_parity=1)) is None
    with pytest.raises(SignatureFormatError, match="31 bytes"):
        recover(DIGEST[:31], sign_digest(KEY.secret, DIGEST))


def test_public_keys() -> None:
    """SPKI as DER and PEM is read; other curves, points off the curve and rubbish are not."""
    assert read_public_key(KEY.spki) == read_public_key(KEY.pem) == PUBLIC
    assert write_public_key(PUBLIC) == KEY.pem
    assert read_public_key(KEY.pem.replace("\n", "\r\n")) == PUBLIC
    off = bytearray(KEY.spki)
    off[-1] ^= 1
    for wrong in (b"", bytes(off), KEY.spki[:-1], KEY.spki + b"\0", "x" * 20_000, KEY.pem[:80]):
        with pytest.raises(KeyFormatError):
            read_public_key(wrong)
    with pytest.raises(KeyFormatError):
        sound_point(bytes(64))
    with pytest.raises(KeyFormatError):
        sound_point(PUBLIC[:63])


def test_no_key_is_shown() -> None:
    """Secrets that are no keys are refused without a word of them."""
    for wrong in (b"\xff" * 32, bytes(32), b"\x77" * 31):
        with pytest.raises(KeyFormatError) as caught:
            sign_digest(wrong, DIGEST)
        assert "x77" not in str(caught.value)
        assert "xff" not in everything_shown_by(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "0xde709f2102306220921060314715629080e2fb77",
    ],
)
def test_checksums(address: str) -> None:
    """The examples of EIP-55: written so, read so, refused with one letter of the other case."""
    data = bytes.fromhex(address[2:])
    assert checksum_address(data) == address
    assert read_address(address) == read_address(address.lower()) == data
    at = next(at for at in range(2, 42) if address[at].isalpha())
    wrong = address[:at] + address[at].swapcase() + address[at + 1 :]
    if wrong != wrong.lower():
        with pytest.raises(KeyFormatError, match="typing error"):
            read_address(wrong)


@pytest.mark.parametrize(
    "text", ["", "0x", "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0x" + "g" * 40]
)
def test_texts_that_are_no_address(text: str) -> None:
    """0x and 40 digits, or nothing."""
    with pytest.raises(KeyFormatError):
        read_address(text)
    with pytest.raises(KeyFormatError):
        checksum_address(b"\1" * 19)


def test_addresses_of_keys() -> None:
    """A public key's address is what eth-account says it is."""
    assert address_of(PUBLIC) == KEY.address


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has not installed it reads which extra brings it."""
    secp256k1._library.cache_clear()
    monkeypatch.setitem(sys.modules, "coincurve", None)
    with pytest.raises(MissingExtraError, match=r"tallystick\[evm\]"):
        public_key_of(KEY.secret)
    secp256k1._library.cache_clear()
