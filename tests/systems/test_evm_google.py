# SPDX-License-Identifier: Apache-2.0
"""CloudKMSEvmSigner through Google's client over gRPC: digests, checksums, addresses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from google.cloud.kms_v1 import types
from tests.curve import CurveKey
from tests.leaks import everything_shown_by
from tests.systems.evm_material import MANIFEST, MESSAGE, TRANSFER, signs_everything
from tests.systems.google_services import KEY, GoogleServices, crc32c

from tallystick.errors import KeyMismatchError, SignerUnavailable, SigningError
from tallystick.keys.evm_gcp import CloudKMSEvmSigner
from tallystick.keys.remote import Retry
from tallystick.keys.signer_uri import open_evm_signer

EAGER = Retry(sleep=lambda _seconds: None)
ADDRESS = CurveKey(0x5EED).address


@pytest.fixture
def google() -> Iterator[GoogleServices]:
    with GoogleServices() as services:
        services.make_evm_key(0x5EED)
        yield services


def signer_for(google: GoogleServices, **settings: Any) -> CloudKMSEvmSigner:
    """Return a signer that asks the local server and does not wait between attempts."""
    return CloudKMSEvmSigner(f"{KEY}1", client=google.kms_client(), retry=EAGER, **settings)


def test_every_statement(google: GoogleServices) -> None:
    """All four kinds are signed through the digest field, SHA-256 and Keccak-256 alike."""
    signer = signer_for(google, address=ADDRESS.lower())
    signer.warm_up()
    assert google.calls == ["GetPublicKeyRequest"]
    signs_everything(signer, ADDRESS)
    assert google.calls.count("GetPublicKeyRequest") == 1
    assert ADDRESS not in repr(signer_for(google))


def test_a_uri_names_the_endpoint(google: GoogleServices) -> None:
    """Without a client of the caller's: the signer's own asks there."""
    signer = open_evm_signer(
        f"gcpkms:{KEY}1?endpoint=http://127.0.0.1:{google.port}&address={ADDRESS}"
    )
    signs_everything(signer, ADDRESS)


def test_another_address(google: GoogleServices) -> None:
    """A key whose address is not the expected one signs nothing."""
    signer = signer_for(google, address=CurveKey(7).address)
    with pytest.raises(KeyMismatchError, match=ADDRESS):
        signer.sign(MESSAGE)
    assert "AsymmetricSignRequest" not in google.calls


def test_a_digest_is_not_signed(google: GoogleServices) -> None:
    """32 bytes of the caller's are refused before anything is asked."""
    with pytest.raises(TypeError, match="no digest"):
        signer_for(google).sign(b"\1" * 32)  # type: ignore[arg-type]  # the test's point
    assert google.calls == []


def _wrong_checksum(answer: Any) -> None:
    if isinstance(answer, types.AsymmetricSignResponse):
        answer.signature_crc32c = crc32c(answer.signature) ^ 1


def _digest_not_verified(answer: Any) -> None:
    if isinstance(answer, types.AsymmetricSignResponse):
        answer.verified_digest_crc32c = False


def _other_bytes(answer: Any) -> None:
    if isinstance(answer, types.AsymmetricSignResponse):
        answer.signature = answer.signature[:-1] + bytes((answer.signature[-1] ^ 1,))


@pytest.mark.parametrize("alter", [_wrong_checksum, _digest_not_verified, _other_bytes])
def test_damage_on_the_way_back(google: GoogleServices, alter: Callable[[Any], None]) -> None:
    """A wrong checksum, a digest that was not verified and changed bytes are asked for again, and
    then given up."""
    google.alter = alter
    with pytest.raises(SignerUnavailable, match=r"damaged on its way.*\(4 attempts\)"):
        signer_for(google).sign(MESSAGE)


def test_damage_on_the_way_there(google: GoogleServices) -> None:
    """The service refuses a digest whose checksum does not fit: it never signs another one."""
    google.damage = lambda digest: digest[:-1] + bytes((digest[-1] ^ 1,))
    with pytest.raises(SigningError, match="does not accept"):
        signer_for(google).sign(MESSAGE)


def _by(secret: int, high: bool) -> Callable[[Any], None]:
    def alter(answer: Any) -> None:
        if isinstance(answer, types.AsymmetricSignResponse):
            answer.signature = CurveKey(secret).sign(b"\7" * 32, high=high)
            answer.signature_crc32c = crc32c(answer.signature)

    return alter


@pytest.mark.parametrize("high", [True, False])
@pytest.mark.parametrize("secret", [0x5EED, 0xBAD])
def test_signatures_of_something_else(google: GoogleServices, secret: int, high: bool) -> None:
    """A well-formed signature by another key, or over another digest, is refused."""
    google.alter = _by(secret, high)
    with pytest.raises(SigningError, match="not by the key"):
        signer_for(google).sign(TRANSFER)


@pytest.mark.parametrize("cut", [0, 1, 8, 40, 69])
def test_truncated_signatures(google: GoogleServices, cut: int) -> None:
    """Cut-off DER is refused, also with a checksum that fits."""

    def alter(answer: Any) -> None:
        if isinstance(answer, types.AsymmetricSignResponse):
            answer.signature = answer.signature[:cut]
            answer.signature_crc32c = crc32c(answer.signature)

    google.alter = alter
    with pytest.raises(SigningError, match="no ECDSA signature"):
        signer_for(google).sign(MESSAGE)


def test_answers_about_other_keys(google: GoogleServices) -> None:
    """Another version's name, another algorithm, and a key of another curve are refused."""
    google.algorithms[f"{KEY}1"] = (
        types.CryptoKeyVersion.CryptoKeyVersionAlgorithm.EC_SIGN_P256_SHA256
    )
    with pytest.raises(SigningError, match="no EC_SIGN_SECP256K1_SHA256"):
        signer_for(google).warm_up()
    google.algorithms.clear()

    def rename(answer: Any) -> None:
        answer.name = f"{KEY}2"

    google.alter = rename
    with pytest.raises(SigningError, match="another key version"):
        signer_for(google).warm_up()

    def of_another_kind(answer: Any) -> None:
        answer.pem = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
        answer.pem_crc32c = crc32c(answer.pem.encode())

    google.alter = of_another_kind
    with pytest.raises(SigningError, match="no key of secp256k1"):
        signer_for(google).warm_up()


def test_faults(google: GoogleServices) -> None:
    """Transient faults are asked again; a token in the service's words is in no error."""
    signer = signer_for(google)
    signer.warm_up()
    google.faults.append(grpc.StatusCode.UNAVAILABLE)
    assert signer.sign(MANIFEST).v in (27, 28)
    google.faults.append(grpc.StatusCode.PERMISSION_DENIED)
    with pytest.raises(SigningError, match="permission denied") as caught:
        signer.sign(MANIFEST)
    assert "ya29" not in everything_shown_by(caught.value)
