# SPDX-License-Identifier: Apache-2.0
"""Keccak-256 as Ethereum has it: the padding of the original Keccak, not that of SHA3-256."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from tallystick.errors import MissingExtraError, how_to_install


def keccak256(data: bytes) -> bytes:
    """Return the 32 bytes of Keccak-256 over `data`."""
    return _implementation()(data)


@cache
def _implementation() -> Callable[[bytes], bytes]:
    try:
        from eth_hash.backends.pycryptodome import keccak256 as found  # 20 ms, and few need it
    except ImportError:
        raise MissingExtraError(f"eth-hash is not installed; {how_to_install('evm')}") from None
    return found
