# SPDX-License-Identifier: Apache-2.0
"""A provider for a key pair that is already there."""

from __future__ import annotations

import pickle

import pytest

from tallystick.crypto.ed25519 import KeyPair
from tallystick.keys.memory import InMemoryKeyProvider
from tallystick.ports import KeyProvider

PAIR = KeyPair.from_seed(bytes(range(32)))


def test_provider_yields_what_it_was_given() -> None:
    """The pair comes back, through the port."""
    provider: KeyProvider = InMemoryKeyProvider(PAIR)
    assert isinstance(provider, KeyProvider)
    assert provider.get_key_pair() is PAIR


def test_provider_hides_the_private_key() -> None:
    """repr shows the public key only, and pickling refuses."""
    provider = InMemoryKeyProvider(PAIR)
    assert "did:key:z6Mk" in repr(provider)
    assert PAIR.private_key.splitlines()[1] not in repr(provider)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(provider)


def test_provider_wants_a_pair() -> None:
    """A PEM text in its place is refused without showing it."""
    with pytest.raises(TypeError, match="takes a KeyPair") as caught:
        InMemoryKeyProvider(PAIR.private_key)  # type: ignore[arg-type]  # what the test is about
    assert "PRIVATE KEY" not in str(caught.value)
