# SPDX-License-Identifier: Apache-2.0
"""Any signer as the source of the daemon's signatures."""

from __future__ import annotations

import pytest

from tallystick.crypto.checking import check
from tallystick.daemon.key_source import SignerKeySource
from tallystick.daemon.key_succession import KeySuccession
from tallystick.errors import SettingError, SigningError
from tallystick.keys.local import LocalSigner, generate_key_pair


def test_any_signer_is_a_source() -> None:
    """Signatures and key are the signer's own, and no next key is made for it."""
    signer = LocalSigner(generate_key_pair())
    source = SignerKeySource(signer, "did:x#k1")
    source.init()
    assert source.get_public_key() == signer.get_public_key()
    assert check(source.sign(b"x"), b"x", signer.get_public_key())
    assert source.staged() is None
    assert not source.discard()
    for call in (source.stage, source.install):
        with pytest.raises(SettingError, match="no next signer"):
            call()
    source.teardown()


class LookedUpOnly(LocalSigner):
    """A signer whose key may be looked up and not used, as clouds can have it."""

    def sign(self, message: bytes, /) -> bytes:
        raise SigningError("denied")


def test_a_signer_that_may_not_sign_stops_a_start() -> None:
    """It is asked for one signature at the start, and one before anything is handed over to it."""
    signer = LookedUpOnly(generate_key_pair())
    with pytest.raises(SigningError, match="denied"):
        SignerKeySource(signer, "m").init()
    keys = KeySuccession(SignerKeySource(LocalSigner(generate_key_pair()), "m"), signer)
    with pytest.raises(SigningError, match="denied"):
        keys.stage()


def test_a_closable_signer_is_closed() -> None:
    """At the end a signer may let go of its token."""

    class Closing(LocalSigner):
        closed = False

        def close(self) -> None:
            self.closed = True

    signer = Closing(generate_key_pair())
    SignerKeySource(signer, "m").teardown()
    assert signer.closed
