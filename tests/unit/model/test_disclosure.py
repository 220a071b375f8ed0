# SPDX-License-Identifier: Apache-2.0
"""Disclosure envelopes: the exact shape of version 1, and what is inside."""

from __future__ import annotations

import copy
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it has no types
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from obsigna.receipt import disclosure as obsigna
from rich.console import Console

from tallystick.crypto import hpke
from tallystick.crypto.canonical import canonicalize
from tallystick.crypto.digest import sha256_tagged
from tallystick.crypto.multibase import b64u_decode, b64u_encode
from tallystick.errors import (
    CanonicalError,
    DecryptionError,
    EnvelopeError,
    KeyFormatError,
    LimitError,
)
from tallystick.limits import DISCLOSURE_BYTES_MAX, RECEIPT_BYTES_MAX
from tallystick.model.disclosure import (
    DisclosureEnvelope,
    DisclosureRecipient,
    ForensicKeyPair,
    decrypt_disclosure,
    decrypt_response,
    disclosure_matches,
    encrypt_disclosure,
    encrypt_response,
    forensic_kid,
    generate_forensic_key_pair,
    parse_envelope,
)

ROOT = Path(__file__).resolve().parents[3]
SHARED = Path(os.environ.get("TALLY_SHARED") or ROOT.parent / "shared")
VECTORS = SHARED / "vectors" / "agent-receipts" / "disclosure_envelope_vectors.json"
SCHEMA = SHARED / "schema" / "parameters-disclosure.schema.json"

# RFC 7748 §6.1.
ALICE = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
ALICE_PUBLIC = bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
BOB = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
PRIVATE = {"forensic-test-recipient-1": ALICE, "forensic-test-recipient-2": BOB}

KID = "did:key:z6LSeu9HkTHSfLLeUs2nnzUSNedgDUevfNQUQUaHL9XJ7Z5W#enc-1"
PARAMETERS = {"command": "rm -rf build", "retries": 3, "env": {"PATH": "/bin", "ŁÓDŹ": None}}

# JSON objects that both implementations canonicalize alike.
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(max_size=6), JSON, max_size=5)


def envelope() -> dict[str, Any]:
    """A well-formed envelope; each test spoils its own copy."""
    return {
        "v": "1",
        "alg": "hpke-x25519-hkdf-sha256-aes-256-gcm",
        "recipients": [{"kid": KID, "enc": "N_2jVnvb1ijohmjDyNfpfR0SU7bU6m1EwVD3QfG_RDE"}],
        "ct": "YGn3i4NpiZxHjeZVggTP8lTxb0ZVdLl-2HjW31qsvo28PjQ_Lt_UQgAMidEXjzwhJPHM7OM",
    }


def sealed(plaintext: bytes) -> dict[str, Any]:
    """An envelope around bytes that `encrypt_disclosure` would never seal."""
    enc, ct = hpke.seal(ALICE_PUBLIC, plaintext)
    return {
        **envelope(),
        "recipients": [{"kid": KID, "enc": b64u_encode(enc)}],
        "ct": b64u_encode(ct),
    }


def shared_vectors() -> list[dict[str, Any]]:
    """The published envelopes, counted."""
    if not VECTORS.exists():
        pytest.skip(f"shared vectors not found at {VECTORS}; set TALLY_SHARED")
    vectors: list[dict[str, Any]] = json.loads(VECTORS.read_text())["vectors"]
    assert len(vectors) == 2
    return vectors


# ---- shape


def test_shared_vectors_open() -> None:
    """Each shared envelope parses, is canonical in our field order, and opens to its object."""
    for vector in shared_vectors():
        parsed = parse_envelope(vector["envelope_object"])
        canonical = vector["envelope_canonical_jcs"].encode()
        assert msgspec.json.encode(parsed) == canonicalize(parsed.to_dict()) == canonical
        assert msgspec.json.decode(canonical, type=DisclosureEnvelope) == parsed
        plain = decrypt_disclosure(parsed, PRIVATE[vector["recipient"]])
        assert plain == vector["plaintext_object"]
        assert decrypt_disclosure(vector["envelope_object"], PRIVATE[vector["recipient"]]) == plain
        assert canonicalize(plain) == vector["plaintext_canonical_jcs"].encode()


