# SPDX-License-Identifier: Apache-2.0
"""A signer's URI names one signer or is refused; nothing in it is ignored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.curve import CurveKey

from tallystick.errors import (
    KeyFileError,
    KeyMismatchError,
    MissingExtraError,
    SettingError,
    SigningError,
)
from tallystick.keys.evm_aws import KMSEvmSigner
from tallystick.keys.evm_azure import KeyVaultEvmSigner
from tallystick.keys.evm_keystore import write_keystore
from tallystick.keys.local import generate_key_pair
from tallystick.keys.signer_uri import (
    open_evm_signer,
    open_signer,
    parse_signer_uri,
    secret_files_of,
)
from tallystick.keys.vault import TransitSigner
from tallystick.limits import SIGNER_URI_CHARS_MAX

KEY = CurveKey(0x5EED)
VERSION_OF_GOOGLE = "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1"
VERSION = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """No machine's own settings, and no look for credentials."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.delenv("AWS_REGION", raising=False)


def keystore(home: Path) -> tuple[Path, Path]:
    store, password = home / "evm.json", home / "password"
    for path, text in (
        (store, write_keystore(KEY.secret, b"pass", n=1 << 12)),
        (password, "pass\n"),
    ):
        path.write_text(text)
        path.chmod(0o600)
    return store, password


def test_a_pem_file(tmp_path: Path) -> None:
    """A path is an Ed25519 key file."""
    path = tmp_path / "signing.key"
    pair = generate_key_pair()
    path.write_text(pair.private_key)
    path.chmod(0o600)
    assert open_signer(str(path)).get_public_key() == pair.signing_key().public_key


def test_a_keystore_file(tmp_path: Path) -> None:
    """Its password is in a file, or asked for; its address may be pinned."""
    store, password = keystore(tmp_path)
    uri = f"keystore:{store}?password-file={password}"
    assert open_evm_signer(uri).get_address() == KEY.address
    assert open_evm_signer(f"{uri}&address={KEY.address}").get_address() == KEY.address
    with pytest.raises(KeyMismatchError, match="is expected"):
        open_evm_signer(f"{uri}&address={CurveKey(7).address}")
    for name in (str(store), f"keystore:{store}"):
        assert open_evm_signer(name, password=lambda: b"pass").get_address() == KEY.address
        with pytest.raises(SettingError, match="wants its password"):
            open_evm_signer(name)
    with pytest.raises(SettingError, match="not both"):
        open_evm_signer(f"{uri}&password-fd=3")
    with pytest.raises(SettingError, match="no number"):
        open_evm_signer(f"keystore:{store}?password-fd=x")
    with pytest.raises(KeyFileError, match="fd 9999"):
        open_evm_signer(f"keystore:{store}?password-fd=9999")


def test_services() -> None:
    """A service's signer is made and asked for nothing."""
    made: Any = open_evm_signer(f"awskms:alias/solver?region=eu-west-1&address={KEY.address}")
    assert isinstance(made, KMSEvmSigner)
    assert made.key_id == "alias/solver"
    made = open_evm_signer(f"azurekeyvault:v.vault.azure.net/keys/solver/{VERSION}")
    assert isinstance(made, KeyVaultEvmSigner)
    assert made.key_id == f"https://v.vault.azure.net/keys/solver/{VERSION}"
    with pytest.raises(SigningError, match="no region"):
        open_signer("awskms:alias/agent")
    assert isinstance(open_signer("vault:agent?mount=other"), TransitSigner)
    assert isinstance(open_signer("vault:agent"), TransitSigner)


@pytest.mark.parametrize("opened", [open_signer, open_evm_signer])
def test_names_are_checked(opened: Any) -> None:
    """What the signers refuse is a SettingError that names the scheme."""
    with pytest.raises(SettingError, match=r"gcpkms: name is no key version"):
        opened("gcpkms:projects/p")
    with pytest.raises(SettingError, match=r"gcpkms: endpoint is http"):
        opened(f"gcpkms:{VERSION_OF_GOOGLE}?endpoint=http://kms.example")
    for name in (
        "token=t",
        "object=o;token=t",
        "token=t;token=t?module-path=/m",
        "token=t;object=o;object=p?module-path=/m",
        "x=1?module-path=/m",
    ):
        with pytest.raises(SettingError, match="wanted is pkcs11:"):
            opened(f"pkcs11:{name}")
    with pytest.raises(SettingError, match="pkcs11: holds control characters"):
        opened("pkcs11:token=t%00;object=o?module-path=/nonexistent.so")
    with pytest.raises((SigningError, MissingExtraError), match="can't be loaded"):
        opened("pkcs11:token=t%3B;object=o?module-path=/nonexistent.so")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "a signer is a path"),
        ("https://v.vault.azure.net/keys/solver", "a signer is a path"),
        ("awskms:", "names no key"),
        ("awskms:k?pin=1", "takes no parameter 'pin'"),
        ("awskms:k?region=a&region=b", "takes no parameter 'region'"),
        ("awskms:k?region", "takes no parameter 'region'"),
        ("keystore:k?password=secret", "takes no parameter 'password'"),
        ("awskms:k%0d%0aX-Header:%20y", "holds control characters"),
        ("awskms:k\x1b[2J", "holds control characters"),
        ("awskms:k?region=eu-west-1%00", "holds control characters"),
        ("vault:k?mount=a%C2%85", "holds control characters"),
        ("keystore:k%ff?password-fd=3", "no UTF-8"),
        ("x" * (SIGNER_URI_CHARS_MAX + 1), "characters"),
        ("11" * 32, "a key itself"),
        ("-----BEGIN PRIVATE KEY-----", "a key itself"),
    ],
)
def test_texts_that_are_refused(text: str, words: str) -> None:
    """Unknown schemes and parameters, and keys where their place is wanted."""
    with pytest.raises(SettingError, match=words):
        parse_signer_uri(text)


@pytest.mark.parametrize("text", ["aws-kms:alias/x", "gcp-kms:k", "AWSKMS:k", "env:KEY", "file:k"])
def test_a_mistyped_scheme_is_no_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """Unless there is a file of that name, or a folder stands before it."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingError, match="or one of awskms, ") as refused:
        parse_signer_uri(text)
    assert text not in str(refused.value)
    assert parse_signer_uri(f"./{text}").name == f"./{text}"
    folder = Path(text).parent
    folder.mkdir(exist_ok=True)
    Path(text).touch()
    assert parse_signer_uri(text).scheme == ""


def test_the_wrong_curve() -> None:
    """Schemes without keys of that kind say so; an address is for EVM keys."""
    with pytest.raises(SettingError, match="no Ed25519 keys"):
        open_signer(f"azurekeyvault:v.vault.azure.net/keys/solver/{VERSION}")
    with pytest.raises(SettingError, match="no Ed25519 keys"):
        open_signer("keystore:evm.json")
    with pytest.raises(SettingError, match="no keys of secp256k1"):
        open_evm_signer("vault:agent")
    with pytest.raises(SettingError, match="for EVM keys"):
        open_signer(f"awskms:k?address={KEY.address}")


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("solver.key", ("solver.key",)),
        ("keystore:a.json?password-file=p%20w", ("a.json", "p w")),
        ("keystore:a%20b.json?password-fd=3", ("a b.json",)),
        ("awskms:alias/solver", ()),
        ("pkcs11:token=a;object=b?module-path=/usr/lib/m.so", ()),
    ],
)
def test_the_files_of_a_secret_are_known(text: str, files: tuple[str, ...]) -> None:
    """Whoever runs programs beside a key knows what to hide from them."""
    assert secret_files_of(text) == files
