# SPDX-License-Identifier: Apache-2.0
"""CloudKMSSigner and SecretManagerKeyProvider: Google's clients, real gRPC, a local server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from google.cloud.kms_v1 import types
from tests.leaks import everything_shown_by
from tests.systems.google_services import KEY, SECRET, GoogleServices, crc32c
from tests.systems.kept import READ, SUCCESS, Kept, chain_by, written_by

from tallystick import verify_chain
from tallystick.crypto.ed25519 import KeyPair
from tallystick.crypto.multibase import b64u_encode
from tallystick.errors import KeySecretError, SignerUnavailable, SigningError
from tallystick.keys.gcp import CloudKMSSigner, SecretManagerKeyProvider
from tallystick.keys.remote import Retry

SEED, OTHER_SEED = bytes(range(32)), bytes(range(1, 33))
P256 = types.CryptoKeyVersion.CryptoKeyVersionAlgorithm.EC_SIGN_P256_SHA256
EAGER = Retry(sleep=lambda _seconds: None)


@pytest.fixture
def google() -> Iterator[GoogleServices]:
    with GoogleServices() as services:
        services.make_key(SEED)
        yield services


def signer_for(google: GoogleServices, retry: Retry = EAGER, **settings: Any) -> CloudKMSSigner:
    """Return a signer that asks the local server and does not wait between attempts."""
    return CloudKMSSigner(f"{KEY}1", client=google.kms_client(), retry=retry, **settings)


def test_a_chain_verifies_with_the_public_key_alone(google: GoogleServices) -> None:
    """Receipts signed by Cloud KMS verify with the key that it shows, asked for once."""
    signer = signer_for(google)
    signer.warm_up()
    assert google.calls == ["GetPublicKeyRequest"]
    report = verify_chain(written_by(signer, 3), signer.get_public_key(), require_terminal=True)
    assert report.verdict.name == "VERIFIED", report.codes()
    assert google.calls == ["GetPublicKeyRequest"] + 4 * ["AsymmetricSignRequest"]
    assert signer.pinned_name == f"{KEY}1"


def test_large_receipts(google: GoogleServices) -> None:
    """No limit of ours is below what a receipt may have: Cloud KMS is asked."""
    assert len(signer_for(google).sign(b"x" * 20_000)) == 64


@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.UNKNOWN,
    ],
)
def test_transient_faults_are_asked_again(google: GoogleServices, code: grpc.StatusCode) -> None:
    """Quota, timeouts, and a service that is down: the next attempt signs, and Google's own
    retries are not added to ours."""
    pauses: list[float] = []
    signer = signer_for(google, Retry(sleep=pauses.append, dice=lambda: 1.0))
    signer.warm_up()
    google.faults.append(code)
    assert len(signer.sign(b"x")) == 64
    assert pauses == [0.05]
    google.faults.extend([code] * 4)
    with pytest.raises(SignerUnavailable, match=r"Cloud KMS gave no signature.*\(4 attempts\)"):
        signer.sign(b"y")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, "permission denied"),
        (grpc.StatusCode.UNAUTHENTICATED, "credentials"),
        (grpc.StatusCode.NOT_FOUND, "nothing of this name"),
        (grpc.StatusCode.FAILED_PRECONDITION, "disabled or destroyed"),
        (grpc.StatusCode.INVALID_ARGUMENT, "does not accept"),
        (grpc.StatusCode.UNIMPLEMENTED, "does not know this request"),
    ],
)
def test_permanent_faults_are_not(
    google: GoogleServices, code: grpc.StatusCode, words: str
) -> None:
    """One request, one SigningError in our words; the service's words may hold a token."""
    signer = signer_for(google)
    signer.warm_up()
    google.faults.append(code)
    with pytest.raises(SigningError, match=words) as caught:
        signer.sign(b"x")
    assert not isinstance(caught.value, SignerUnavailable)
    assert google.calls.count("AsymmetricSignRequest") == 1
    assert "ya29" not in everything_shown_by(caught.value)


def test_nobody_listens(google: GoogleServices) -> None:
    """A server that went away is transient."""
    signer = signer_for(google, Retry(attempts=2, sleep=lambda _s: None), timeout=0.5)
    google._server.stop(None).wait()
    with pytest.raises(SignerUnavailable, match="2 attempts"):
        signer.warm_up()


def _on(kind: type, change: Callable[[Any], None]) -> Callable[[Any], None]:
    def alter(answer: Any) -> None:
        if isinstance(answer, kind):
            change(answer)

    return alter


def _sets(**members: object) -> Callable[[Any], None]:
    def change(answer: Any) -> None:
        for name, value in members.items():
            setattr(answer, name, value)

    return change


def _flip(answer: Any) -> None:
    answer.signature = bytes([answer.signature[0] ^ 1]) + answer.signature[1:]


def _flip_with_checksum(answer: Any) -> None:
    _flip(answer)
    answer.signature_crc32c = crc32c(answer.signature)


