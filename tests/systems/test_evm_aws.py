# SPDX-License-Identifier: Apache-2.0
"""KMSEvmSigner through boto3 against a local service that keeps the rules of KMS."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from tests.curve import CurveKey
from tests.leaks import everything_shown_by
from tests.systems.evm_material import MANIFEST, MESSAGE, TRANSFER, signs_everything
from tests.systems.kms_service import KmsService, Members, client_for, refuses, tells_all

from tallystick.errors import KeyMismatchError, SigningError
from tallystick.keys.evm_aws import KMSEvmSigner
from tallystick.keys.remote import Retry

ALIAS = "alias/solver"
EAGER = Retry(sleep=lambda _seconds: None)
ADDRESS = CurveKey(0x5EED).address
SECRETS = ("wJalrXUtnFEMI/EXAMPLEKEY", "IQoJb3JpZ2luX2VjEXAMPLETOKEN")


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials as a function finds them, and nothing of this machine's own."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": SECRETS[0],
        "AWS_SESSION_TOKEN": SECRETS[1],
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_CONFIG_FILE": "/nonexistent",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def kms() -> Iterator[KmsService]:
    with KmsService() as service:
        service.make_evm_key(0x5EED, ALIAS)
        yield service


def signer_for(kms: KmsService, key_id: str = ALIAS, **settings: Any) -> KMSEvmSigner:
    """Return a signer that asks the local service and does not wait between attempts."""
    return KMSEvmSigner(key_id, client=client_for(kms), retry=EAGER, **settings)


def test_every_statement(kms: KmsService) -> None:
    """All four kinds are signed as digests, and the key is asked for once."""
    signer = KMSEvmSigner(ALIAS, endpoint_url=kms.url, address=ADDRESS, retry=EAGER)
    signs_everything(signer, ADDRESS)
    assert kms.count("GetPublicKey") == 1


def test_the_service_would_refuse_it_too(kms: KmsService) -> None:
    """The local service keeps KMS's rules: a digest has 32 bytes, RAW is hashed again."""
    client = client_for(kms)
    asked: Any = {"KeyId": ALIAS, "SigningAlgorithm": "ECDSA_SHA_256"}
    with pytest.raises(client.exceptions.ClientError, match="Digest is invalid"):
        client.sign(**asked, Message=b"x" * 31, MessageType="DIGEST")
    with pytest.raises(client.exceptions.InvalidKeyUsageException):
        client.sign(**asked | {"SigningAlgorithm": "ED25519_SHA_512"}, Message=b"x" * 32)


def test_another_address(kms: KmsService) -> None:
    """A key whose address is not the expected one signs nothing."""
    with pytest.raises(KeyMismatchError, match=ADDRESS):
        signer_for(kms, address=CurveKey(7).address).sign(MESSAGE)
    assert kms.count("Sign") == 0


def test_an_alias_that_moved(kms: KmsService) -> None:
    """When an alias names another key, the signer stops; `anew` follows, its address permitting."""
    signer, pinned = signer_for(kms), signer_for(kms, address=ADDRESS)
    signer.warm_up()
    kms.make_evm_key(0xBAD, ALIAS)
    with pytest.raises(KeyMismatchError, match="now names"):
        signer.sign(MESSAGE)
    assert signer.anew().get_address() == CurveKey(0xBAD).address
    with pytest.raises(KeyMismatchError, match="is expected"):
        pinned.anew().warm_up()


def test_a_key_of_another_curve(kms: KmsService) -> None:
    """A P-256 key is refused by its spec, and by its bytes where the spec lies."""
    kms.make_curve_key("alias/p256")
    with pytest.raises(SigningError, match="no ECC_SECG_P256K1"):
        signer_for(kms, "alias/p256").warm_up()

    def lie(_action: str, members: Members) -> None:
        members["KeySpec"] = "ECC_SECG_P256K1"

    kms.alter = lie
    with pytest.raises(SigningError, match="no key of secp256k1"):
        signer_for(kms, "alias/p256").warm_up()


@pytest.mark.parametrize(
    ("signature", "words"),
    [
        (CurveKey(0xBAD).sign(b"\7" * 32), "not by the key"),
        (CurveKey(0x5EED).sign(b"\7" * 32), "not by the key"),
        (CurveKey(0x5EED).sign(b"\7" * 32)[:-1], "no ECDSA signature"),
        (b"", "no ECDSA signature"),
        (b"\x30\x06\x02\x01\x00\x02\x01\x01", "no ECDSA signature"),
    ],
    ids=["another-key", "another-digest", "cut", "empty", "tiny"],
)
def test_answers_that_were_tampered_with(kms: KmsService, signature: bytes, words: str) -> None:
    """Other signatures, cut-off ones and zeros are refused."""

    def alter(action: str, members: Members) -> None:
        if action == "Sign":
            members["Signature"] = base64.b64encode(signature).decode()

    kms.alter = alter
    with pytest.raises(SigningError, match=words):
        signer_for(kms).sign(TRANSFER)


def test_another_algorithm(kms: KmsService) -> None:
    """An answer that says it used another algorithm is refused."""

    def alter(action: str, members: Members) -> None:
        if action == "Sign":
            members["SigningAlgorithm"] = "ECDSA_SHA_384"

    kms.alter = alter
    with pytest.raises(SigningError, match="did not sign with ECDSA_SHA_256"):
        signer_for(kms).sign(MANIFEST)


def test_faults(kms: KmsService) -> None:
    """Throttling is asked again; credentials that an answer quotes are in no error."""
    signer = signer_for(kms)
    signer.warm_up()
    kms.tricks.append(refuses("ThrottlingException"))
    assert signer.sign(MANIFEST).v in (27, 28)
    kms.tricks.append(tells_all)
    with pytest.raises(SigningError) as caught:
        signer.sign(MANIFEST)
    assert not any(secret in everything_shown_by(caught.value) for secret in SECRETS)
