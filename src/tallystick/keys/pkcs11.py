# SPDX-License-Identifier: Apache-2.0
"""Signatures by a PKCS#11 token: an HSM, a smart card, or SoftHSM."""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Lock
from typing import Any, Final

from tallystick.config import read
from tallystick.keys.remote import (
    Answer,
    Fault,
    Line,
    NamedKey,
    RemoteSigner,
    Retry,
    Unusable,
    fault_of,
    sound_key,
    sound_signature,
    vendor,
)

PIN_VARIABLE: Final = "TALLY_PKCS11_PIN"

# CKA_EC_POINT as tokens spell it: a DER octet string, a DER bit string, or the bytes themselves.
_POINT_HEADS: Final = (b"\x04\x20", b"\x03\x21\x00", b"")

_GONE: Final = Fault("the token is away", is_transient=True)
_LOST: Final = Fault("the session with the token was lost", is_transient=True)

# Classes of pkcs11.exceptions.
FAULTS: Final = {
    "DataLenRange": Fault("the receipt is too large for the token"),
    "DeviceError": _GONE,
    "DeviceMemory": Fault("the token is out of memory", is_transient=True),
    "DeviceRemoved": _GONE,
    "FunctionFailed": _GONE,
    "FunctionNotSupported": Fault("the token does not do CKM_EDDSA"),
    "GeneralError": _GONE,
    "HostMemory": Fault("the module is out of memory", is_transient=True),
    "KeyHandleInvalid": _LOST,
    "MechanismInvalid": Fault("the token does not do CKM_EDDSA"),
    "MultipleObjectsReturned": Fault("several keys have this label; each needs its own"),
    "MultipleTokensReturned": Fault("several tokens have this label; each needs its own"),
    "NoSuchKey": Fault("the token has no Ed25519 key pair of this label"),
    "NoSuchToken": Fault("the module shows no token of this label"),
    "ObjectHandleInvalid": _LOST,
    "OperationActive": _LOST,
    "PinExpired": Fault("the PIN has expired", is_pin=True),
    "PinIncorrect": Fault("the PIN is wrong; it was given once and won't be again", is_pin=True),
    "PinInvalid": Fault("the PIN has characters that no PIN has here", is_pin=True),
    "PinLenRange": Fault("the PIN is too short or too long to be one here", is_pin=True),
    "PinLocked": Fault("the PIN is locked after wrong ones", is_pin=True),
    "SessionClosed": _LOST,
    "SessionCount": Fault("the token has no session to give", is_transient=True),
    "SessionHandleInvalid": _LOST,
    "TokenNotPresent": _GONE,
    "UserNotLoggedIn": _LOST,
}
# CKF_USER_PIN_FINAL_TRY: one more wrong PIN, and the token is locked for everybody.
_FINAL_TRY: Final = 0x20000


class Pkcs11Signer(RemoteSigner):
    """Signs with an Ed25519 key pair on a PKCS#11 token (`CKM_EDDSA`).

    `module` is the path of the vendor's library. The private key must be one that never leaves the
    token (sensitive, not extractable), or nothing is signed. The PIN comes from `pin`, a function,
    or else from the variable `pin_variable`; it is read at each login and not kept.
    """

    __slots__ = ("_token", "key_label", "token_label")

    def __init__(
        self,
        module: str | os.PathLike[str],
        token_label: str,
        key_label: str,
        *,
        pin: Callable[[], str] | None = None,
        pin_variable: str = PIN_VARIABLE,
        retry: Retry | None = None,
    ) -> None:
        """Load the module; the token is opened when it is first needed."""
        if not is_function(pin):
            del pin  # perhaps the PIN itself
            raise TypeError("pin is a function that returns the PIN; or use pin_variable")
        super().__init__(Line(f"token {token_label!r}", token_fault, retry or Retry()))
        self.token_label = token_label
        self.key_label = key_label
        library = self._line.ask("module", lambda: load_module(os.fspath(module)))
        self._token = Token(library, token_label, pin or (lambda: read_pin(pin_variable)))

    def close(self) -> None:
        """Log out and close the session; signing again would open another."""
        self._token.close()

    def _request_key(self) -> NamedKey:
        point = self._token.use(lambda token: _public_point(token, self.key_label))
        for head in _POINT_HEADS:
            if point[: len(head)] == head and len(point) == len(head) + 32:
                return NamedKey(self.key_label, sound_key(point[len(head) :]))
        raise Unusable("the public key is no point of Ed25519")

    def _request_signature(self, message: bytes, key: NamedKey) -> bytes:
        mechanism = vendor("pkcs11", "pkcs11").Mechanism.EDDSA
        return self._token.use(
            lambda token: sound_signature(
                token.private_key(key.name).sign(message, mechanism=mechanism)
            )
        )


