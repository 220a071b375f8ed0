# SPDX-License-Identifier: Apache-2.0
"""SHA-256 in the protocol's spelling."""

from __future__ import annotations

import pytest

from tallystick.crypto.digest import sha256_tagged


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ],
)
def test_known_digests(data: bytes, digest: str) -> None:
    """The published digests come out, with the tag, in lower case."""
    assert sha256_tagged(data) == f"sha256:{digest}"
