# SPDX-License-Identifier: Apache-2.0
"""The key in a secret: its forms, and what people store instead."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.leaks import everything_shown_by

from tallystick.crypto.ed25519 import KeyPair
from tallystick.crypto.multibase import b64u_encode
from tallystick.errors import KeySecretError
from tallystick.keys.remote import Fault, Line, Retry
from tallystick.keys.secret import RemoteKeyProvider, key_pair_in_secret
from tallystick.limits import KEY_FILE_BYTES_MAX
from tallystick.ports import KeyProvider

SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PAIR = KeyPair.from_seed(SEED)
TEXT = "u" + b64u_encode(SEED)
LINE = Line("S", lambda _error: Fault("down"), Retry(attempts=1))


@pytest.mark.parametrize(
    "value",
    [
        TEXT,
        f"{TEXT}\n",
        PAIR.private_key,
        PAIR.private_key.replace("\n", "\\n"),
        SEED,
        TEXT.encode(),
        PAIR.private_key.encode(),
        base64.b64decode(PAIR.private_key.splitlines()[1]),
    ],
)
def test_each_form(value: str | bytes) -> None:
    """Multibase, PEM, DER and the bare seed give the same pair."""
    assert key_pair_in_secret(value) == PAIR
    provider: KeyProvider = RemoteKeyProvider("name", LINE, lambda: value)
    assert isinstance(provider, KeyProvider)
    assert provider.get_key_pair() == PAIR


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "is not set"),
        ("", "is empty"),
        (b"", "is empty"),
        (json.dumps({"key": TEXT}), "holds JSON; store the key alone"),
        (TEXT.encode()[:32], "not 43"),
        (SEED.hex(), "looks like hexadecimal"),
        (SEED + b"\x80", "no key in a form"),
        (SEED[:31], "no key in a form"),
        (b"\x80" * 48, "no usable key"),
        (b"\x80" * (KEY_FILE_BYTES_MAX + 1), "is larger than"),
        ("u" * (KEY_FILE_BYTES_MAX + 1), "is larger than"),
        (PAIR.public_key, "no usable key"),
    ],
)
def test_other_values(value: str | bytes | None, words: str) -> None:
    """Each is refused in words that help, and shown nowhere."""
    with pytest.raises(KeySecretError, match=words) as caught:
        RemoteKeyProvider("name", LINE, lambda: value)
    shown = everything_shown_by(caught.value)
    assert "the secret name" in shown
    for secret in (TEXT[1:], SEED.hex(), repr(SEED)[2:-1], PAIR.private_key.splitlines()[1]):
        assert secret not in shown


@given(st.binary(max_size=200))
def test_any_bytes(value: bytes) -> None:
    """Whatever the bytes are, there is a pair or a reason."""
    found = key_pair_in_secret(value)
    assert isinstance(found, KeyPair | str)


def test_repr_hides_the_key() -> None:
    """Name and public key, nothing else."""
    shown = repr(RemoteKeyProvider("name", LINE, lambda: TEXT))
    assert "'name'" in shown
    assert TEXT[1:] not in shown


def test_a_secret_that_can_not_be_fetched() -> None:
    """The service's fault is told, and whether asking again may help."""

    def fetch() -> str:
        raise OSError(TEXT)

    with pytest.raises(KeySecretError, match="S gave no secret: down") as caught:
        RemoteKeyProvider("name", LINE, fetch)
    assert not caught.value.is_transient
    assert TEXT not in everything_shown_by(caught.value)