class Token:
    """One session with a token, used by one thread at a time; lost ones are opened again."""

    __slots__ = (
        "_key_type", "_keys", "_label", "_library", "_lock", "_pin", "_process", "_refusal",
        "_session",
    )  # fmt: skip

    def __init__(
        self, library: Any, label: str, pin: Callable[[], str], key_type: str = "EC_EDWARDS"
    ) -> None:
        """Open nothing yet; keys of another type are not seen."""
        self._key_type = key_type
        self._library = library
        self._label = label
        self._pin = pin
        self._process = os.getpid()
        self._lock = Lock()
        self._session: Any = None
        self._keys: dict[str, Any] = {}
        self._refusal: Fault | None = None

    def use(self, work: Callable[[Token], Answer]) -> Answer:
        """Do some work with the session; one that seems lost is not used again."""
        if self._process != os.getpid():
            self._begin_after_fork()
        with self._lock:
            if self._refusal is not None:
                raise Unusable(self._refusal.reason, is_pin=True)
            try:
                return work(self)
            except Unusable:
                raise
            except Exception as error:
                fault = token_fault(error)
                if fault.is_pin:
                    self._refusal = fault
                if fault.is_transient:
                    self._hang_up()  # the next attempt opens another session
                raise

    @property
    def session(self) -> Any:
        """The open session; opened here when there is none."""
        if self._session is None:
            token = self._library.get_token(token_label=self._label)
            if token.flags & _FINAL_TRY:
                # Wrong ones were given, perhaps by us before we were started anew.
                raise Unusable(
                    "wrong PINs were given, and one more would lock it: log in by hand first",
                    is_pin=True,
                )
            try:
                self._session = token.open(user_pin=self._pin())
            except vendor("pkcs11.exceptions", "pkcs11").UserAlreadyLoggedIn:
                self._session = token.open()  # another session of this process did log in
        return self._session

    def private_key(self, label: str) -> Any:
        """Return the private key of a label, which must be one that can't leave the token."""
        key = self._keys.get(label)
        if key is None:
            key = self.find(label, "PRIVATE_KEY")
            attribute = vendor("pkcs11", "pkcs11").Attribute
            if key[attribute.EXTRACTABLE] or not key[attribute.SENSITIVE]:
                raise Unusable(
                    "the private key can leave the token; make one that is sensitive and not "
                    "extractable"
                )
            self._keys[label] = key
        return key

    def look_again(self, label: str) -> None:
        """Forget which key a label stood for: it may be another one now."""
        self._keys.pop(label, None)

    def find(self, label: str, kind: str) -> Any:
        """Return the one key of a label, kind and the type that this token is used for."""
        pkcs11 = vendor("pkcs11", "pkcs11")
        return self.session.get_key(
            object_class=pkcs11.ObjectClass[kind],
            key_type=pkcs11.KeyType[self._key_type],
            label=label,
        )

    def close(self) -> None:
        """Log out and close the session, if there is one."""
        with self._lock:
            self._hang_up()

    def _hang_up(self) -> None:
        session = self._session
        self._forget()
        if session is not None:
            try:
                session.close()
            except vendor("pkcs11.exceptions", "pkcs11").PKCS11Error:
                pass  # it was lost: nothing is left to close

    def _forget(self) -> None:
        self._session = None
        self._keys.clear()

    def _begin_after_fork(self) -> None:
        # A child inherits neither sessions nor the module's state, and perhaps a lock that is held.
        self._process = os.getpid()
        self._lock = Lock()
        self._forget()
        self._library.reinitialize()


def is_function(pin: object) -> bool:
    """Whether `pin` is absent or a function, and not perhaps the PIN itself."""
    return pin is None or callable(pin)


def load_module(module: str) -> Any:
    """Return the library behind a path."""
    pkcs11 = vendor("pkcs11", "pkcs11")
    try:
        return pkcs11.lib(module)
    except pkcs11.exceptions.PKCS11Error:
        raise Unusable(f"{module!r} can't be loaded as a PKCS#11 module") from None


def _public_point(token: Token, label: str) -> bytes:
    token.look_again(label)
    token.private_key(label)  # refuses a key that can leave the token
    point = token.find(label, "PUBLIC_KEY")[vendor("pkcs11", "pkcs11").Attribute.EC_POINT]
    return bytes(point)


def read_pin(variable: str) -> str:
    """Return the PIN in a variable of the environment."""
    pin = read(variable)
    if pin is None:
        raise Unusable(f"it wants a PIN, and {variable} is not set")
    return pin


def token_fault(error: Exception) -> Fault:
    """Say what an exception of python-pkcs11 means."""
    return fault_of(error, FAULTS)
