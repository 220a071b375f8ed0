# SPDX-License-Identifier: Apache-2.0
"""CloudKMSSigner without a wire: names, and what the client may raise.

tests/systems/test_kms_google.py does the rest, through Google's client over gRPC.
"""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tallystick.errors import MissingExtraError, SignerUnavailable, SigningError
from tallystick.keys.gcp import CloudKMSSigner, SecretManagerKeyProvider
from tallystick.keys.remote import Retry

KEY = "projects/p/locations/global/keyRings/r/cryptoKeys/k"


class Client:
    """A client that raises."""

    def __init__(self, fault: Exception) -> None:
        self.fault = fault

    def get_public_key(self, **_members: Any) -> Any:
        raise self.fault

    asymmetric_sign = access_secret_version = get_public_key


@pytest.mark.parametrize(
    "name",
    ["", KEY, f"{KEY}/cryptoKeyVersions/", f"{KEY}/cryptoKeyVersions/0", "k", f" {KEY}/x/1"],
)
def test_a_version_is_needed(name: str) -> None:
    """The name of a key without its version is refused at once: Cloud KMS would refuse it later."""
    with pytest.raises(ValueError, match="cryptoKeyVersions/1"):
        CloudKMSSigner(name, client=Client(OSError()))


@pytest.mark.parametrize(
    "name", ["", "s", "projects/p/secrets/s", "projects/p/secrets/s/versions/"]
)
def test_a_secret_version_is_needed(name: str) -> None:
    """The same for secrets."""
    with pytest.raises(ValueError, match="versions/latest"):
        SecretManagerKeyProvider(name, client=Client(OSError()))


def test_without_googles_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has not installed it reads which extra brings it."""
    monkeypatch.setitem(sys.modules, "google_crc32c", None)
    with pytest.raises(MissingExtraError, match=r"tallystick\[gcp\]"):
        CloudKMSSigner(f"{KEY}/cryptoKeyVersions/1")
    with pytest.raises(MissingExtraError, match=r"tallystick\[gcp\]"):
        SecretManagerKeyProvider("projects/p/locations/l/secrets/s/versions/1")


class GoogleAuthError(Exception):
    """Shaped as google.auth's."""

    def __init__(self, *, retryable: bool) -> None:
        super().__init__("Bearer ya29.token")
        self.retryable = retryable


@pytest.mark.parametrize("retryable", [True, False])
def test_google_knows_whether_to_try_again(retryable: bool) -> None:
    """Errors of google.auth say themselves whether they are transient."""
    client = Client(GoogleAuthError(retryable=retryable))
    signer = CloudKMSSigner(f"{KEY}/cryptoKeyVersions/1", client=client, retry=Retry(attempts=1))
    with pytest.raises(SigningError) as caught:
        signer.warm_up()
    assert isinstance(caught.value, SignerUnavailable) is retryable
    assert "ya29" not in str(caught.value)
