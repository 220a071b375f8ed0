# SPDX-License-Identifier: Apache-2.0
"""A daemon as a process whose key lives in a service: AWS KMS, and then Vault.

boto3 and hvac speak to local services that keep the rules of the real ones. No key is on the host.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.command import process
from tests.daemons import DaemonHome, wait_until
from tests.systems.http_service import balancer_down
from tests.systems.kms_service import KmsService
from tests.systems.transit_service import TOKEN, TransitService

from tallystick.crypto.ed25519 import KeyPair, public_key_from
from tallystick.daemon.status import ask_daemon

AWS_SEED, VAULT_SEED = bytes(range(32)), bytes(range(1, 33))
SECRETS = ("wJalrXUtnFEMI/EXAMPLEKEY", TOKEN)


class KeylessHome(DaemonHome):
    """A home without a key: what it has are the credentials of two services."""

    def __init__(self, folder: Path, vault: TransitService) -> None:
        super().__init__(folder, with_key=False)
        self._vault_url = vault.url

    def variables(self, **more: str) -> Mapping[str, str]:
        given = {
            "AGENTRECEIPTS_PUBLIC_KEY": str(self.public),
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": SECRETS[0],
            "AWS_CONFIG_FILE": "/nonexistent",
            "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
            "AWS_EC2_METADATA_DISABLED": "true",
            "VAULT_ADDR": self._vault_url,
            "VAULT_TOKEN": SECRETS[1],
            "NO_PROXY": "127.0.0.1",
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


def test_services_sign_one_after_the_other(tmp_path: Path) -> None:
    """KMS signs, holds up while it is away, and hands over to Vault; all chains verify."""
    with KmsService() as kms, TransitService() as vault:
        kms.make_key(AWS_SEED, "alias/agent")
        vault.rotate("agent", VAULT_SEED)
        home = KeylessHome(tmp_path / "home", vault)
        signer = f"awskms:alias/agent?region=eu-west-1&endpoint={kms.url}"
        said = home.verb("init", "--signer", signer)
        assert public_key_from(home.public.read_bytes()) == raw_key(AWS_SEED)
        with home.daemon("--signer", signer, "--next-signer", "vault:agent") as daemon:
            with daemon.line() as line:
                before = kms.count("Sign")
                assert line.ask()["sequence"] == 1
                assert kms.count("Sign") == before + 1
                kms.tricks.extend([balancer_down] * 5)  # more often than one signature is tried
                assert line.ask()["sequence"] == 2
                assert not kms.tricks
                wait_until(lambda: not daemon.status()["queue"]["signer_is_away"])
                assert ask_daemon(home.status, "rotate", wait_s=60)["ok"] is True
                signed = kms.count("Sign")
                assert line.ask()["ok"] is True
                assert (kms.count("Sign"), vault.count("sign") > 2) == (signed, True)
            assert daemon.stop() == 0
            said += daemon.logged()
        assert public_key_from(home.public.read_bytes()) == raw_key(VAULT_SEED)
        assert len(home.check()) == 6  # two, hand-over and end; one and its end
        assert "signer_unavailable" in said
        assert not any(secret in said for secret in SECRETS)
        assert not home.key.exists()


def raw_key(seed: bytes) -> bytes:
    """Return the public key of a seed."""
    return KeyPair.from_seed(seed).signing_key().public_key
