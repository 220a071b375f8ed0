# SPDX-License-Identifier: Apache-2.0
"""Ed25519 keys and signatures, good and bad."""

from __future__ import annotations

import copy
import hashlib
import json
import pickle
import subprocess
import sys
from collections.abc import Callable

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from tests.leaks import everything_shown_by

from tallystick.crypto import ed25519
from tallystick.crypto.checking import check
from tallystick.crypto.ed25519 import (
    ErasableKey,
    KeyPair,
    SigningKey,
    key_weakness,
    overwrite,
    private_key_pem,
    public_key_from,
    public_key_pem,
    signature_fault,
    signing_key_from_pem,
)
from tallystick.crypto.multibase import did_key_encode
from tallystick.errors import KeyFormatError, SigningError
from tallystick.limits import KEY_CACHE_ENTRIES_MAX, KEY_FILE_BYTES_MAX

RAW32 = st.binary(min_size=32, max_size=32)
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PAIR = KeyPair.from_seed(SEED)
KEY = PAIR.signing_key()
RAW = KEY.public_key
BODY = PAIR.private_key.splitlines()[1]

# RFC 8032, §7.1: seed, public key, message, signature.
RFC8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701c"
        "f9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0"
        "f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f76098"
        "4dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]

# --- The curve, written plainly: an oracle that shares no code with what it judges. ---
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
Point = tuple[int, int]
IDENTITY: Point = (0, 1)


def _add(a: Point, b: Point) -> Point:
    product = D * a[0] * b[0] * a[1] * b[1] % P
    x = (a[0] * b[1] + b[0] * a[1]) * pow(1 + product, -1, P) % P
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - product, -1, P) % P
    return x, y


def _times(factor: int, point: Point) -> Point:
    total = IDENTITY
    while factor:
        if factor & 1:
            total = _add(total, point)
        point, factor = _add(point, point), factor >> 1
    return total


def _encode(point: Point) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def _decode(data: bytes) -> Point:
    number = int.from_bytes(data, "little")
    y, sign = number & (2**255 - 1), number >> 255
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    assert (x * x - square) % P == 0
    return (x if x & 1 == sign else P - x), y


def _torsion() -> list[Point]:
    """Return the eight points of small order: multiples of one whose order is 8."""
    y = 2
    while True:
        y += 1
        try:
            point = _times(L, _decode(y.to_bytes(32, "little")))
        except AssertionError:
            continue
        if _times(4, point) != IDENTITY:
            return [_times(factor, point) for factor in range(8)]


TORSION = _torsion()
# Every encoding that some decoder takes for a point of small order: the eight canonical ones,
# x = 0 with its sign bit set, and y = 0 and y = 1 written as p and p + 1, with either sign bit.
SMALL_ORDER = sorted(
    {_encode(point) for point in TORSION}
    | {(y | 1 << 255).to_bytes(32, "little") for y in (1, P - 1)}
    | {(y | sign << 255).to_bytes(32, "little") for y in (P, P + 1) for sign in (0, 1)}
)
NOT_CANONICAL = [
    (y | sign << 255).to_bytes(32, "little") for y in range(P + 2, 2**255) for sign in (0, 1)
]


def _scalar(seed: bytes) -> int:
    data = bytearray(hashlib.sha512(seed).digest()[:32])
    data[0] &= 248
    data[31] = data[31] & 127 | 64
    return int.from_bytes(data, "little")


def _challenge(r: bytes, public_key: bytes, message: bytes) -> int:
    return int.from_bytes(hashlib.sha512(r + public_key + message).digest(), "little") % L


def test_the_list_of_small_order_points_is_complete() -> None:
    """Eight points, fourteen encodings; among them the published ones."""
    assert len(set(TORSION)) == 8
    assert len(SMALL_ORDER) == 14
    known = ["01" + "00" * 31, "ec" + "ff" * 30 + "7f", "00" * 32, "00" * 31 + "80"]
    known += ["26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"]
    known += ["c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"]
    assert {bytes.fromhex(text) for text in known} <= set(SMALL_ORDER)


# --- Keys and signatures as they should be ---