def test_kid_of_the_second_shared_recipient_is_no_fingerprint() -> None:
    """`kid` is only an index: a published one does not even hash the key that it stands for."""
    vector = shared_vectors()[1]
    kid = vector["envelope_object"]["recipients"][0]["kid"]
    assert kid.startswith("sha256:")
    assert kid != forensic_kid(hpke.forensic_public_key(BOB))


Spoil = Callable[[dict[Any, Any]], object]


def member(name: object, value: object) -> Spoil:
    """Set one member of the envelope."""
    return lambda spoilt: spoilt.__setitem__(name, value)


def recipient(name: str, value: object) -> Spoil:
    """Set one member of its recipient."""
    return lambda spoilt: spoilt["recipients"][0].__setitem__(name, value)


SHAPE_FAULTS: list[tuple[str, Spoil, str]] = [
    ("v is a number", member("v", 1), "v is not a string"),
    ("v is 2", member("v", "2"), 'v is not "1"'),
    ("v with space", member("v", "1 "), 'v is not "1"'),
    ("alg is null", member("alg", None), "alg is not a string"),
    ("alg in capitals", member("alg", envelope()["alg"].upper()), "alg is not"),
    ("alg with suffix", member("alg", envelope()["alg"] + "-v1"), "alg is not"),
    ("alg with line feed", member("alg", envelope()["alg"] + "\n"), "alg is not"),
    ("no recipients", member("recipients", []), "0 recipients"),
    ("two recipients", member("recipients", envelope()["recipients"] * 2), "2 recipients"),
    ("recipients is an object", member("recipients", {"0": {}}), "recipients is not an array"),
    ("recipients is text", member("recipients", "x"), "recipients is not an array"),
    ("recipient is text", member("recipients", ["x"]), r"recipients\[0\] is not an object"),
    ("recipient is null", member("recipients", [None]), r"recipients\[0\] is not an object"),
    ("recipient is empty", member("recipients", [{}]), r"recipients\[0\] lacks enc, kid"),
    ("recipient has more", recipient("epk", "x"), r"recipients\[0\] has a member .*'epk'"),
    ("kid is empty", recipient("kid", ""), "kid is empty"),
    ("kid is a number", recipient("kid", 7), "kid is not a string"),
    ("kid is no Unicode", recipient("kid", "\ud800"), "kid holds half of a surrogate pair"),
    ("enc is null", recipient("enc", None), "enc is not a string"),
    ("enc is short", recipient("enc", "A" * 42), "enc has 42 characters, not 43"),
    ("enc is long", recipient("enc", "A" * 44), "enc has 44 characters, not 43"),
    ("enc is padded", recipient("enc", "A" * 42 + "="), "enc is not canonical base64url"),
    ("enc in standard alphabet", recipient("enc", "+/" + "A" * 41), "enc is not canonical"),
    ("enc with trailing bits", recipient("enc", "A" * 42 + "B"), "enc is not canonical"),
    ("enc with line feed", recipient("enc", "A" * 42 + "\n"), "enc is not canonical"),
    ("enc not ASCII", recipient("enc", "A" * 42 + "É"), "enc is not canonical"),
    ("ct is bytes", member("ct", b"A" * 24), "ct is not a string"),
    ("ct is short", member("ct", "A" * 23), "ct has 23 characters, at least 24"),
    ("ct is empty", member("ct", ""), "ct has 0 characters"),
    ("ct of impossible length", member("ct", "A" * 25), "ct is not canonical base64url"),
    ("ct is padded", member("ct", "A" * 26 + "=="), "ct is not canonical base64url"),
    ("ct in standard alphabet", member("ct", "A" * 23 + "+"), "ct is not canonical base64url"),
    ("ct with space", member("ct", "A" * 23 + " "), "ct is not canonical base64url"),
    ("ct with trailing bits, 2", member("ct", "A" * 25 + "B"), "ct is not canonical base64url"),
    ("ct with trailing bits, 3", member("ct", "A" * 26 + "B"), "ct is not canonical base64url"),
    ("a nonce", member("nonce", "AAAA"), "the envelope has a member .*'nonce'"),
    ("a key that is no text", member(7, ""), "has a member .*7"),
    ("v missing", lambda spoilt: spoilt.pop("v"), "the envelope lacks v"),
    ("alg missing", lambda spoilt: spoilt.pop("alg"), "the envelope lacks alg"),
    ("ct missing", lambda spoilt: spoilt.pop("ct"), "the envelope lacks ct"),
    ("recipients missing", lambda spoilt: spoilt.pop("recipients"), "lacks recipients"),
]


