# SPDX-License-Identifier: Apache-2.0
"""KeyVaultEvmSigner without a wire; tests/systems/test_evm_azure.py does the rest."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tallystick.errors import MissingExtraError
from tallystick.keys.evm_azure import KeyVaultEvmSigner, azure_fault

VAULT = "https://v.vault.azure.net/keys/solver"
VERSION = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    "key_id",
    [
        "",
        VAULT,
        f"{VAULT}/",
        f"{VAULT}/latest",
        f"http{VAULT[5:]}/{VERSION}",
        f"{VAULT}/{VERSION}/",
    ],
)
def test_a_version_is_needed(key_id: str) -> None:
    """An identifier without its version, or without TLS, is refused at once."""
    client: Any = object()
    with pytest.raises(ValueError, match="/keys/NAME/VERSION"):
        KeyVaultEvmSigner(key_id, client=client)


def test_without_microsofts_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has not installed it reads which extra brings it."""
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    with pytest.raises(MissingExtraError, match=r"tallystick\[azure\]"):
        KeyVaultEvmSigner(f"{VAULT}/{VERSION}")


class Refused(Exception):
    """Shaped as azure.core's HttpResponseError."""

    def __init__(self, status: int) -> None:
        super().__init__("Bearer eyJ0")
        self.status_code = status


class CredentialUnavailableError(Exception):
    """Shaped as azure.identity's."""


@pytest.mark.parametrize(
    ("error", "words", "is_transient"),
    [
        (Refused(429), "HTTP 429", True),
        (Refused(503), "HTTP 503", True),
        (Refused(404), "no such key", False),
        (Refused(409), "HTTP 409", False),
        (CredentialUnavailableError("eyJ0"), "no credentials", False),
        (OSError("eyJ0"), "OSError", False),
    ],
)
def test_what_its_errors_mean(error: Exception, words: str, is_transient: bool) -> None:
    """By status or by class; the service's words are not passed on."""
    fault = azure_fault(error)
    assert words in fault.reason
    assert fault.is_transient is is_transient
    assert "eyJ0" not in fault.reason
