# SPDX-License-Identifier: Apache-2.0
"""Which key the settings name; see tests/systems/test_pkcs11_token.py for a real token."""

from __future__ import annotations

from pathlib import Path

import pytest

from tallystick.daemon.assembly import heads_path
from tallystick.daemon.key_choice import (
    NextSigner,
    beside_key,
    key_kind,
    key_source_of,
    successor_of,
)
from tallystick.daemon.key_file import FileKeySource, make_keys
from tallystick.daemon.key_succession import KeySuccession
from tallystick.daemon.settings import Settings, changed, load_settings, print_config
from tallystick.errors import KeyFileError, SettingError

VAULT, NEXT = (
    "vault:agent",
    "gcpkms:projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/2",
)
TOKEN = "pkcs11:token=t;object=agent?module-path=/usr/lib/x.so"


def settings_of(home: Path, **environ: str) -> Settings:
    given = {"XDG_DATA_HOME": str(home), "XDG_RUNTIME_DIR": "/run/user/7", **environ}
    return load_settings({}, environ=given, platform="linux")[0]


def test_a_file_unless_a_signer_is_named(tmp_path: Path) -> None:
    """What is kept beside the key stays at one place when a signer follows a file."""
    by_file, by_signer = settings_of(tmp_path), settings_of(tmp_path, TALLY_SIGNER=TOKEN)
    assert (key_kind(by_file), key_kind(by_signer)) == ("file", "pkcs11")
    assert by_signer.key == ""
    assert by_file.public_key == by_signer.public_key
    assert heads_path(by_file) == heads_path(by_signer)
    assert beside_key(by_signer, ".x") == f"{tmp_path}/agent-receipts/signing.key.x"
    other = settings_of(tmp_path, TALLY_SIGNER=TOKEN, AGENTRECEIPTS_PUBLIC_KEY="/k/public.pem")
    assert heads_path(other) == "/k/public.pem.heads"


def test_nobody_is_asked_before_it_is_needed(tmp_path: Path) -> None:
    """A file is read by `init`; a module that is not there is told at once, with its path."""
    tmp_path.chmod(0o700)
    settings = settings_of(tmp_path)
    Path(settings.key).parent.mkdir(mode=0o700)
    make_keys(settings.key, settings.public_key)
    keys = key_source_of(settings)
    assert keys.verification_method == settings.verification_method
    keys.init()
    assert len(keys.get_public_key()) == 32
    assert successor_of(settings) is None
    keys.teardown()


def test_the_folder_of_a_signers_public_key_is_looked_at(tmp_path: Path) -> None:
    """Who can put another file there could also take the heads away."""
    settings = settings_of(tmp_path, TALLY_SIGNER=VAULT)
    folder = Path(settings.public_key).parent
    folder.mkdir(mode=0o700)
    folder.chmod(0o777)
    with pytest.raises(KeyFileError, match="can be written by others"):
        key_source_of(settings)


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"TALLY_SIGNER": TOKEN, "AGENTRECEIPTS_KEY": "/k"}, "name two keys"),
        ({"TALLY_SIGNER": "/etc/signing.key"}, "path of a file"),
        ({"TALLY_SIGNER": "keystore:/k?password-file=/p"}, "no Ed25519"),
        ({"TALLY_SIGNER": "azurekeyvault:v.vault.azure.net/keys/k/1"}, "no Ed25519"),
        ({"TALLY_SIGNER": "pkcs11:token=t"}, "wanted is pkcs11:"),
        ({"TALLY_SIGNER": f"{TOKEN}&pin-value=1234"}, "takes no parameter 'pin-value'"),
        ({"TALLY_SIGNER": "https://kms.example"}, "a signer is a path, or one of"),
        ({"TALLY_SIGNER": TOKEN, "TALLY_NEXT_SIGNER": TOKEN}, "must be two"),
        ({"TALLY_NEXT_SIGNER": "u" + "Zq7" * 14 + "Z"}, "a key itself"),
    ],
)
def test_what_can_not_sign_receipts_does_not_start(
    tmp_path: Path, environ: dict[str, str], words: str
) -> None:
    """Each is refused when the settings are read, and no secret in them is echoed."""
    with pytest.raises(SettingError, match=words) as caught:
        settings_of(tmp_path, **environ)
    assert "1234" not in str(caught.value)
    assert "Zq7" not in str(caught.value)


def test_a_successor_beside_a_file(tmp_path: Path) -> None:
    """`next_signer` alone is how a file's chains move to a service; a reload takes it over."""
    before, after = settings_of(tmp_path), settings_of(tmp_path, TALLY_NEXT_SIGNER=VAULT)
    assert after.key == before.key != ""
    assert changed(before, after) == (["next_signer"], [])
    assert changed(before, settings_of(tmp_path, TALLY_SIGNER=VAULT))[1] == ["key", "signer"]
    with pytest.raises(SettingError, match="no key version"):
        successor_of(settings_of(tmp_path, TALLY_NEXT_SIGNER="gcpkms:projects/p"))


def test_who_is_next_is_named_when_all_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To look for it changes nothing, whether it is found or not; nobody is named twice."""
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:1")
    monkeypatch.setenv("VAULT_TOKEN", "x")
    before = settings_of(tmp_path)
    keys = KeySuccession(FileKeySource(before.key, "m"))
    one = NextSigner(keys, before)
    with pytest.raises(SettingError, match="no key version"):
        one.seek(settings_of(tmp_path, TALLY_NEXT_SIGNER="gcpkms:projects/p"))
    after = settings_of(tmp_path, TALLY_NEXT_SIGNER=VAULT)
    one.seek(after)
    assert keys.staged() is None
    one.seek(after)()
    named = keys.staged()
    assert named is not None
    one.seek(after)()
    assert keys.staged() is named
    one.seek(before)()
    assert keys.staged() is None


def test_what_is_printed_sets_the_same_signer(tmp_path: Path) -> None:
    """--print-config names no key file where there is none."""
    given = {"XDG_DATA_HOME": str(tmp_path), "XDG_RUNTIME_DIR": "/run/user/7"}
    first, origins = load_settings({"signer": TOKEN}, environ=given, platform="linux")
    file = tmp_path / "printed.toml"
    file.write_text(print_config(first, origins))
    assert load_settings({}, file=file, environ=given, platform="linux")[0] == first