@pytest.mark.parametrize(
    ("spoil", "reason"), [row[1:] for row in SHAPE_FAULTS], ids=[row[0] for row in SHAPE_FAULTS]
)
def test_shape_faults_are_refused(spoil: Spoil, reason: str) -> None:
    """Each departure from the shape of version 1 is refused, and named, on every path in."""
    spoilt = copy.deepcopy(envelope())
    parse_envelope(spoilt)
    spoil(spoilt)
    with pytest.raises(EnvelopeError, match=reason):
        parse_envelope(spoilt)
    with pytest.raises(EnvelopeError, match=reason):
        decrypt_disclosure(spoilt, ALICE)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(spoilt, type=DisclosureEnvelope)


@pytest.mark.parametrize("value", [None, "{}", 1, [], True, b"{}"], ids=repr)
def test_what_is_no_object_is_no_envelope(value: object) -> None:
    """Only an object can be an envelope."""
    with pytest.raises(EnvelopeError, match="the envelope is not an object"):
        parse_envelope(value)


def test_other_objects_are_named() -> None:
    """The flat map of 0.2 is recognised as what it is; other objects are not mistaken for it."""
    with pytest.raises(EnvelopeError, match=r"flat map of protocol 0\.2"):
        parse_envelope({"path": "/tmp/x", "mode": "0644"})
    with pytest.raises(EnvelopeError, match="no member of an envelope"):
        parse_envelope({"path": ["/tmp/x"]})
    with pytest.raises(EnvelopeError, match="lacks alg, ct, recipients, v"):
        parse_envelope({})


def test_untrusted_member_names_are_quoted_short_and_plain() -> None:
    """A hostile member name reaches an error message only escaped and cut."""
    with pytest.raises(EnvelopeError) as caught:
        parse_envelope({**envelope(), "\x1b[2J\u202e" + "x" * 9999: 1})
    assert len(str(caught.value)) < 150
    assert str(caught.value).isprintable()


def test_constructors_check_too() -> None:
    """A value of these types cannot have another shape, however it was made."""
    good = parse_envelope(envelope())
    with pytest.raises(EnvelopeError, match="recipients is not an array"):
        msgspec.structs.replace(good, recipients=list(good.recipients))
    with pytest.raises(EnvelopeError, match=r"recipients\[0\] is not an object"):
        msgspec.structs.replace(good, recipients=({},))
    with pytest.raises(EnvelopeError, match="enc has 0 characters"):
        DisclosureRecipient(enc="", kid=KID)
    with pytest.raises(AttributeError):
        good.ct = "AAAA"  # type: ignore[misc]  # what is tried here
    assert parse_envelope(good) is good
    assert good.recipient.kid == KID
    assert good.to_dict() == envelope()


