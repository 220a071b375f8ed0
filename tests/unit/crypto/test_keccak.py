# SPDX-License-Identifier: Apache-2.0
"""Keccak-256 is the one of Ethereum."""

from __future__ import annotations

import sys

import pytest

from tallystick.crypto import keccak
from tallystick.crypto.keccak import keccak256
from tallystick.errors import MissingExtraError


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        (b"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        (b"abc", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
        (b"a" * 200, "96ea54061def936c4be90b518992fdc6f12f535068a256229aca54267b4d084d"),
    ],
)
def test_known_digests(data: bytes, digest: str) -> None:
    """The published digests come out, also over more than one block."""
    assert keccak256(data).hex() == digest


def test_it_is_not_sha3() -> None:
    """NIST's padding gives another digest; a mix-up would show in every address."""
    from hashlib import sha3_256

    assert keccak256(b"") != sha3_256(b"").digest()


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has not installed it reads which extra brings it."""
    keccak._implementation.cache_clear()
    monkeypatch.setitem(sys.modules, "eth_hash.backends.pycryptodome", None)
    with pytest.raises(MissingExtraError, match=r"tallystick\[evm\]"):
        keccak256(b"")
    keccak._implementation.cache_clear()
