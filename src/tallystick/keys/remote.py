# SPDX-License-Identifier: Apache-2.0
"""What signers far away have in common: ask again where it may help, pin the key, trust no answer.

Errors from here are in our own words. A service's words are never passed on, and its exceptions
are never chained: both may quote a credential that was sent with the request.
"""

from __future__ import annotations

import os
import random
import time
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Callable, Mapping
from copy import copy
from importlib import import_module
from threading import Lock
from typing import Any, ClassVar, Final, Self, TypeVar
from urllib.parse import urlsplit

import msgspec

from tallystick.crypto.checking import check
from tallystick.crypto.digest import sha256_tagged
from tallystick.crypto.ed25519 import key_weakness, public_key_from
from tallystick.errors import (
    Error,
    KeyFormatError,
    LimitError,
    MissingExtraError,
    PinRefused,
    SignerUnavailable,
    SigningError,
    how_to_install,
)
from tallystick.limits import RECEIPT_BYTES_MAX, REMOTE_ATTEMPTS_MAX, REMOTE_DEADLINE_MS_MAX
from tallystick.model.host import is_loopback

# How long one attempt may take. A healthy service answers in tens of milliseconds.
TIMEOUT_SECONDS: Final = 3.0
PLAIN_HTTP: Final = "endpoint is http, where anybody could answer: only for this machine"

Answer = TypeVar("Answer")


def is_open_http(url: str) -> bool:
    """Whether what goes there is for all to read, and to answer; what is no address is not."""
    parts = urlsplit(url)  # as clients do: blanks in front, and tabs anywhere, are nothing
    # Where there is only a host, whoever connects finds no other one.
    is_bare = not {"@", "\\"} & set(parts.netloc)
    return parts.scheme == "http" and not (is_bare and is_loopback(parts.hostname or ""))


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """How often a service is asked again: exponential pauses with full jitter, within a deadline.

    No pause begins that would end after the deadline; an attempt that is under way may run on for
    its own timeout.
    """

    attempts: int = 4
    base_ms: int = 50
    cap_ms: int = 1_000
    deadline_ms: int = 10_000
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], int] = time.monotonic_ns
    dice: Callable[[], float] = random.random

    def __post_init__(self) -> None:
        """Refuse a schedule without an end."""
        if not 1 <= self.attempts <= REMOTE_ATTEMPTS_MAX:
            raise LimitError(f"attempts: {self.attempts} is not 1 to {REMOTE_ATTEMPTS_MAX}")
        if not 0 <= self.base_ms <= self.cap_ms <= self.deadline_ms <= REMOTE_DEADLINE_MS_MAX:
            raise LimitError(
                f"wanted: 0 <= base_ms <= cap_ms <= deadline_ms <= {REMOTE_DEADLINE_MS_MAX}"
            )

    def pause_ms(self, attempt: int) -> float:
        """Return the pause after an attempt, counted from 1."""
        longest: int = min(self.cap_ms, self.base_ms << (attempt - 1))
        return self.dice() * longest


class Fault(msgspec.Struct, frozen=True):
    """Why a request gave nothing, in our words, and whether asking again may help.

    `is_pin`: a PIN was not taken, and asking again may lock the token for everybody.
    """

    reason: str
    is_transient: bool = False
    is_pin: bool = False


class Unusable(Exception):
    """An answer that came, but that can't be used. It never leaves this room: see `Line`."""

    def __init__(self, reason: str, *, is_transient: bool = False, is_pin: bool = False) -> None:
        super().__init__(reason)
        self.fault = Fault(reason, is_transient, is_pin)


class Line:
    """Asks one service, again where it may help, and lets no foreign error out."""

    __slots__ = ("_judge", "_process", "_retry", "let_go", "service")

    def __init__(self, service: str, judge: Callable[[Exception], Fault], retry: Retry) -> None:
        """`judge` says what an exception of the vendor's client means."""
        self.service = service
        self._judge = judge
        self._retry = retry
        self._process = os.getpid()
        # Closes idle connections, in a child that forked: two who speak in one TLS break it.
        self.let_go: Callable[[], object] | None = None

    def ask(
        self,
        wish: str,
        request: Callable[[], Answer],
        failure: Callable[[str, bool], Error] | None = None,
    ) -> Answer:
        """Return what `request` returns, or raise what `failure` makes of text and transience."""
        if self._process != os.getpid():
            if self.let_go is not None:
                self.let_go()
            self._process = os.getpid()
        retry, attempt = self._retry, 1
        deadline = retry.clock() + retry.deadline_ms * 1_000_000
        while isinstance(answer := self._attempt(request), Fault):
            pause_ms = retry.pause_ms(attempt)
            is_last = attempt == retry.attempts or (retry.clock() + pause_ms * 1_000_000 > deadline)
            if not answer.is_transient or is_last:
                tried = f" ({attempt} attempts)" if attempt > 1 else ""
                text = f"{self.service} gave no {wish}: {answer.reason}{tried}"
                if answer.is_pin:
                    raise PinRefused(text)
                raise (failure or _signing_error)(text, answer.is_transient)
            retry.sleep(pause_ms / 1000)
            attempt += 1
        return answer

    def _attempt(self, request: Callable[[], Answer]) -> Answer | Fault:
        # The fault is returned and raised elsewhere, so that no traceback carries the original.
        try:
            return request()
        except Unusable as answer:
            return answer.fault
        except Error:
            raise  # ours already
        except Exception as error:  # noqa: BLE001  # a vendor's client may raise anything
            return self._judge(error)