def test_shape_agrees_with_the_published_schema() -> None:
    """What we make and accept, the schema accepts; what we refuse beyond it is named here."""
    if not SCHEMA.exists():
        pytest.skip(f"published schema not found at {SCHEMA}; set TALLY_SHARED")
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
    assert validator.is_valid(envelope())
    assert validator.is_valid(encrypt_disclosure(PARAMETERS, ALICE_PUBLIC, KID))
    accepted_there = set()
    for name, spoil, _ in SHAPE_FAULTS:
        spoilt = copy.deepcopy(envelope())
        spoil(spoilt)
        try:
            if validator.is_valid(spoilt):
                accepted_there.add(name)
        except TypeError:  # a key that is no text: no JSON at all
            continue
    assert accepted_there == {
        "kid is no Unicode",
        "enc with trailing bits",
        "ct with trailing bits, 2",
        "ct with trailing bits, 3",
    }


@given(st.recursive(JSON, lambda inner: st.dictionaries(st.sampled_from(list("v")), inner)))
def test_any_json_is_answered(value: object) -> None:
    """No JSON value brings out anything but an envelope or an `EnvelopeError`."""
    with pytest.raises(EnvelopeError):
        parse_envelope(value)


# ---- seal and open


@given(OBJECTS)
def test_decrypt_inverts_encrypt(parameters: dict[str, Any]) -> None:
    """What was sealed comes back equal, from a canonical envelope."""
    made = encrypt_disclosure(parameters, ALICE_PUBLIC, KID)
    assert list(made) == ["alg", "ct", "recipients", "v"]
    assert list(made["recipients"][0]) == ["enc", "kid"]
    assert decrypt_disclosure(made, ALICE) == parameters
    assert decrypt_response(encrypt_response(parameters, ALICE_PUBLIC, KID), ALICE) == parameters


@given(OBJECTS)
def test_interop_with_the_other_implementation(value: dict[str, Any]) -> None:
    """Its envelopes open here and ours open there, parameters and responses alike."""
    theirs = obsigna.encrypt_disclosure(value, ALICE_PUBLIC, KID)
    assert decrypt_disclosure(theirs, ALICE) == value
    theirs = obsigna.encrypt_response(value, ALICE_PUBLIC, KID)
    assert decrypt_response(theirs, ALICE) == value
    ours: Any = encrypt_disclosure(value, ALICE_PUBLIC, KID)
    assert obsigna.decrypt_disclosure(ours, ALICE) == value
    ours = encrypt_response(value, ALICE_PUBLIC, KID)
    assert obsigna.decrypt_response(ours, ALICE) == value


@pytest.mark.parametrize("number", [0.5, -1.5e-9, 1e21, 5e-324, 1.7976931348623157e308])
def test_floats_survive(number: float) -> None:
    """Doubles come back as they went in, in both implementations."""
    made: Any = encrypt_disclosure({"n": number}, ALICE_PUBLIC, KID)
    assert decrypt_disclosure(made, ALICE) == {"n": number}
    assert obsigna.decrypt_disclosure(made, ALICE) == {"n": number}
    theirs = obsigna.encrypt_disclosure({"n": number}, ALICE_PUBLIC, KID)
    assert decrypt_disclosure(theirs, ALICE) == {"n": number}


def test_generated_keys_open_for_the_other_implementation() -> None:
    """Key pairs of either side serve the other."""
    theirs = obsigna.generate_forensic_key_pair()
    made: Any = encrypt_disclosure(PARAMETERS, theirs.public_key, KID)
    assert obsigna.decrypt_disclosure(made, theirs.private_key) == PARAMETERS
    ours = generate_forensic_key_pair(os.urandom)
    sealed_there = obsigna.encrypt_disclosure(PARAMETERS, ours.public_key, ours.kid)
    assert decrypt_disclosure(sealed_there, ours.private_key) == PARAMETERS


def test_any_mapping_is_sealed_and_none_is_changed() -> None:
    """Read-only mappings are welcome; the input is left as it was."""
    before = copy.deepcopy(PARAMETERS)
    made = encrypt_disclosure(MappingProxyType(PARAMETERS), ALICE_PUBLIC, KID)
    assert decrypt_disclosure(made, ALICE) == PARAMETERS == before


