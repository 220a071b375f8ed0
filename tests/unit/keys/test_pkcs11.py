# SPDX-License-Identifier: Apache-2.0
"""Pkcs11Signer without a token: how it reads points and faults.

tests/systems/test_pkcs11_token.py does the rest, on SoftHSM.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pkcs11
import pytest
from pkcs11 import Attribute, ObjectClass

from tallystick.config import VARIABLES
from tallystick.crypto.ed25519 import KeyPair
from tallystick.errors import MissingExtraError, PinRefused, SignerUnavailable, SigningError
from tallystick.keys.pkcs11 import PIN_VARIABLE, Pkcs11Signer
from tallystick.keys.remote import Retry

PAIR = KeyPair.from_seed(bytes(range(32)))
PUBLIC = PAIR.signing_key().public_key
EAGER = Retry(attempts=2, sleep=lambda _seconds: None)


class Session:
    """A session with a token that holds one key pair."""

    def __init__(self, there: Any) -> None:
        self.point: bytes = there.point
        self.there = there
        self.is_closed = False

    def get_key(self, object_class: ObjectClass, key_type: object, label: str) -> Any:
        if object_class == ObjectClass.PUBLIC_KEY:
            return {Attribute.EC_POINT: self.point}

        class Private(dict[Attribute, bool]):
            def sign(_, message: bytes, mechanism: object) -> bytes:  # noqa: N805
                signature: bytes = self.there.sign(message)
                return signature

        return Private({Attribute.EXTRACTABLE: False, Attribute.SENSITIVE: True})

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module with one token, put where python-pkcs11 keeps loaded modules."""
    opened: list[Session] = []
    there = SimpleNamespace(
        point=b"\x04\x20" + PUBLIC, sign=PAIR.signing_key().sign, opened=opened, fault=None, flags=0
    )

    def open_session(user_pin: str) -> Session:
        if there.fault is not None:
            raise there.fault
        assert user_pin == "1234"
        opened.append(Session(there))
        return opened[-1]

    library = SimpleNamespace(
        initialized=True,
        get_token=lambda token_label: SimpleNamespace(open=open_session, flags=there.flags),
    )
    monkeypatch.setattr(pkcs11, "_loaded", {"module.so": library})
    return there


def signer() -> Pkcs11Signer:
    return Pkcs11Signer("module.so", "t", "k", pin=lambda: "1234", retry=EAGER)


@pytest.mark.parametrize("head", [b"\x04\x20", b"\x03\x21\x00", b""])
def test_points_in_each_spelling(token: Any, head: bytes) -> None:
    """Tokens spell the point as octet string, bit string or bare: all three are read."""
    token.point = head + PUBLIC
    assert signer().get_public_key() == PUBLIC
    assert len(signer().sign(b"x")) == 64


@pytest.mark.parametrize(
    ("point", "words"),
    [
        (b"", "no point"),
        (b"\x04\x20" + PUBLIC[:31], "no point"),
        (b"\x04\x39" + bytes(57), "no point"),
        (b"\x04\x20" + PUBLIC + b"\0", "no point"),
        (b"\x04\x20" + bytes(32), "small order"),
    ],
)
def test_points_that_are_none(token: Any, point: bytes, words: str) -> None:
    """An Ed448 key, a torn one and a weak one are refused."""
    token.point = point
    with pytest.raises(SigningError, match=words):
        signer().warm_up()


def test_a_lost_session_is_closed_and_opened_again(token: Any) -> None:
    """The next attempt logs in anew; the lost session is let go of."""
    made = signer()
    made.warm_up()
    faults = [pkcs11.exceptions.DeviceError()]

    def sign(message: bytes) -> bytes:
        if faults:
            raise faults.pop()
        return PAIR.signing_key().sign(message)

    token.sign = sign
    assert len(made.sign(b"x")) == 64
    assert [session.is_closed for session in token.opened] == [True, False]


def test_a_fault_that_stays(token: Any) -> None:
    """A token that is away is SignerUnavailable; one that refuses is a SigningError, asked once."""
    token.fault = pkcs11.exceptions.TokenNotPresent()
    with pytest.raises(SignerUnavailable, match="the token is away"):
        signer().sign(b"x")
    token.fault = None
    made = signer()
    made.warm_up()

    def sign(_message: bytes) -> bytes:
        raise pkcs11.exceptions.MechanismInvalid

    token.sign = sign
    with pytest.raises(SigningError, match="does not do CKM_EDDSA") as caught:
        made.sign(b"x")
    assert not isinstance(caught.value, SignerUnavailable)
    assert not token.opened[-1].is_closed


@pytest.mark.parametrize(
    "kind", ["PinIncorrect", "PinLocked", "PinExpired", "PinInvalid", "PinLenRange"]
)
def test_a_pin_is_not_tried_twice(token: Any, kind: str) -> None:
    """Also when the token would be asked for the next receipt."""
    token.fault = getattr(pkcs11.exceptions, kind)()
    made = signer()
    with pytest.raises(PinRefused):
        made.sign(b"x")
    token.fault = None
    with pytest.raises(PinRefused):
        made.sign(b"x")
    assert token.opened == []


def test_the_last_try_is_not_ours(token: Any) -> None:
    """A token that would lock at the next wrong PIN is given none, until somebody logged in."""
    token.flags = 0x2040D  # initialised, a PIN is wanted, and CKF_USER_PIN_FINAL_TRY
    made = signer()
    for _ in range(2):
        with pytest.raises(PinRefused, match="one more would lock it"):
            made.sign(b"x")
    assert token.opened == []
    token.flags = 0x1040D  # CKF_USER_PIN_COUNT_LOW: a few are left
    assert len(made.sign(b"x")) == 64


@pytest.mark.parametrize("answer", [b"", b"x" * 63, b"x" * 64])
def test_wrong_signatures(token: Any, answer: bytes) -> None:
    """What is no signature by the key is not returned."""
    token.sign = lambda _message: answer
    with pytest.raises(SigningError, match=r"no Ed25519 signature|not by the key"):
        signer().sign(b"x")


def test_the_pins_variable_is_in_the_table() -> None:
    """It is documented, and marked as a secret."""
    (row,) = [one for one in VARIABLES if one.environment == PIN_VARIABLE]
    assert row.secret


def test_a_pin_that_raises(token: Any) -> None:
    """What a caller's function raises is told by its kind alone."""

    def pin() -> str:
        raise RuntimeError("the pin is 1234")

    made = Pkcs11Signer("module.so", "t", "k", pin=pin, retry=EAGER)
    with pytest.raises(SigningError, match="failed with RuntimeError") as caught:
        made.warm_up()
    assert "1234" not in str(caught.value)


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has not installed it reads which extra brings it."""
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    with pytest.raises(MissingExtraError, match=r"tallystick\[pkcs11\]"):
        Pkcs11Signer("module.so", "t", "k")
