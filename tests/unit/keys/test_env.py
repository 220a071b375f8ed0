# SPDX-License-Identifier: Apache-2.0
"""A key in an environment variable, in its two forms, and the forms that people try."""

from __future__ import annotations

import base64
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.leaks import everything_shown_by

from tallystick.config import VARIABLES
from tallystick.crypto.ed25519 import KeyPair
from tallystick.crypto.multibase import b64u_encode, did_key_encode
from tallystick.errors import KeyEnvError
from tallystick.keys.env import EnvVarKeyProvider, key_pair_in
from tallystick.limits import KEY_FILE_BYTES_MAX
from tallystick.ports import KeyProvider

NAME = "AGENTRECEIPTS_KEY"
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PAIR = KeyPair.from_seed(SEED)
TEXT = "u" + b64u_encode(SEED)
PEM = PAIR.private_key
BODY = PEM.splitlines()[1]
SECRETS = [BODY, BODY[22:], TEXT[1:], SEED.hex(), repr(SEED)[2:-1]]


def _refusal(value: str) -> str:
    with pytest.raises(KeyEnvError) as caught:
        EnvVarKeyProvider(environ={NAME: value})
    message = str(caught.value)
    assert message.startswith(NAME)
    shown = everything_shown_by(caught.value)
    for secret in [*SECRETS, value if len(value) > 12 else "\0"]:
        assert secret not in shown
    return message


@pytest.mark.parametrize(
    "value",
    [
        TEXT,
        f"  {TEXT}\n",
        PEM,
        PEM.rstrip("\n"),
        PEM.replace("\n", "\r\n"),
        PEM.replace("\n", "\\n"),
        PEM.replace("\n", "\\r\\n"),
        PEM.rstrip("\n").replace("\n", "\\n"),
    ],
)
def test_both_forms_are_read(value: str) -> None:
    """Seed or PEM, the latter also with its line breaks written as backslash and n."""
    provider: KeyProvider = EnvVarKeyProvider(environ={NAME: value})
    assert isinstance(provider, KeyProvider)
    assert provider.get_key_pair() == PAIR


@given(st.binary(min_size=32, max_size=32))
def test_any_seed_survives(seed: bytes) -> None:
    """Writing a seed as multibase and reading it gives its key."""
    provider = EnvVarKeyProvider(environ={NAME: "u" + b64u_encode(seed)})
    assert provider.get_key_pair() == KeyPair.from_seed(seed)


def test_the_variable_can_be_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any name is possible; without a mapping, the process's environment is read, once."""
    monkeypatch.setenv("OTHER_KEY", TEXT)
    provider = EnvVarKeyProvider("OTHER_KEY")
    monkeypatch.delenv("OTHER_KEY")
    assert provider.get_key_pair() == PAIR


def test_the_default_name_is_in_the_table() -> None:
    """The variable that is read by default is the documented one."""
    assert NAME in {variable.environment for variable in VARIABLES}


def test_unset_and_empty() -> None:
    """Both are refused, apart, with the forms that are wanted."""
    with pytest.raises(KeyEnvError, match="AGENTRECEIPTS_KEY is not set; wanted: `u` and"):
        EnvVarKeyProvider(environ={})
    assert "is empty; wanted" in _refusal("")
    assert "is empty; wanted" in _refusal(" \n")


@pytest.mark.parametrize(
    "value",
    [
        "/etc/agentreceipts/signing.key",
        "/A" + "b" * 41,
        "./signing.key",
        "../keys/signing.key",
        "~/.config/agent-receipts/signing.key",
        "file:///run/secrets/key",
        "keys/signing-key",
        "signing.key",
        "key.pem",
        "C:\\keys\\signing.key",
        "/with space/signing.key",
    ],
)
def test_the_form_of_the_daemon_is_recognised(value: str) -> None:
    """A path is what the daemon wants from this variable: the error says so, and who reads one."""
    message = _refusal(value)
    assert "path of a key file, as the daemon reads it" in message
    assert "FileKeyProvider reads a path" in message
    assert "wanted: `u` and" in message


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (SEED.hex(), "looks like hexadecimal"),
        ("0x" + SEED.hex().upper(), "looks like hexadecimal"),
        (base64.b64encode(SEED).decode(), "looks like plain base64"),
        (base64.b64encode(SEED).decode().rstrip("="), "looks like plain base64"),
        (BODY, "looks like a PEM without its BEGIN and END lines"),
        (TEXT + "=", "no key in a form that we know"),
        (TEXT[:-1], "then has 42 characters, not 43"),
        (TEXT + "A", "then has 44 characters, not 43"),
        (TEXT[:-1] + "B", "not canonical base64url"),
        (TEXT[1:], "looks like plain base64|no key in a form"),
        (f'"{TEXT}"', "quotation mark"),
        (f"'{PEM}'", "quotation marks around its PEM"),
        (PEM.replace("\n", " "), "without its line breaks"),
        (PEM.replace("\n", ""), "without its line breaks"),
        (PAIR.public_key, "a public key where a private key is wanted"),
        (did_key_encode(PAIR.signing_key().public_key), "which is a public key"),
        (PEM + PEM, "2 PEM blocks"),
        (PEM.replace(BODY, BODY[:-2]), "damaged or unknown"),
        (PEM + "\ud800", "not in the one usual form|damaged"),
        ("x" * (KEY_FILE_BYTES_MAX + 1), "is larger than"),
        ("hunter2-hunter2", "no key in a form that we know"),
        ("zABCDEFGHIJKLMNOP", "no key in a form that we know"),
        ("\ud800\udc80", "no key in a form that we know"),
    ],
)
def test_other_forms_are_named(value: str, message: str) -> None:
    """Each near miss has its own word, and none is echoed anywhere in the error."""
    text = _refusal(value)
    assert any(part in text for part in message.split("|"))


@given(st.text(max_size=60))
def test_any_text_is_a_key_or_a_refusal(value: str) -> None:
    """Reading never raises, and no reason echoes the text."""
    found = key_pair_in(value)
    assert isinstance(found, KeyPair) or len(value.strip()) < 5 or value not in found


@pytest.mark.parametrize("name", [TEXT, PEM, "", "A=B", "A B", "1A", "A\n", "u" + "A" * 43])
def test_a_value_in_the_place_of_the_name(name: str) -> None:
    """A key given as the name of the variable is not echoed as 'not set'."""
    with pytest.raises(KeyEnvError, match="not the name of a variable") as caught:
        EnvVarKeyProvider(name, environ={})
    for secret in SECRETS:
        assert secret not in everything_shown_by(caught.value)


def test_provider_hides_the_private_key() -> None:
    """repr shows name and public key only, and pickling refuses."""
    provider = EnvVarKeyProvider(environ={NAME: TEXT})
    assert NAME in repr(provider)
    assert "did:key:z6Mk" in repr(provider)
    for secret in SECRETS:
        assert secret not in repr(provider)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(provider)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/k/)", "did not resolve"),
        ('{"key": "uAAAA"}', "holds JSON; store the key alone"),
        ('{"key": "-----BEGIN PRIVATE KEY-----"}', "holds JSON; store the key alone"),
    ],
)
def test_what_platforms_put_there_instead(value: str, told: str) -> None:
    """A reference that Azure left as it was, and a secret as JSON: the error says what it is."""
    assert told in _refusal(value)
