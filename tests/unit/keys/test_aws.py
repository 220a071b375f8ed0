# SPDX-License-Identifier: Apache-2.0
"""KMSSigner without a wire: what it asks for, and how it reads what the client raises.

tests/systems/test_kms_aws.py does the rest, through boto3 against the protocol.
"""

from __future__ import annotations

import base64
import subprocess
import sys
from typing import Any

import pytest

from tallystick.crypto.ed25519 import KeyPair
from tallystick.errors import MissingExtraError, SignerUnavailable, SigningError
from tallystick.keys.aws import KMSSigner, SecretsManagerKeyProvider
from tallystick.keys.remote import Retry

PAIR = KeyPair.from_seed(bytes(range(32)))
ARN = "arn:aws:kms:eu-west-1:111122223333:key/k"
DER = base64.b64decode(PAIR.public_key.splitlines()[1])


class Client:
    """A client that is not boto3's: it answers, or raises what it was given."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault
        self.asked: list[dict[str, Any]] = []

    def get_public_key(self, **members: Any) -> dict[str, Any]:
        self.asked.append(members)
        if self.fault is not None:
            raise self.fault
        return {
            "KeyId": ARN,
            "KeySpec": "ECC_NIST_EDWARDS25519",
            "KeyUsage": "SIGN_VERIFY",
            "PublicKey": DER,
            "SigningAlgorithms": ["ED25519_SHA_512"],
        }

    def sign(self, **members: Any) -> dict[str, Any]:
        self.asked.append(members)
        signature = PAIR.signing_key().sign(members["Message"])
        return {"KeyId": ARN, "Signature": signature, "SigningAlgorithm": "ED25519_SHA_512"}


class ServiceError(Exception):
    """Shaped as botocore's ClientError."""

    def __init__(self, response: object) -> None:
        super().__init__("told by the service")
        self.response = response


def test_what_is_asked_for() -> None:
    """Pure Ed25519 over the message itself, by the name that the caller gave."""
    client = Client()
    assert len(KMSSigner("alias/a", client=client).sign(b"x")) == 64
    assert client.asked == [
        {"KeyId": "alias/a"},
        {
            "KeyId": "alias/a",
            "Message": b"x",
            "MessageType": "RAW",
            "SigningAlgorithm": "ED25519_SHA_512",
        },
    ]


def test_a_client_needs_no_boto3() -> None:
    """With a client of the caller's own, nothing of AWS is imported."""
    program = (
        "import sys, tallystick.keys.aws as aws\n"
        "aws.KMSSigner('alias/a', client=object())\n"
        "print([name for name in sys.modules if name.startswith('boto')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_without_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has not installed it reads which extra brings it."""
    monkeypatch.setitem(sys.modules, "boto3", None)
    for made in (KMSSigner, SecretsManagerKeyProvider):
        with pytest.raises(MissingExtraError, match=r"tallystick\[aws\]"):
            made("name")


def test_a_name_is_needed() -> None:
    """An empty key_id, as from a variable that is not set, is refused at once."""
    with pytest.raises(ValueError, match="key_id is empty"):
        KMSSigner("", client=Client())


@pytest.mark.parametrize(
    ("response", "is_transient", "words"),
    [
        ({"Error": {"Code": "ThrottlingException"}}, True, r"ThrottlingException \(HTTP 0\)"),
        ({"Error": {"Code": "X"}, "ResponseMetadata": {"HTTPStatusCode": 500}}, True, "HTTP 500"),
        ({"Error": {"Code": "X"}, "ResponseMetadata": {"HTTPStatusCode": 429}}, True, "HTTP 429"),
        ({"Error": {"Code": "X"}, "ResponseMetadata": {"HTTPStatusCode": 403}}, False, "X"),
        ({"Error": {"Code": "DisabledException"}}, False, "the key is disabled"),
        ({"Error": {"Code": "a b\nc"}}, False, "an unknown code"),
        ({"Error": None, "ResponseMetadata": None}, False, "None"),
        ({}, False, "None"),
        ("text", False, "the client failed with ServiceError"),
    ],
)
def test_faults(response: object, is_transient: bool, words: str) -> None:
    """A code or status decides; what the service wrote besides is not quoted."""
    signer = KMSSigner("k", client=Client(ServiceError(response)), retry=Retry(attempts=1))
    with pytest.raises(SigningError, match=words) as caught:
        signer.get_public_key()
    assert isinstance(caught.value, SignerUnavailable) is is_transient
    assert "told by" not in str(caught.value)


@pytest.mark.parametrize("make", [KMSSigner, SecretsManagerKeyProvider])
@pytest.mark.parametrize(
    "url",
    [
        "http://kms.example",
        "HTTP://10.0.0.1:4566",
        "http://",
        " http://kms.example",
        "ht\ttp://kms.example",
        "http:kms.example",
        # Who splits addresses, and who connects, read another host in this.
        "http://kms.example\\@127.0.0.1",
        "http://localhost@127.0.0.1",
    ],
)
def test_plain_http_stays_on_this_machine(make: Any, url: str) -> None:
    """Who stands between could give another key, or take credentials along."""
    with pytest.raises(ValueError, match="endpoint is http"):
        make("k", endpoint_url=url)


@pytest.mark.parametrize("make", [KMSSigner, SecretsManagerKeyProvider])
@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_{}"])
def test_plain_http_stays_on_this_machine_wherever_it_is_set(
    make: Any, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variables that boto3 reads are held to the same as the argument."""
    service = {KMSSigner: "KMS", SecretsManagerKeyProvider: "SECRETS_MANAGER"}[make]
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv(variable.format(service), "http://kms.example")
    with pytest.raises(ValueError, match="endpoint is http"):
        make("k")


@pytest.mark.parametrize("make", [KMSSigner, SecretsManagerKeyProvider])
def test_no_endpoint_holds_a_user(make: Any) -> None:
    """A password in an endpoint would stand in argument lists; it is not shown in the error."""
    with pytest.raises(ValueError, match="endpoint holds a user") as caught:
        make("k", endpoint_url="https://user:pa55@kms.example")
    assert "pa55" not in str(caught.value)
