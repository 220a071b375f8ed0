# SPDX-License-Identifier: Apache-2.0
"""The file of signatures beside a manifest: one form, each signer once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tallystick.crypto.canonical import canonicalize
from tallystick.errors import ManifestError
from tallystick.limits import MANIFEST_SIGNATURES_MAX
from tallystick.model.manifest_signature import (
    Ed25519Signature,
    Secp256k1Signature,
    encode_signatures,
    parse_signatures,
)

ED = Ed25519Signature.of(bytes(range(32)), bytes(64))
EVM = Secp256k1Signature(address="0x" + "aB" * 20, signature="0x" + "0f" * 65)


def test_signatures_are_read_and_written_alike() -> None:
    """Both kinds come back as they were, with their raw bytes and their signer."""
    data = encode_signatures((ED, EVM))
    assert parse_signatures(data) == (ED, EVM)
    assert ED.key_bytes() == bytes(range(32))
    assert ED.signature_bytes() == bytes(64)
    assert EVM.signature_bytes() == b"\x0f" * 65
    assert (ED.signer, EVM.signer) == (ED.public_key, EVM.address)


def told(**changes: Any) -> bytes:
    """Return a file with one signature, changed."""
    one = json.loads(encode_signatures((ED,)))["signatures"][0] | changes
    return canonicalize({"signatures": [one]}) + b"\n"


def test_files_of_another_form_are_refused() -> None:
    """Blanks, unknown members and kinds, no signature at all, and one signer twice."""
    right = encode_signatures((ED, EVM))
    for wrong in (
        right[:-1],
        right.replace(b":", b": ", 1),
        b"{}\n",
        b'{"signatures":[]}\n',
        b'{"signatures":[1]}\n',
        canonicalize({"signatures": [], "more": 1}) + b"\n",
        encode_signatures((ED, ED)),
        told(scheme="rsa"),
        told(more=1),
        told(publicKey="did:web:example.com"),
        told(publicKey=7),
        told(signature="u" + "A" * 85),
        told(signature="u" + "A" * 85 + "B"),
        encode_signatures((Secp256k1Signature(address="0x1", signature=EVM.signature),)),
        encode_signatures((Secp256k1Signature(address=EVM.address, signature="0x" + "F" * 130),)),
        b"\xff\n",
    ):
        with pytest.raises(ManifestError):
            parse_signatures(wrong)


def test_signatures_are_bounded() -> None:
    """No more than the limit: each costs a check."""
    many = tuple(
        Ed25519Signature.of(bytes([number]) * 32, bytes(64))
        for number in range(MANIFEST_SIGNATURES_MAX + 1)
    )
    parse_signatures(encode_signatures(many[:-1]))
    with pytest.raises(ManifestError):
        parse_signatures(encode_signatures(many))
