# SPDX-License-Identifier: Apache-2.0
"""Strict base64url, base58btc and did:key."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.crypto.multibase import (
    b58_decode,
    b58_encode,
    b64_decode,
    b64_encode,
    b64u_decode,
    b64u_encode,
    did_key_decode,
    did_key_encode,
)
from tallystick.errors import EncodingError, KeyFormatError, RefusedInput
from tallystick.limits import BASE58_CHARS_MAX

# RFC 8032, §7.1, TEST 1 and TEST 2, and the example of the did:key method.
KNOWN = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "did:key:z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "did:key:z6MkiaMbhXHNA4eJVCCj8dbzKzTgYDKf6crKgHVHid1F1WCT",
    ),
    (
        "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29",
        "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp",
    ),
]


def _shared() -> list[tuple[str, str]]:
    """Return the shared did:key vectors where they are at hand; the known ones always run."""
    beside = Path(__file__).parents[3].parent / "shared"
    folder = Path(os.environ.get("TALLY_SHARED") or beside)
    path = folder / "vectors" / "agent-receipts" / "did_key_vectors.json"
    if not path.is_file():
        return []
    vectors = json.loads(path.read_text(encoding="utf-8"))["vectors"]
    assert len(vectors) >= 3
    return [(vector["public_key_hex"], vector["did"]) for vector in vectors]


@pytest.mark.parametrize(("raw_hex", "did"), KNOWN + _shared())
def test_did_key_vectors(raw_hex: str, did: str) -> None:
    """Published pairs of key and did:key agree in both directions."""
    assert did_key_encode(bytes.fromhex(raw_hex)) == did
    assert did_key_decode(did) == bytes.fromhex(raw_hex)


@given(st.binary(max_size=100))
def test_base64url_is_the_standard_one_without_padding(data: bytes) -> None:
    """What we encode is RFC 4648 §5 without padding, and decodes to the same bytes."""
    text = b64u_encode(data)
    assert text == base64.urlsafe_b64encode(data).decode().rstrip("=")
    assert b64u_decode(text) == data


@given(st.text(alphabet="ABQgwEIMq_-+/= \nz09é", max_size=12))
def test_base64url_has_one_text_per_value(text: str) -> None:
    """Whatever decodes also encodes back to itself; the rest is refused by name."""
    try:
        data = b64u_decode(text)
    except EncodingError:
        return
    assert b64u_encode(data) == text


@pytest.mark.parametrize(
    "text",
    [
        "YQ==",
        "YQ=",
        "Y Q",
        "YQ\n",
        "\nYQ",
        "YR",
        "YWJ",
        "Y",
        "YWFhY",
        "+/8A",
        "YQ.",
        "ＹQ",
        "\ud800A",
    ],
)
def test_base64url_refusals(text: str) -> None:
    """Padding, white space, other alphabets, set trailing bits and impossible lengths fail."""
    with pytest.raises(EncodingError):
        b64u_decode(text)


@pytest.mark.parametrize(
    ("raw_hex", "text"),
    [
        ("", ""),
        ("00", "1"),
        ("0000", "11"),
        ("61", "2g"),
        ("626262", "a3gV"),
        ("73696d706c792061206c6f6e6720737472696e67", "2cFupjhnEsSn59qHXstmK2ffpLv2"),
        (
            "00eb15231dfceb60925886b67d065299925915aeb172c06647",
            "1NS17iag9jJgTHD1VXjvLCEnZuQ3rJDE9L",
        ),
        ("ffffffffff", "VtB5VXc"),
        ("00000000000000000000", "1111111111"),
    ],
)
def test_base58_vectors(raw_hex: str, text: str) -> None:
    """Known pairs of the Bitcoin alphabet agree in both directions."""
    assert b58_encode(bytes.fromhex(raw_hex)) == text
    assert b58_decode(text) == bytes.fromhex(raw_hex)


@given(st.binary(max_size=80))
def test_base58_round_trip(data: bytes) -> None:
    """Bytes survive, leading zeros included."""
    assert b58_decode(b58_encode(data)) == data


@given(st.text(alphabet="123zYh0OIl z\n", max_size=20))
def test_base58_has_one_text_per_value(text: str) -> None:
    """Whatever decodes also encodes back to itself."""
    try:
        data = b58_decode(text)
    except EncodingError:
        return
    assert b58_encode(data) == text


def test_base58_is_bounded() -> None:
    """Text over the limit is refused before any work on it."""
    assert len(b58_decode("z" * BASE58_CHARS_MAX)) > 0
    with pytest.raises(EncodingError, match="longer than"):
        b58_decode("z" * (BASE58_CHARS_MAX + 1))


@given(st.binary(min_size=32, max_size=32))
def test_did_key_round_trip(raw: bytes) -> None:
    """Each 32 bytes have one did:key, which begins as Ed25519 ones do."""
    did = did_key_encode(raw)
    assert did.startswith("did:key:z6Mk")
    assert len(did) == 56
    assert did_key_decode(did) == raw


DID = KNOWN[0][1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "did:key:z6Mk"),
        ("did:web:example.com", "did:key:z6Mk"),
        ("DID:KEY:" + DID[8:], "did:key:z6Mk"),
        (" " + DID, "did:key:z6Mk"),
        (DID + " ", "alphabet"),
        (DID + "\n", "alphabet"),
        (DID + "#" + DID[8:], "DID URL"),
        (DID + "?versionId=1", "DID URL"),
        ("did:key:", "base58btc"),
        ("did:key:u7QHXWpgB", "base58btc"),
        ("did:key:z", "another kind"),
        ("did:key:zzz", "misspelled, cut off, or of another kind"),
        ("did:key:z" + "1" + DID[9:], "another kind"),
        ("did:key:z" + "0" * 47, "alphabet"),
        ("did:key:z" + "6" * 200, "longer than"),
        (DID[:-1], "another kind"),
        ("did:key:z" + b58_encode(b"\xed\x01" + b"a" * 31), "31 bytes"),
        ("did:key:z" + b58_encode(b"\xed\x01" + b"a" * 33), "33 bytes"),
        ("did:key:z" + b58_encode(b"\xec\x01" + b"a" * 32), "X25519"),
        ("did:key:z" + b58_encode(b"\xe7\x01" + b"a" * 33), "secp256k1"),
        ("did:key:z" + b58_encode(b"\x80\x26" + b"a" * 32), "private key"),
        ("did:key:z" + b58_encode(b"\xed\x81\x00" + b"a" * 32), "another kind"),
    ],
)
def test_did_key_refusals(text: str, message: str) -> None:
    """Each text that is not the one did:key of an Ed25519 key is refused with its reason."""
    with pytest.raises(KeyFormatError, match=message):
        did_key_decode(text)


@given(
    st.text(max_size=80) | st.text(alphabet="z6Mktwupd123", max_size=60).map("did:key:z".__add__)
)
def test_did_key_decode_is_total(text: str) -> None:
    """Any text gives 32 bytes that encode back to it, or a refusal."""
    try:
        raw = did_key_decode(text)
    except RefusedInput:
        return
    assert did_key_encode(raw) == text


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_did_key_encode_wants_32_bytes(size: int) -> None:
    """Bytes of another length have no did:key."""
    with pytest.raises(KeyFormatError, match="32 bytes"):
        did_key_encode(b"a" * size)


def test_refusals_do_not_quote() -> None:
    """No refusal repeats the text: it may be a private key."""
    for decode in (b64u_decode, b58_decode, did_key_decode):
        with pytest.raises(RefusedInput) as caught:
            decode("SECRET!SECRET")
        assert "SECRET" not in str(caught.value)


# ---- standard base64


@given(st.binary(max_size=100))
def test_base64_both_ways(data: bytes) -> None:
    """Standard base64 is the library's, and decodes to what it was made of."""
    assert b64_encode(data) == base64.b64encode(data).decode()
    assert b64_decode(b64_encode(data)) == data


@pytest.mark.parametrize(
    "text",
    [
        "A",
        "AA",
        "AAA",
        "AB==",
        "AAB=",
        "AA==\n",
        "\nAA==",
        "A A=",
        "-_==",
        "AA=A",
        "é",
        "=",
        "AA==AA==",
    ],
)
def test_base64_has_one_form(text: str) -> None:
    """No second spelling of the same bytes is taken."""
    with pytest.raises(EncodingError):
        b64_decode(text)
