# SPDX-License-Identifier: Apache-2.0
"""New keys and the signer of this process."""

from __future__ import annotations

import copy
import pickle

import pytest

from tallystick.crypto.checking import check
from tallystick.crypto.ed25519 import KeyPair
from tallystick.errors import KeyFormatError
from tallystick.keys.local import LocalSigner, generate_key_pair
from tallystick.ports import Signer

PAIR = KeyPair.from_seed(bytes(range(32)))


def test_new_keys_differ() -> None:
    """Each call makes another key."""
    assert len({generate_key_pair() for _ in range(20)}) == 20


def test_entropy_is_an_argument() -> None:
    """The key is the 32 bytes that the source of randomness gave, asked once."""
    asked: list[int] = []

    def entropy(size: int) -> bytes:
        asked.append(size)
        return bytes(range(size))

    assert generate_key_pair(entropy=entropy) == PAIR
    assert asked == [32]


def test_short_entropy_is_refused() -> None:
    """A source that gives fewer bytes makes no key."""
    with pytest.raises(KeyFormatError, match="32 bytes, not 16"):
        generate_key_pair(entropy=lambda size: bytes(size // 2))


def test_signer_keeps_the_port() -> None:
    """A LocalSigner is a Signer, and what it signs its public key checks."""
    signer: Signer = LocalSigner(PAIR)
    assert isinstance(signer, Signer)
    assert signer.get_public_key() == PAIR.signing_key().public_key
    assert check(signer.sign(b"message"), b"message", signer.get_public_key())


def test_signer_hides_its_key() -> None:
    """repr shows the public key only; pickling refuses; copies share the key."""
    signer = LocalSigner(PAIR)
    assert "did:key:z6Mk" in repr(signer)
    assert PAIR.private_key.splitlines()[1] not in repr(signer)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(signer)
    assert copy.deepcopy(signer).get_public_key() == signer.get_public_key()


def test_signer_wants_a_pair() -> None:
    """A PEM text in its place is refused without showing it."""
    with pytest.raises(TypeError, match="takes a KeyPair") as caught:
        LocalSigner(PAIR.private_key)  # type: ignore[arg-type]  # what the test is about
    assert "PRIVATE KEY" not in str(caught.value)