@pytest.mark.parametrize(
    ("alter", "words"),
    [
        (_on(types.AsymmetricSignResponse, _flip), "the signature was damaged"),
        (_on(types.AsymmetricSignResponse, _sets(signature_crc32c=1)), "the signature was damaged"),
        (_on(types.AsymmetricSignResponse, _sets(signature_crc32c=None)), "signature was damaged"),
        (_on(types.AsymmetricSignResponse, _sets(verified_data_crc32c=False)), "message was dam"),
        (_on(types.AsymmetricSignResponse, _sets(name=f"{KEY}2")), "another key version signed"),
        (_on(types.AsymmetricSignResponse, _flip_with_checksum), "not by the key"),
        (
            _on(types.AsymmetricSignResponse, _sets(signature=b"", signature_crc32c=0)),
            "no Ed25519 signature",
        ),
        (_on(types.PublicKey, _sets(pem_crc32c=1)), "the public key was damaged"),
        (_on(types.PublicKey, _sets(pem_crc32c=None)), "the public key was damaged"),
        (_on(types.PublicKey, _sets(name=f"{KEY}2")), "another key version than"),
        (_on(types.PublicKey, _sets(pem="?", pem_crc32c=crc32c(b"?"))), "no Ed25519 key"),
        (_on(types.PublicKey, _sets(algorithm=P256)), "no EC_SIGN_ED25519"),
        (_on(types.PublicKey, _sets(algorithm=9999)), "no EC_SIGN_ED25519"),
    ],
)
@pytest.mark.filterwarnings("ignore:Unrecognized CryptoKeyVersionAlgorithm")
def test_wrong_answers(google: GoogleServices, alter: Callable[[Any], None], words: str) -> None:
    """Damaged or wrong answers are no signature, and get into no receipt."""
    google.alter = alter
    kept = Kept()
    with pytest.raises(SigningError, match=words):
        chain_by(signer_for(google), kept).emit(READ, SUCCESS)
    assert not kept.receipts


def test_damage_is_asked_again(google: GoogleServices) -> None:
    """An answer whose checksum is wrong is discarded, and asked for once more, as Google says."""
    signer = signer_for(google)
    signer.warm_up()
    spoilt = iter([True])

    def alter(answer: Any) -> None:
        if next(spoilt, False):
            _flip(answer)

    google.alter = alter
    assert len(signer.sign(b"x")) == 64
    assert google.calls.count("AsymmetricSignRequest") == 2


def test_damage_on_the_way_there(google: GoogleServices) -> None:
    """A message that arrives altered is refused by the service: our checksum went with it."""
    google.damage = lambda data: data + b"!"
    with pytest.raises(SigningError, match="does not accept the request"):
        signer_for(google).sign(b"x")


def test_a_version_is_for_life(google: GoogleServices) -> None:
    """A newer version changes nothing; a disabled one stops the chain, a new name begins one."""
    kept = Kept()
    signer = signer_for(google)
    chain = chain_by(signer, kept)
    chain.emit(READ, SUCCESS)
    second = google.make_key(OTHER_SEED)
    chain.emit(READ, SUCCESS)
    google.disabled.add(f"{KEY}1")
    with pytest.raises(SigningError, match="disabled or destroyed"):
        chain.emit(READ, SUCCESS)
    report = verify_chain(kept.lines, signer.get_public_key(), expected_length=2)
    assert report.verdict.name == "VERIFIED"
    following = CloudKMSSigner(second, client=google.kms_client())
    assert following.get_public_key() != signer.get_public_key()


def test_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Application Default Credentials there is no signer, and the error says so."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nonexistent/adc.json")
    with pytest.raises(SigningError, match="no Application Default Credentials"):
        CloudKMSSigner(f"{KEY}1")


def test_secrets(google: GoogleServices) -> None:
    """A secret version yields its key pair; `latest` is a version like any other."""
    pair = KeyPair.from_seed(OTHER_SEED)
    google.secrets = {f"{SECRET}1": pair.private_key.encode(), f"{SECRET}latest": b"\xff" * 32}
    client = google.secret_client()
    assert SecretManagerKeyProvider(f"{SECRET}1", client=client).get_key_pair() == pair
    latest = SecretManagerKeyProvider(f"{SECRET}latest", client=client)
    assert latest.get_key_pair() == KeyPair.from_seed(b"\xff" * 32)
    assert google.calls == ["AccessSecretVersionRequest"] * 2


def test_googles_client_does_not_try_again_by_itself(google: GoogleServices) -> None:
    """One schedule is enough: its own goes on for a minute."""
    google.secrets = {f"{SECRET}1": KeyPair.from_seed(SEED).private_key.encode()}
    client, once = google.secret_client(), Retry(attempts=1)
    google.faults.append(grpc.StatusCode.UNAVAILABLE)
    with pytest.raises(KeySecretError) as caught:
        SecretManagerKeyProvider(f"{SECRET}1", client=client, retry=once)
    assert caught.value.is_transient
    assert google.calls == ["AccessSecretVersionRequest"]


def test_secrets_that_are_none(google: GoogleServices) -> None:
    """Absent, damaged and strange secrets are KeySecretErrors that show nothing."""
    text = "u" + b64u_encode(OTHER_SEED)
    google.secrets = {f"{SECRET}1": text.encode(), f"{SECRET}2": b"{" + text.encode()}
    client = google.secret_client()
    with pytest.raises(KeySecretError, match="nothing of this name"):
        SecretManagerKeyProvider(f"{SECRET}9", client=client)
    with pytest.raises(KeySecretError, match="holds JSON") as caught:
        SecretManagerKeyProvider(f"{SECRET}2", client=client)
    assert text[1:] not in everything_shown_by(caught.value)

    def spoil(answer: Any) -> None:
        answer.payload.data_crc32c = 1

    google.alter = spoil
    with pytest.raises(KeySecretError, match="the secret was damaged") as caught:
        SecretManagerKeyProvider(f"{SECRET}1", client=client, retry=EAGER)
    assert caught.value.is_transient
    assert text[1:] not in everything_shown_by(caught.value)
