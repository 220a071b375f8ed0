# SPDX-License-Identifier: Apache-2.0
"""A daemon as a process whose key lives in a service: AWS KMS, then Vault; Google Cloud KMS.

boto3, hvac and Google's client speak to local services that keep the rules of the real ones. No key
is on the host.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import grpc
from tests.command import process
from tests.daemons import DaemonHome, wait_until
from tests.systems.google_services import KEY, GoogleServices
from tests.systems.http_service import balancer_down
from tests.systems.kms_service import KmsService
from tests.systems.transit_service import TOKEN, TransitService

from tallystick.crypto.ed25519 import KeyPair, public_key_from
from tallystick.daemon.status import ask_daemon

FIRST_SEED, NEXT_SEED = bytes(range(32)), bytes(range(1, 33))
SECRETS = ("wJalrXUtnFEMI/EXAMPLEKEY", TOKEN)


class KeylessHome(DaemonHome):
    """A home without a key: what it has are the credentials of services."""

    def __init__(self, folder: Path, **credentials: str) -> None:
        super().__init__(folder, with_key=False)
        self._credentials = credentials

    def variables(self, **more: str) -> Mapping[str, str]:
        given = {
            "AGENTRECEIPTS_PUBLIC_KEY": str(self.public),
            "NO_PROXY": "127.0.0.1",
            **self._credentials,
        }
        whole = super().variables(**{**given, **more})
        return {name: value for name, value in whole.items() if name != "AGENTRECEIPTS_KEY"}

    def verb(self, *arguments: str) -> str:
        """Run a verb that must succeed, and return all that it says."""
        done = subprocess.run(
            process("daemon", *arguments), env=self.variables(), capture_output=True, text=True,
            check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done
        return done.stdout + done.stderr


def sign_and_hand_over(
    home: KeylessHome,
    signers: tuple[str, str],
    signatures: Callable[[], int],
    break_down: Callable[[], None],
    is_back: Callable[[], bool],
) -> str:
    """Have one signer sign, also after a while that it was away, then the next; return what was
    said. `signatures` are those of the first signer.
    """
    signer, successor = signers
    said = home.verb("init", "--signer", signer)
    assert public_key_from(home.public.read_bytes()) == raw_key(FIRST_SEED)
    with home.daemon("--signer", signer, "--next-signer", successor) as daemon:
        with daemon.line() as line:
            before = signatures()
            assert line.ask()["sequence"] == 1
            assert signatures() == before + 1
            break_down()  # more often than one signature is tried
            assert line.ask()["sequence"] == 2
            assert is_back()
            wait_until(lambda: not daemon.status()["queue"]["signer_is_away"])
            assert ask_daemon(home.status, "rotate", wait_s=60)["ok"] is True
            signed = signatures()
            assert line.ask()["ok"] is True
            assert signatures() == signed
        assert daemon.stop() == 0
        said += daemon.logged()
    assert public_key_from(home.public.read_bytes()) == raw_key(NEXT_SEED)
    assert len(home.check()) == 6  # two, hand-over and end; one and its end
    assert "signer_unavailable" in said
    assert not home.key.exists()
    return said


def test_services_sign_one_after_the_other(tmp_path: Path) -> None:
    """KMS signs, holds up while it is away, and hands over to Vault; all chains verify."""
    with KmsService() as kms, TransitService() as vault:
        kms.make_key(FIRST_SEED, "alias/agent")
        vault.rotate("agent", NEXT_SEED)
        home = KeylessHome(
            tmp_path / "home",
            AWS_ACCESS_KEY_ID="AKIDEXAMPLE",
            AWS_SECRET_ACCESS_KEY=SECRETS[0],
            AWS_CONFIG_FILE="/nonexistent",
            AWS_SHARED_CREDENTIALS_FILE="/nonexistent",
            AWS_EC2_METADATA_DISABLED="true",
            VAULT_ADDR=vault.url,
            VAULT_TOKEN=SECRETS[1],
        )
        said = sign_and_hand_over(
            home,
            (f"awskms:alias/agent?region=eu-west-1&endpoint={kms.url}", "vault:agent"),
            lambda: kms.count("Sign"),
            lambda: kms.tricks.extend([balancer_down] * 5),
            lambda: not kms.tricks,
        )
        assert vault.count("sign") > 2
        assert not any(secret in said for secret in SECRETS)


def test_google_signs_with_one_version_after_the_other(tmp_path: Path) -> None:
    """Cloud KMS over gRPC, at an endpoint of this machine: no credentials are looked for."""
    with GoogleServices() as google:
        signers = tuple(
            f"gcpkms:{google.make_key(seed)}?endpoint=http://127.0.0.1:{google.port}"
            for seed in (FIRST_SEED, NEXT_SEED)
        )
        first = f"{KEY}1"
        home = KeylessHome(
            tmp_path / "home",
            GOOGLE_APPLICATION_CREDENTIALS="/nonexistent",
            http_proxy="http://127.0.0.1:1",  # nobody: a channel to this machine takes none
            NO_PROXY="",
            no_proxy="",
        )
        sign_and_hand_over(
            home,
            (signers[0], signers[1]),
            lambda: google.signed.count(first),
            lambda: google.faults.extend([grpc.StatusCode.UNAVAILABLE] * 5),
            lambda: not google.faults,
        )
        assert google.signed.count(f"{KEY}2") > 2


def raw_key(seed: bytes) -> bytes:
    """Return the public key of a seed."""
    return KeyPair.from_seed(seed).signing_key().public_key