@pytest.mark.parametrize("value", [None, "text", 7, [1], True, [["a", 1]]], ids=repr)
def test_only_objects_are_sealed(value: Any) -> None:
    """A response that is no object is for the caller to wrap, as the other side demands too."""
    with pytest.raises(EnvelopeError, match="wrap the value"):
        encrypt_response(value, ALICE_PUBLIC, KID)
    with pytest.raises(TypeError):
        obsigna.encrypt_response(value, ALICE_PUBLIC, KID)


@pytest.mark.parametrize("value", [{"n": float("nan")}, {"n": 2**53 + 1}, {"t": "\ud800"}, {1: 2}])
def test_what_has_no_canonical_form_is_not_sealed(value: Any) -> None:
    """Values without an RFC 8785 form are refused before anything is sealed."""
    with pytest.raises(CanonicalError):
        encrypt_disclosure(value, ALICE_PUBLIC, KID)


def test_plaintext_is_bounded() -> None:
    """Up to the limit is sealed and opened; one byte more is refused."""
    largest = {"t": "x" * (DISCLOSURE_BYTES_MAX - len('{"t":""}'))}
    assert decrypt_disclosure(encrypt_disclosure(largest, ALICE_PUBLIC, KID), ALICE) == largest
    with pytest.raises(LimitError, match="over the limit"):
        encrypt_disclosure({"t": largest["t"] + "x"}, ALICE_PUBLIC, KID)
    with pytest.raises(LimitError, match="ct has"):
        decrypt_disclosure({**envelope(), "ct": "A" * (RECEIPT_BYTES_MAX + 4)}, ALICE)


@pytest.mark.parametrize("kid", ["", "\ud800", None, 7], ids=ascii)
def test_bad_kid_is_refused(kid: Any) -> None:
    """An envelope names its recipient."""
    with pytest.raises(EnvelopeError, match="kid"):
        encrypt_disclosure(PARAMETERS, ALICE_PUBLIC, kid)


@pytest.mark.parametrize("key", [bytes(32), b"\x01" + bytes(31), bytes(31), ALICE_PUBLIC + b"\0"])
def test_bad_recipient_key_is_refused(key: bytes) -> None:
    """Nothing is sealed to a weak key or to something that is no key."""
    with pytest.raises(KeyFormatError):
        encrypt_disclosure(PARAMETERS, key, KID)


def test_small_order_enc_opens_nothing() -> None:
    """An envelope whose `enc` is of small order could have been made by anyone: refused."""
    spoilt = envelope()
    spoilt["recipients"][0]["enc"] = b64u_encode(bytes(32))
    parse_envelope(spoilt)
    with pytest.raises(DecryptionError, match="small order"):
        decrypt_disclosure(spoilt, ALICE)


def test_wrong_key_opens_nothing() -> None:
    """The right shape under the wrong key is a decryption error, no envelope error."""
    with pytest.raises(DecryptionError, match="not sealed to this key"):
        decrypt_disclosure(encrypt_disclosure(PARAMETERS, ALICE_PUBLIC, KID), BOB)
    with pytest.raises(KeyFormatError):
        decrypt_disclosure(envelope(), ALICE[:31])


@given(st.data())
def test_tampering_is_refused(data: st.DataObject) -> None:
    """Any changed byte of `enc` or `ct` is refused; `kid` is an index and proves nothing."""
    made = encrypt_disclosure({"a": 1}, ALICE_PUBLIC, KID)
    place, name = data.draw(st.sampled_from([(made, "ct"), (made["recipients"][0], "enc")]))
    altered = bytearray(b64u_decode(place[name]))
    altered[data.draw(st.integers(0, len(altered) - 1))] ^= data.draw(st.integers(1, 255))
    place[name] = b64u_encode(bytes(altered))
    with pytest.raises(DecryptionError):
        decrypt_disclosure(made, ALICE)
    made = encrypt_disclosure({"a": 1}, ALICE_PUBLIC, KID)
    made["recipients"][0]["kid"] = "another"
    assert decrypt_disclosure(made, ALICE) == {"a": 1}


