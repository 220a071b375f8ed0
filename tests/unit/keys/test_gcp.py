# SPDX-License-Identifier: Apache-2.0
"""CloudKMSSigner without a wire: names, and what the client may raise.

tests/systems/test_kms_google.py does the rest, through Google's client over gRPC.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tallystick.errors import MissingExtraError, SignerUnavailable, SigningError
from tallystick.keys.evm_gcp import CloudKMSEvmSigner
from tallystick.keys.gcp import CloudKMSSigner, SecretManagerKeyProvider
from tallystick.keys.remote import Retry

KEY = "projects/p/locations/global/keyRings/r/cryptoKeys/k"
_MEMBERS = ("client_id", "client_secret", "refresh_token")


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


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        ("", "no URL"),
        ("127.0.0.1:9010", "no URL"),
        ("https://", "no URL"),
        ("https://h:99999", "no URL"),
        ("https://h:", "no URL"),
        ("https://user@h", "no URL"),
        ("https://h/v1", "no URL"),
        ("https://h?x=1", "no URL"),
        ("https://h#x", "no URL"),
        ("https://h\n", "no URL"),
        ("https://[::1", "no URL"),
        ("dns:///h:443", "no URL"),
        ("grpc://127.0.0.1:1", "no URL"),
        ("http://kms.example", "only for this machine"),
        ("http://10.0.0.1:9010", "only for this machine"),
        ("http://localhost.example:9010", "only for this machine"),
        ("http://127.0.0.1.example", "only for this machine"),
    ],
)
def test_an_endpoint_is_a_whole_url(endpoint: str, words: str) -> None:
    """https, or http to this machine; nothing of it is left out in silence."""
    for kind in (CloudKMSSigner, CloudKMSEvmSigner):
        with pytest.raises(ValueError, match=words):
            kind(f"{KEY}/cryptoKeyVersions/1", endpoint_url=endpoint)


@pytest.mark.parametrize(
    "endpoint",
    ["http://127.0.0.1:9", "http://127.9.9.9", "HTTP://LocalHost:9/", "http://[::1]:9"],
)
def test_this_machine_needs_no_credentials(
    endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """None are looked for: the file that is named for them is not there."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "nowhere"))
    for kind in (CloudKMSSigner, CloudKMSEvmSigner):
        assert kind(f"{KEY}/cryptoKeyVersions/1", endpoint_url=endpoint).name


@pytest.mark.parametrize(
    ("endpoint", "asked"),
    [
        (None, "cloudkms.googleapis.com"),
        ("https://kms.example:8443", "kms.example:8443"),
        ("https://cloudkms.europe-west3.rep.googleapis.com/",
         "cloudkms.europe-west3.rep.googleapis.com"),
    ],
)  # fmt: skip
def test_https_is_asked_with_credentials(
    endpoint: str | None, asked: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Google's client asks there, with what it finds as Application Default Credentials."""
    found = tmp_path / "credentials.json"
    found.write_text(json.dumps({"type": "authorized_user"} | dict.fromkeys(_MEMBERS, "x")))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(found))
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p")
    client: Any = CloudKMSSigner(f"{KEY}/cryptoKeyVersions/1", endpoint_url=endpoint)._client
    assert client.api_endpoint == asked
    found.unlink()
    with pytest.raises(SigningError, match="no Application Default Credentials"):
        CloudKMSSigner(f"{KEY}/cryptoKeyVersions/1", endpoint_url=endpoint)


def test_a_client_that_is_given_has_its_own_endpoint() -> None:
    """Two of them would contradict each other."""
    with pytest.raises(ValueError, match="made here"):
        CloudKMSSigner(
            f"{KEY}/cryptoKeyVersions/1", client=Client(OSError()), endpoint_url="https://h"
        )


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
