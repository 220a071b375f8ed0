# SPDX-License-Identifier: Apache-2.0
"""Pkcs11EvmSigner without a token; tests/systems/test_evm_token.py does the rest."""

from __future__ import annotations

import sys

import pytest

from tallystick.errors import MissingExtraError, SigningError
from tallystick.keys.evm_pkcs11 import Pkcs11EvmSigner


def test_a_module_that_is_none() -> None:
    """A wrong path is refused when the signer is made."""
    with pytest.raises(SigningError, match="can't be loaded"):
        Pkcs11EvmSigner("/nonexistent.so", "token", "key")


def test_without_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has not installed it reads which extra brings it."""
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    with pytest.raises(MissingExtraError, match=r"tallystick\[pkcs11\]"):
        Pkcs11EvmSigner("/nonexistent.so", "token", "key")
