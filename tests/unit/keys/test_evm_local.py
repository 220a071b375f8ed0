# SPDX-License-Identifier: Apache-2.0
"""A key of this process signs statements, and is never shown."""

from __future__ import annotations

import pytest
from tests.curve import ORDER, CurveKey
from tests.leaks import everything_shown_by
from tests.systems.evm_material import signs_everything

from tallystick.errors import KeyFormatError
from tallystick.keys.evm_local import LocalEvmSigner, generate_evm_secret
from tallystick.ports import EvmSigner

KEY = CurveKey(0x5EED)


def test_every_statement() -> None:
    """All four kinds are signed, and recovered to the key's address."""
    signer = LocalEvmSigner(KEY.secret)
    assert isinstance(signer, EvmSigner)
    signs_everything(signer, KEY.address)
    assert signer.get_public_key() == b"".join(KEY.numbers)


def test_new_keys() -> None:
    """Randomness that is no key is drawn again; two keys differ."""
    draws = iter([bytes(32), ORDER.to_bytes(32, "big"), KEY.secret])
    assert generate_evm_secret(entropy=lambda _size: next(draws)) == KEY.secret
    assert generate_evm_secret() != generate_evm_secret()


def test_nothing_is_shown() -> None:
    """Neither repr nor a refusal holds the secret."""
    assert KEY.secret.hex() not in repr(LocalEvmSigner(KEY.secret))
    assert KEY.address in repr(LocalEvmSigner(KEY.secret))
    with pytest.raises(KeyFormatError) as caught:
        LocalEvmSigner(b"\x77" * 31)
    assert "www" not in everything_shown_by(caught.value)


def test_a_digest_is_not_signed() -> None:
    """32 bytes of the caller's are refused."""
    with pytest.raises(TypeError, match="no digest"):
        LocalEvmSigner(KEY.secret).sign(b"\1" * 32)  # type: ignore[arg-type]  # the test's point
