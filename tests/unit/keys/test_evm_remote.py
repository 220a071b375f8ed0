# SPDX-License-Identifier: Apache-2.0
"""What all remote EVM signers do, with a key beside it instead of a service."""

from __future__ import annotations

import pytest
from tests.curve import CurveKey

from tallystick.errors import KeyFormatError, KeyMismatchError, SigningError
from tallystick.keys.evm_remote import RemoteEvmSigner, sound_der, sound_evm_key, sound_raw
from tallystick.keys.remote import Fault, Line, NamedKey, Retry, Unusable
from tallystick.model.evm_statement import Eip191
from tallystick.ports import EvmSigner

KEY, OTHER = CurveKey(0x5EED), CurveKey(7)
MESSAGE = Eip191(message=b"x")


class Near(RemoteEvmSigner):
    """A service without a wire; `signing` may be another key than the one that it shows."""

    def __init__(self, address: str | None = None, signing: CurveKey = KEY) -> None:
        super().__init__(Line("near", lambda _error: Fault("odd"), Retry(attempts=1)), address)
        self.signing = signing
        self.asked: list[bytes] = []

    def _request_key(self) -> NamedKey:
        return NamedKey("k", b"".join(KEY.numbers))

    def _request_signature(self, digest: bytes, key: NamedKey) -> tuple[int, int]:
        self.asked.append(digest)
        return sound_der(self.signing.sign(digest))


def test_the_digest_is_made_here() -> None:
    """What a service is given is the statement's digest; the signer is an EvmSigner."""
    signer = Near()
    assert isinstance(signer, EvmSigner)
    signer.sign(MESSAGE)
    assert signer.asked == [MESSAGE.digest()]
    assert signer.get_address() == KEY.address
    assert signer.get_public_key() == b"".join(KEY.numbers)


def test_the_address_is_checked_first() -> None:
    """Another address than the expected one: nothing is signed, and the key is not pinned."""
    signer = Near(OTHER.address)
    for _ in range(2):
        with pytest.raises(KeyMismatchError, match=f"{KEY.address}, and {OTHER.address}"):
            signer.sign(MESSAGE)
    assert signer.asked == []
    assert signer.pinned_name is None
    with pytest.raises(KeyFormatError):
        Near("0x12")


def test_a_stranger_signs_in_vain() -> None:
    """A signature by another key than the one that was shown is refused."""
    with pytest.raises(SigningError, match="not by the key k"):
        Near(signing=OTHER).sign(MESSAGE)


def test_a_new_signer_keeps_the_expected_address() -> None:
    """`anew` forgets the key and not the address."""
    signer = Near(KEY.address)
    signer.warm_up()
    twin = signer.anew()
    assert twin.pinned_name is None
    assert twin.get_address() == KEY.address


def test_answers_without_signature_or_key() -> None:
    """What is missing or of another form is an unusable answer."""
    for read in (sound_der, sound_raw):
        for wrong in (None, "text", b"", b"\0" * 64):
            with pytest.raises(Unusable):
                read(wrong)
    for odd in (None, 5, b"", "text"):
        with pytest.raises(Unusable):
            sound_evm_key(odd)