@pytest.mark.parametrize(("seed", "public", "message", "signature"), RFC8032)
def test_rfc_8032_vectors(seed: str, public: str, message: str, signature: str) -> None:
    """The RFC's own keys and signatures come out byte for byte."""
    key = SigningKey.from_seed(bytes.fromhex(seed))
    assert key.public_key.hex() == public
    assert key.sign(bytes.fromhex(message)).hex() == signature
    assert check(bytes.fromhex(signature), bytes.fromhex(message), bytes.fromhex(public))


@given(RAW32, st.binary(max_size=200))
def test_signatures_equal_the_other_implementation(seed: bytes, message: bytes) -> None:
    """Our signature is `cryptography`'s, and each accepts the other's."""
    key, peer = SigningKey.from_seed(seed), Ed25519PrivateKey.from_private_bytes(seed)
    signature = key.sign(message)
    assert signature == peer.sign(message)
    peer.public_key().verify(signature, message)
    assert check(signature, message, key.public_key)
    assert signature_fault(signature) is None
    assert key_weakness(key.public_key) is None


@given(st.binary(max_size=40), st.data())
def test_any_flipped_bit_is_refused(message: bytes, data: st.DataObject) -> None:
    """One bit flipped in signature, message or key: not accepted."""
    parts = [KEY.sign(message), message, RAW]
    which = data.draw(st.sampled_from([0, 1, 2] if message else [0, 2]))
    bit = data.draw(st.integers(0, len(parts[which]) * 8 - 1))
    flipped = bytearray(parts[which])
    flipped[bit // 8] ^= 1 << bit % 8
    parts[which] = bytes(flipped)
    assert not check(*parts)


@given(st.binary(max_size=100), st.binary(max_size=100), st.binary(max_size=70))
def test_check_never_raises(signature: bytes, message: bytes, public_key: bytes) -> None:
    """Arbitrary bytes of arbitrary lengths are simply not a signature."""
    assert check(signature, message, public_key) is False


@pytest.mark.parametrize("size", [0, 1, 31, 33, 64])
def test_check_measures_the_key(size: int) -> None:
    """A key of another length is never handed to C."""
    assert check(KEY.sign(b"m"), b"m", (RAW * 2)[:size]) is False


@pytest.mark.parametrize("size", [0, 1, 63, 65, 128])
def test_check_measures_the_signature(size: int) -> None:
    """A cut or extended signature is refused, also when what follows is the message."""
    assert check((KEY.sign(b"m") * 2)[:size], b"m", RAW) is False
    assert check(KEY.sign(b"m")[:60], KEY.sign(b"m")[60:] + b"m", RAW) is False


# --- Signatures that some implementations accept ---


def test_s_plus_l_is_refused_and_named() -> None:
    """S + L satisfies the equation but is a second spelling: malleability."""
    signature = KEY.sign(b"m")
    s = int.from_bytes(signature[32:], "little")
    for multiple in range(1, 2**256 // L):
        number = s + multiple * L
        if number >= 2**256:
            break
        other = signature[:32] + number.to_bytes(32, "little")
        assert signature_fault(other) == "s"
        assert check(other, b"m", RAW) is False


def test_s_is_compared_with_l_exactly() -> None:
    """L - 1 is the largest S; L and everything above are faults."""
    r = KEY.sign(b"m")[:32]
    for s, fault in [(0, None), (L - 1, None), (L, "s"), (L + 1, "s"), (2**256 - 1, "s")]:
        assert signature_fault(r + s.to_bytes(32, "little")) == fault


@pytest.mark.parametrize("r", SMALL_ORDER, ids=bytes.hex)
def test_small_order_r_is_named(r: bytes) -> None:
    """R without a secret in it is a fault, in each of its encodings, and no check accepts it."""
    s = _challenge(r, RAW, b"m") * _scalar(SEED) % L
    signature = r + s.to_bytes(32, "little")
    assert signature_fault(signature) == "r"
    assert check(signature, b"m", RAW) is False


def test_identity_r_satisfies_the_equation() -> None:
    """The case above is a real one: with R the identity, S = h·a solves S·B = R + h·A."""
    r = _encode(IDENTITY)
    s = _challenge(r, RAW, b"m") * _scalar(SEED) % L
    base = _decode((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
    assert _encode(_times(s, base)) == _encode(_times(_challenge(r, RAW, b"m"), _decode(RAW)))


@pytest.mark.parametrize("r", NOT_CANONICAL, ids=bytes.hex)
def test_r_that_is_not_canonical_is_named(r: bytes) -> None:
    """R with y ≥ p is a second spelling of a point."""
    signature = r + KEY.sign(b"m")[32:]
    assert signature_fault(signature) == "r"
    assert check(signature, b"m", RAW) is False


@pytest.mark.parametrize("size", [0, 63, 65])
def test_signature_fault_wants_64_bytes(size: int) -> None:
    """A signature of another length is a fault and no crash."""
    assert signature_fault(bytes(size)) == "length"


# --- Keys under which signatures prove nothing ---


@pytest.mark.parametrize("public_key", SMALL_ORDER, ids=bytes.hex)
def test_small_order_key_is_weak(public_key: bytes) -> None:
    """Under such a key one signature fits many messages: weak in every encoding, never accepted."""
    assert key_weakness(public_key) == "small order"
    for r in SMALL_ORDER:
        assert check(r + bytes(32), b"m", public_key) is False


@pytest.mark.parametrize("public_key", NOT_CANONICAL, ids=bytes.hex)
def test_key_that_is_not_canonical_is_weak(public_key: bytes) -> None:
    """y ≥ p is a second spelling of some key, or of none."""
    assert key_weakness(public_key) == "not canonical"
    assert check(KEY.sign(b"m"), b"m", public_key) is False


@pytest.mark.parametrize("factor", range(1, 8))
def test_mixed_order_key_is_weak(factor: int) -> None:
    """A sound key plus a point of order 2, 4 or 8: verifiers disagree about its signatures."""
    mixed = _encode(_add(_decode(RAW), TORSION[factor]))
    assert key_weakness(mixed) == "mixed order"


def test_key_off_the_curve_is_weak() -> None:
    """About half of all y have no x."""
    answers = {key_weakness(y.to_bytes(32, "little")) for y in range(2, 40)}
    assert "not on the curve" in answers
    assert key_weakness((2).to_bytes(32, "little")) == "not on the curve"


@given(RAW32)
def test_key_weakness_agrees_with_the_plain_curve(data: bytes) -> None:
    """For any bytes: weak, or a point that L times itself is the identity."""
    weakness = key_weakness(data)
    try:
        point = _decode(data)
    except AssertionError:
        assert weakness in {"not on the curve", "not canonical"}
        return
    assert (weakness is None) == (_times(L, point) == IDENTITY and _encode(point) == data)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_key_weakness_wants_32_bytes(size: int) -> None:
    """Bytes of another length are weak and no crash."""
    assert key_weakness(bytes(size)) == "not 32 bytes"


# --- Forms of keys ---


def test_public_key_from_every_form() -> None:
    """Raw bytes, PEM and did:key, as text or as the bytes of a file, give the same key."""
    did = did_key_encode(RAW)
    forms: list[str | bytes] = [RAW, PAIR.public_key, PAIR.public_key.encode(), did, did.encode()]
    forms += [did + "\n", "\n" + PAIR.public_key, PAIR.public_key.replace("\n", "\r\n")]
    for form in forms:
        assert public_key_from(form) == RAW


@pytest.mark.parametrize(
    "key", ["", b"", RAW.hex(), RAW + b"\n", RAW[:31], "did:web:a", "did:key:z", "\ud800", "é"]
)
def test_public_key_from_refuses_the_rest(key: str | bytes) -> None:
    """Other forms are refused by name."""
    with pytest.raises(KeyFormatError):
        public_key_from(key)


def test_public_key_from_does_not_judge() -> None:
    """Reading and judging are two questions: a weak key is read."""
    assert public_key_from(_encode(IDENTITY)) == _encode(IDENTITY)
    assert public_key_from(public_key_pem(_encode(IDENTITY))) == _encode(IDENTITY)


def test_private_key_where_a_public_one_is_wanted() -> None:
    """The mistake is named, and the private key is nowhere in the error."""
    with pytest.raises(
        KeyFormatError, match="a private key where a public key is wanted"
    ) as caught:
        public_key_from(PAIR.private_key)
    assert BODY not in everything_shown_by(caught.value)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_pem_of_other_lengths(size: int) -> None:
    """Only 32 bytes have a PEM; a seed of another length is not shown."""
    seed = b"\xabSECRET-SEED" * 4
    for refuse in (private_key_pem, public_key_pem, SigningKey.from_seed, KeyPair.from_seed):
        with pytest.raises(KeyFormatError, match="32") as caught:
            refuse(seed[:size])
        if refuse is not public_key_pem:
            assert size == 0 or "SECRET" not in everything_shown_by(caught.value)


def test_pair_from_both_texts() -> None:
    """A pair can be made from its two PEM texts, and keeps them in our one form."""
    pair = KeyPair(private_key=PAIR.private_key.replace("\n", "\r\n"), public_key=PAIR.public_key)
    assert pair == PAIR
    assert (pair.private_key, pair.public_key) == (PAIR.private_key, PAIR.public_key)
    assert pair.private_key == private_key_pem(SEED)
    assert KeyPair.from_private_pem(PAIR.private_key.encode()) == PAIR
    assert SigningKey.from_pem(PAIR.private_key) == KEY


@pytest.mark.parametrize(
    ("private_key", "public_key", "message"),
    [
        (PAIR.private_key, KeyPair.from_seed(bytes(32)).public_key, "does not belong"),
        (PAIR.private_key, PAIR.private_key, "public_key is a private key"),
        (PAIR.public_key, PAIR.public_key, "private_key is a public key"),
        (PAIR.private_key + PAIR.private_key, PAIR.public_key, "private_key is 2 PEM blocks"),
        (PAIR.private_key, "", "public_key is empty"),
    ],
)
def test_pairs_that_do_not_belong_together(private_key: str, public_key: str, message: str) -> None:
    """A pair of two keys, or of one key twice, is refused without showing either."""
    with pytest.raises(KeyFormatError, match=message) as caught:
        KeyPair(private_key=private_key, public_key=public_key)
    assert BODY not in everything_shown_by(caught.value)


# --- The cache ---


def test_parsed_keys_are_remembered() -> None:
    """The same text gives the same object, as str or bytes; the cache stays bounded."""
    assert signing_key_from_pem(PAIR.private_key) is signing_key_from_pem(PAIR.private_key.encode())
    for number in range(KEY_CACHE_ENTRIES_MAX + 10):
        seed = number.to_bytes(32, "big")
        assert signing_key_from_pem(private_key_pem(seed)) == SigningKey.from_seed(seed)
    assert len(ed25519._parsed) == KEY_CACHE_ENTRIES_MAX
    assert signing_key_from_pem(PAIR.private_key) == KEY


@pytest.mark.parametrize(
    "text",
    ["", PAIR.public_key, BODY, PAIR.private_key * 2, PAIR.private_key + "\ud800", BODY * 10],
)
@pytest.mark.parametrize(
    "parse", [signing_key_from_pem, SigningKey.from_pem, KeyPair.from_private_pem]
)
def test_refused_texts_are_neither_remembered_nor_shown(
    parse: Callable[[str | bytes], object], text: str
) -> None:
    """A refusal leaves no entry, and no trace of the text in anything that the error carries."""
    before = list(ed25519._parsed)
    with pytest.raises(KeyFormatError) as caught:
        parse(text)
    assert list(ed25519._parsed) == before
    assert BODY not in everything_shown_by(caught.value)


def test_oversized_text_is_refused() -> None:
    """The bound on key files holds for key texts too."""
    with pytest.raises(KeyFormatError, match="larger than"):
        signing_key_from_pem(PAIR.private_key + " " * KEY_FILE_BYTES_MAX)


# --- Private keys stay private ---


@pytest.mark.parametrize("holder", [PAIR, KEY], ids=["KeyPair", "SigningKey"])
def test_holders_show_the_public_key_only(holder: KeyPair | SigningKey) -> None:
    """repr, str and format name the public key and nothing of the private one."""
    for text in (repr(holder), str(holder), f"{holder}", repr([holder])):
        assert did_key_encode(RAW) in text
        for secret in (BODY, BODY[22:], SEED.hex(), repr(SEED)[2:-1]):
            assert secret not in text


@pytest.mark.parametrize("holder", [PAIR, KEY], ids=["KeyPair", "SigningKey"])
def test_holders_are_not_dumped(holder: KeyPair | SigningKey) -> None:
    """Pickle, msgspec, json and vars refuse; copies are the object itself."""
    dumps: list[Callable[[object], object]] = [
        pickle.dumps,
        lambda value: pickle.dumps(value, protocol=0),
        lambda value: pickle.dumps([value]),
        json.dumps,
        msgspec.json.encode,
        msgspec.to_builtins,
        vars,
        lambda value: value.__reduce__(),
        lambda value: value.__getstate__(),
    ]
    for dump in dumps:
        with pytest.raises(TypeError) as caught:
            dump(holder)
        assert BODY not in str(caught.value)
    assert copy.copy(holder) is holder
    assert copy.deepcopy(holder) is holder


@pytest.mark.parametrize("name", ["private_key", "public_key", "_secret", "anything"])
def test_holders_are_immutable(name: str) -> None:
    """No attribute can be set or deleted."""
    for holder in (PAIR, KEY):
        with pytest.raises(AttributeError, match="immutable"):
            setattr(holder, name, "x")
        with pytest.raises(AttributeError, match="immutable"):
            delattr(holder, name)


def test_equality_looks_at_public_keys() -> None:
    """Equal keys are equal and hash alike; no other type is."""
    same, other = KeyPair.from_seed(SEED), KeyPair.from_seed(bytes(32))
    assert same == PAIR
    assert hash(PAIR) == hash(same)
    assert PAIR.signing_key() == same.signing_key()
    assert hash(KEY) == hash(same.signing_key())
    assert other not in (PAIR, KEY, None)
    assert other.signing_key() != KEY
    assert PAIR not in (KEY, PAIR.private_key, RAW)


def test_signing_needs_no_heavy_module() -> None:
    """Reading a PEM, signing and checking do not import `cryptography`."""
    code = (
        "import sys\n"
        "from tallystick.crypto import ed25519 as e\n"
        "from tallystick.crypto.checking import check\n"
        "pair = e.KeyPair.from_seed(bytes(32))\n"
        "key = e.signing_key_from_pem(pair.private_key)\n"
        "assert check(key.sign(b''), b'', e.public_key_from(pair.public_key))\n"
        "assert e.key_weakness(key.public_key) is None\n"
        "assert 'cryptography' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_an_erasable_key_signs_like_any_other() -> None:
    """Until it is erased, it is the key of its seed."""
    key = ErasableKey(seed=SEED)
    assert key.sign(b"x") == SigningKey(seed=SEED).sign(b"x")
    messages = [b"x" * size for size in (3, 0, 2000, 1)]
    assert key.sign_all(messages) == [key.sign(one) for one in messages]
    assert key.sign_all([]) == []
    assert not key.is_erased


def test_an_erased_key_is_gone() -> None:
    """Its bytes are overwritten where they lay, and it signs nothing; its public key stays."""
    key = ErasableKey(seed=SEED)
    held = key._secret
    key.erase()
    key.erase()
    assert held == bytes(64)
    assert key.is_erased
    assert len(key.public_key) == 32
    with pytest.raises(SigningError, match="erased"):
        key.sign(b"x")
    with pytest.raises(SigningError, match="erased"):
        key.sign_all([b"x"])


def test_overwriting_spares_what_the_interpreter_shares() -> None:
    """Bytes of length 0 and 1 exist once for everybody."""
    overwrite(b"")
    overwrite(b"a")
    assert list(b"a") == [97]
    alone = bytes(bytearray(b"secret"))
    overwrite(alone)
    assert alone == bytes(6)
