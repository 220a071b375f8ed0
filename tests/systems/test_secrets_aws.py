# SPDX-License-Identifier: Apache-2.0
"""SecretsManagerKeyProvider against moto's Secrets Manager, through boto3."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from tests.leaks import everything_shown_by
from tests.systems.http_service import HttpService
from tests.systems.kept import written_by
from tests.systems.kms_service import KmsService, refuses

from tallystick import LocalSigner, verify_chain
from tallystick.crypto.ed25519 import KeyPair
from tallystick.crypto.multibase import b64u_encode
from tallystick.errors import KeySecretError
from tallystick.keys.aws import SecretsManagerKeyProvider
from tallystick.keys.remote import Retry
from tallystick.ports import KeyProvider

SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PAIR = KeyPair.from_seed(SEED)
TEXT = "u" + b64u_encode(SEED)
NAME = "agent/signing-key"


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of an empty Secrets Manager."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        yield boto3.client("secretsmanager")


def test_each_form_is_read(vault: Any) -> None:
    """A PEM or multibase as text; the same, DER or the bare seed as bytes."""
    der = base64.b64decode(PAIR.private_key.splitlines()[1])
    forms: list[dict[str, str | bytes]] = [
        {"SecretString": PAIR.private_key},
        {"SecretString": TEXT + "\n"},
        {"SecretBinary": SEED},
        {"SecretBinary": der},
        {"SecretBinary": TEXT.encode()},
        {"SecretBinary": PAIR.private_key.encode()},
    ]
    for number, form in enumerate(forms):
        vault.create_secret(Name=f"{NAME}/{number}", **form)
        provider: KeyProvider = SecretsManagerKeyProvider(f"{NAME}/{number}", client=vault)
        assert provider.get_key_pair() == PAIR
        assert TEXT[1:] not in repr(provider)


def test_a_chain_with_a_key_from_there(vault: Any) -> None:
    """The key that the default client fetches signs receipts that verify."""
    vault.create_secret(Name=NAME, SecretString=TEXT)
    signer = LocalSigner(SecretsManagerKeyProvider(NAME).get_key_pair())
    report = verify_chain(written_by(signer), signer.get_public_key(), require_terminal=True)
    assert report.verdict.name == "VERIFIED"


def test_a_version_by_its_id(vault: Any) -> None:
    """An old version is read by its id while the secret has moved on."""
    first = vault.create_secret(Name=NAME, SecretString=TEXT)["VersionId"]
    vault.put_secret_value(SecretId=NAME, SecretString="u" + b64u_encode(bytes(32)))
    assert SecretsManagerKeyProvider(NAME, client=vault).get_key_pair() != PAIR
    old = SecretsManagerKeyProvider(NAME, version_id=first, client=vault)
    assert old.get_key_pair() == PAIR


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (json.dumps({"key": TEXT}), "holds JSON"),
        (SEED.hex(), "looks like hexadecimal"),
        (TEXT[:-1], "not 43"),
        (PAIR.public_key, "no usable key"),
    ],
)
def test_other_values(vault: Any, value: str, words: str) -> None:
    """What is no key is refused without being shown."""
    vault.create_secret(Name=NAME, SecretString=value)
    with pytest.raises(KeySecretError, match=words) as caught:
        SecretsManagerKeyProvider(NAME, client=vault)
    assert not caught.value.is_transient
    shown = everything_shown_by(caught.value)
    for secret in (TEXT[1:], SEED.hex(), value):
        assert secret not in shown


def test_no_such_secret(vault: Any) -> None:
    """A wrong name is permanent, and the message says what it means."""
    with pytest.raises(KeySecretError, match="no such secret") as caught:
        SecretsManagerKeyProvider("other", client=vault)
    assert not caught.value.is_transient


def test_a_service_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """5xx is asked again, and then said to be transient."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not a secret")
    service: HttpService = KmsService()
    service.tricks.extend([refuses("InternalServiceError", 500)] * 2)
    with service, pytest.raises(KeySecretError, match="2 attempts") as caught:
        SecretsManagerKeyProvider(
            NAME,
            region="eu-west-1",
            endpoint_url=service.url,
            retry=Retry(attempts=2, sleep=lambda _seconds: None),
        )
    assert caught.value.is_transient
