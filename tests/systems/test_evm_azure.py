# SPDX-License-Identifier: Apache-2.0
"""KeyVaultEvmSigner through Microsoft's client, over TLS, against a local service."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from tests.curve import CurveKey
from tests.leaks import everything_shown_by
from tests.systems import http_service
from tests.systems.evm_material import MANIFEST, MESSAGE, TRANSFER, signs_everything
from tests.systems.http_service import Answer, Request
from tests.systems.keyvault_service import (
    TENANT,
    TOKEN,
    VERSION,
    KeyVaultService,
    Members,
    b64,
)

from tallystick.errors import KeyMismatchError, SignerUnavailable, SigningError
from tallystick.keys.evm_azure import KeyVaultEvmSigner
from tallystick.keys.remote import Retry

EAGER = Retry(sleep=lambda _seconds: None)
ADDRESS = CurveKey(0x5EED).address


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[KeyVaultService]:
    with KeyVaultService(tmp_path) as service:
        service.make_key(0x5EED, "solver")
        yield service


def signer_for(vault: KeyVaultService, name: str = "solver", **settings: Any) -> KeyVaultEvmSigner:
    """Return a signer that asks the local service and does not wait between attempts."""
    return KeyVaultEvmSigner(
        f"{vault.url}/keys/{name}/{VERSION}", client=vault.client(), retry=EAGER, **settings
    )


def test_every_statement(vault: KeyVaultService) -> None:
    """All four kinds are signed with ES256K, after the challenge that names the tenant."""
    signs_everything(signer_for(vault, address=ADDRESS), ADDRESS)
    scopes, options = vault.credential.asked[0]
    assert scopes == ("https://vault.azure.net/.default",)
    assert options["tenant_id"] == TENANT


def test_another_address(vault: KeyVaultService) -> None:
    """A key whose address is not the expected one signs nothing."""
    with pytest.raises(KeyMismatchError, match=ADDRESS):
        signer_for(vault, address=CurveKey(7).address).sign(MESSAGE)
    assert vault.count("sign") == 0


@pytest.mark.parametrize("crv", ["P-256", "P-384", "SECP256K1"])
def test_keys_on_other_curves(vault: KeyVaultService, crv: str) -> None:
    """Only P-256K is taken."""
    vault.curves["solver"] = crv
    with pytest.raises(SigningError, match="none on the curve P-256K"):
        signer_for(vault).warm_up()


@pytest.mark.parametrize(
    ("member", "value", "words"),
    [
        ("x", b64(b"\1" * 32), "no point"),
        ("x", b64(b""), "no point"),
        ("y", b64(b"\1" * 40), "no point"),
        ("kid", "https://other.vault.azure.net/keys/solver/" + VERSION, "another key version"),
        ("kty", "RSA", "none on the curve"),
    ],
)
def test_answers_about_other_keys(
    vault: KeyVaultService, member: str, value: str, words: str
) -> None:
    """A point off the curve, another identifier and another kind of key are refused."""

    def alter(action: str, members: Members) -> None:
        if action == "get":
            members["key"][member] = value

    vault.alter = alter
    with pytest.raises(SigningError, match=words):
        signer_for(vault).warm_up()


@pytest.mark.parametrize(
    ("signature", "words"),
    [
        (CurveKey(0xBAD).sign_raw(b"\7" * 32), "not by the key"),
        (CurveKey(0x5EED).sign_raw(b"\7" * 32), "not by the key"),
        (CurveKey(0x5EED).sign_raw(b"\7" * 32)[:-1], "no ECDSA signature"),
        (bytes(64), "no ECDSA signature"),
        (b"", "no ECDSA signature"),
    ],
    ids=["another-key", "another-digest", "cut", "blank", "empty"],
)
def test_answers_that_were_tampered_with(
    vault: KeyVaultService, signature: bytes, words: str
) -> None:
    """Other signatures, cut-off ones and zeros are refused."""

    def alter(action: str, members: Members) -> None:
        if action == "sign":
            members["value"] = b64(signature)

    vault.alter = alter
    with pytest.raises(SigningError, match=words):
        signer_for(vault).sign(TRANSFER)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_transient_faults_are_asked_again(vault: KeyVaultService, status: int) -> None:
    """Throttling and 5xx: the next attempt signs, and the client's retries are not added."""
    signer = signer_for(vault)
    signer.warm_up()
    signer.sign(MANIFEST)
    before = vault.count("sign")
    vault.tricks.append(lambda _request, _connection, _stop: Answer(status, b"{}"))
    signer.sign(MANIFEST)
    assert vault.count("sign") == before + 2


@pytest.mark.parametrize("hangs", [True, False])
def test_the_client_that_is_made_tries_once(
    vault: KeyVaultService, monkeypatch: pytest.MonkeyPatch, hangs: bool
) -> None:
    """It ends at our timeout, and its own four attempts are not made besides ours."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(vault.authority))
    waited: list[bool] = []

    def hang(_request: Request, _connection: socket.socket, stop: Event) -> None:
        waited.append(stop.wait(30))

    vault.tricks.append(hang if hangs else http_service.balancer_down)
    signer = KeyVaultEvmSigner(
        f"{vault.url}/keys/solver/{VERSION}", timeout=0.3, retry=Retry(attempts=1)
    )
    with pytest.raises(SignerUnavailable):
        signer.warm_up()
    assert len(vault.requests) == 1
    assert not waited


def test_permanent_faults(vault: KeyVaultService) -> None:
    """No such key, and a disabled one, whose refusal quotes the token: ours does not."""
    with pytest.raises(SigningError, match="no such key"):
        signer_for(vault, "other").warm_up()
    vault.disabled.add("solver")
    with pytest.raises(SigningError, match="disabled or expired") as caught:
        signer_for(vault).sign(MESSAGE)
    assert not isinstance(caught.value, SignerUnavailable)
    assert TOKEN not in everything_shown_by(caught.value)


def test_broken_connections(vault: KeyVaultService) -> None:
    """A connection that breaks is transient; bytes of no protocol are an error in our words."""
    signer = signer_for(vault)
    signer.sign(MANIFEST)
    vault.tricks.append(http_service.reset)
    signer.sign(MANIFEST)
    vault.tricks.extend([http_service.garbage] * 5)
    with pytest.raises(SigningError, match="Azure Key Vault gave no"):
        signer.sign(MANIFEST)
