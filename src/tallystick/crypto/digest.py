# SPDX-License-Identifier: Apache-2.0
"""SHA-256 in the protocol's spelling: `sha256:` and 64 lower-case hexadecimal digits."""

from __future__ import annotations

from hashlib import sha256


def sha256_tagged(data: bytes) -> str:
    """Return `sha256:<hex>` of `data`."""
    return "sha256:" + sha256(data).hexdigest()