def _signing_error(text: str, is_transient: bool) -> SigningError:
    return SignerUnavailable(text) if is_transient else SigningError(text)


class NamedKey(msgspec.Struct, frozen=True):
    """The key that a signer stands on: the name that its service gives it, and its public half."""

    name: str
    public_key: bytes


class RemoteKey(ABC):
    """A key that stays with a service; its public half is looked up once and pinned."""

    __slots__ = ("_key", "_line", "_lock", "_process")

    def __init__(self, line: Line) -> None:
        """Nothing is asked before it is needed; `warm_up` asks."""
        self._line = line
        self._key: NamedKey | None = None
        self._lock = Lock()
        self._process = os.getpid()

    def get_public_key(self) -> bytes:
        """Return the bytes of the public key; asks the service once."""
        return self._pinned().public_key

    def warm_up(self) -> None:
        """Connect, and look the public key up: at a cold start, before a request waits for it."""
        self._pinned()

    def anew(self) -> Self:
        """Return a signer for the key that the name stands for now; this one keeps its key."""
        twin = copy(self)
        RemoteKey.__init__(twin, self._line)
        return twin

    @property
    def pinned_name(self) -> str | None:
        """What the service calls the pinned key, or None before it was looked up."""
        return None if self._key is None else self._key.name

    def _pinned(self) -> NamedKey:
        key = self._key
        if key is None:
            if self._process != os.getpid():
                # A thread that was looking it up, and is not in this child, may hold the lock.
                self._process, self._lock = os.getpid(), Lock()
            with self._lock:
                key = self._key
                if key is None:
                    key = self._line.ask("public key", self._request_key)
                    self._approve(key)
                    self._key = key
        return key

    def _stranger(self, key: NamedKey) -> SigningError:
        return SigningError(
            f"{self._line.service} gave a signature that is not by the key {key.name}: the "
            "answer was altered on its way, or another key stands behind that name now"
        )

    def _approve(self, key: NamedKey) -> None:  # noqa: B027  # most approve of any key
        """Raise where a key that was looked up is not to be pinned."""

    @abstractmethod
    def _request_key(self) -> NamedKey:
        """Ask once for the public key; raise Unusable, or what the client raises."""

    def __repr__(self) -> str:
        key = getattr(self, "_key", None)  # None while __init__ refuses
        shown = None if key is None else sha256_tagged(key.public_key)
        return f"{type(self).__name__}({key and key.name!r}, fingerprint={shown!r})"


class RemoteSigner(RemoteKey):
    """A signer whose Ed25519 key stays with a service.

    The public key is looked up once and pinned, and every signature is checked against it before
    it is returned: neither a damaged answer nor another key's signature gets into a receipt.
    """

    __slots__ = ()

    # What one call may carry.
    message_bytes_max: ClassVar[int] = RECEIPT_BYTES_MAX

    def sign(self, message: bytes, /) -> bytes:
        """Return the 64 bytes of the signature over `message`, checked."""
        if len(message) > self.message_bytes_max:
            raise LimitError(
                f"{self._line.service} signs at most {self.message_bytes_max} bytes, and this "
                f"receipt has {len(message)}: lend the chain to a session key "
                "(SessionSigner), which signs receipts of any size"
            )
        key = self._pinned()
        signature = self._line.ask("signature", lambda: self._request_signature(message, key))
        if not check(signature, message, key.public_key):
            raise self._stranger(key)
        return signature

    @abstractmethod
    def _request_signature(self, message: bytes, key: NamedKey) -> bytes:
        """Ask once for a signature; raise Unusable, or what the client raises."""


def vendor(module: str, extra: str) -> Any:
    """Return a vendor's module, or say which extra brings it."""
    try:
        return import_module(module)
    except ImportError as fault:
        raise MissingExtraError(f"{module} is not installed; {how_to_install(extra)}") from fault


def fault_of(error: Exception, table: Mapping[str, Fault]) -> Fault:
    """Return the fault of the nearest class of an exception that a table names.

    By name: so nothing is imported to judge the errors of a client that a caller brought.
    """
    for kind in type(error).__mro__:
        if kind.__name__ in table:
            return table[kind.__name__]
    return Fault(f"the client failed with {type(error).__name__}")


def sound_key(found: object) -> bytes:
    """Return 32 raw bytes from PEM text, SPKI DER or raw bytes; refuse what proves nothing."""
    if isinstance(found, bytes) and len(found) != 32:
        found = f"-----BEGIN PUBLIC KEY-----\n{b64encode(found).decode()}\n-----END PUBLIC KEY-----"
    if not isinstance(found, str | bytes):
        raise Unusable("its answer holds no public key")
    try:
        public_key = public_key_from(found)
    except KeyFormatError as error:
        raise Unusable(f"its answer holds no Ed25519 key: {error}") from None
    weakness = key_weakness(public_key)
    if weakness is not None:
        raise Unusable(f"its public key is unusable: {weakness}")
    return public_key


def sound_signature(found: object) -> bytes:
    """Return the 64 bytes of a signature."""
    if not isinstance(found, bytes) or len(found) != 64:
        raise Unusable("its answer holds no Ed25519 signature")
    return found