@pytest.mark.parametrize(
    ("plaintext", "reason"),
    [
        (b'{"a": 1}', "RFC 8785"),
        (b'{"b":1,"a":2}', "RFC 8785"),
        (b'{"a":1.0}', "RFC 8785"),
        (b'{"a":-0}', "RFC 8785"),
        (b'{"a":"\\u0062"}', "RFC 8785"),
        (b'{"a":1}\n', "RFC 8785"),
        (b'{"a":1}x', "MALFORMED_TRAILING_DATA"),
        (b'{"a":"secret-a","a":"secret-b"}', "MALFORMED_DUPLICATE_KEY"),
        (b'{"a":NaN}', "MALFORMED_NUMBER"),
        (b'{"a":12345678901234567891}', "MALFORMED_NUMBER"),
        (b'{"a":"\\ud800"}', "MALFORMED_SURROGATE"),
        (b'{"a":"\xff\xff\xff"}', "MALFORMED_ENCODING"),
        (b"secret and no JSON", "MALFORMED_JSON"),
        (b"", "ct has 22 characters"),
        (b"[1]", "not a JSON object"),
        (b'"secret text"', "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}", "MALFORMED_DEPTH"),
    ],
    ids=lambda value: ascii(value)[:24],
)
def test_plaintext_must_be_a_canonical_object(plaintext: bytes, reason: str) -> None:
    """What opens but is not the RFC 8785 form of an object is refused, without quoting it."""
    with pytest.raises(EnvelopeError, match=reason) as caught:
        decrypt_disclosure(sealed(plaintext), ALICE)
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None


def test_disclosure_matches() -> None:
    """Only the object that the hash names matches it, whatever the order of its members."""
    named = sha256_tagged(canonicalize(PARAMETERS))
    assert disclosure_matches(PARAMETERS, named)
    assert disclosure_matches(dict(reversed(PARAMETERS.items())), named)
    assert disclosure_matches(MappingProxyType(PARAMETERS), named)
    assert not disclosure_matches({**PARAMETERS, "retries": 4}, named)
    assert not disclosure_matches(PARAMETERS, named.upper())
    assert not disclosure_matches(PARAMETERS, "")


# ---- keys


def test_key_pair_comes_from_the_entropy_given() -> None:
    """The randomness is an argument: the same bytes give the same pair."""
    asked: list[int] = []

    def entropy(size: int) -> bytes:
        asked.append(size)
        return ALICE

    pair = generate_forensic_key_pair(entropy)
    assert asked == [32]
    assert (pair.private_key, pair.public_key) == (ALICE, ALICE_PUBLIC)
    assert pair.kid == forensic_kid(ALICE_PUBLIC) == sha256_tagged(ALICE_PUBLIC)


def test_short_entropy_is_refused() -> None:
    """A source that gives too little makes no key."""
    with pytest.raises(KeyFormatError, match="32 bytes, not 8"):
        generate_forensic_key_pair(lambda size: bytes(size // 4))


def test_halves_must_belong_together() -> None:
    """A pair of two keys is no pair."""
    with pytest.raises(KeyFormatError, match="does not belong"):
        ForensicKeyPair(public_key=ALICE_PUBLIC, private_key=BOB)
    with pytest.raises(KeyFormatError, match="public key has 32 bytes"):
        forensic_kid(b"short")


def test_private_key_is_never_shown() -> None:
    """No text form of a pair holds the private key: repr, str, format, rich."""
    pair = ForensicKeyPair(public_key=ALICE_PUBLIC, private_key=ALICE)
    out = io.StringIO()
    Console(file=out, width=200).print(pair, [pair], {"pair": pair})
    shown = f"{pair!r} {pair!s} {pair} {[pair]} {out.getvalue()}"
    assert shown.count("hidden") == 7
    for secret in (ALICE.hex(), repr(ALICE), repr(ALICE)[2:20], b64u_encode(ALICE)):
        assert secret not in shown
