# SPDX-License-Identifier: Apache-2.0
"""How an emitter says who it is: a bearer token, an API key, a client certificate, or nothing.

What is secret here is checked once and then only ever written into a request. It is not shown,
copied out, compared or pickled, and no message quotes it; that includes messages of a collector
that sends it back.
"""

from __future__ import annotations

import os
import re
from typing import Final, Never, Self, SupportsIndex

from tallystick.durable.file import FilePath
from tallystick.errors import RefusedInput
from tallystick.limits import CREDENTIAL_CHARS_MAX, PEM_BYTES_MAX

# Headers that shape the request itself: whoever sets them could smuggle a second one.
_OURS: Final = frozenset(
    {
        *("accept", "accept-encoding", "connection", "content-encoding", "content-length"),
        *("content-type", "cookie", "expect", "host", "keep-alive", "te", "trailer"),
        *("transfer-encoding", "upgrade", "user-agent"),
    }
)
_NAME: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}"


class _Credential:
    """What everything here refuses: to be changed, dumped or pickled."""

    __slots__ = ()

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> Never:
        raise TypeError(f"{type(self).__name__} may hold a secret and is not pickled")

    def __getstate__(self) -> Never:
        raise TypeError(f"{type(self).__name__} may hold a secret and is not dumped")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def header(self) -> bytes:
        """Return the line that goes into the head of each request, or nothing."""
        return b""

    def is_in(self, text: str) -> bool:  # noqa: ARG002  # there is no secret to look for
        """Whether a text holds the secret, so that it must not be shown."""
        return False


class NoAuth(_Credential):
    """No credential: the network decides who may send."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "NoAuth()"


class BearerAuth(_Credential):
    """`Authorization: Bearer <token>` (RFC 6750)."""

    __slots__ = ("_token",)

    _token: str

    def __init__(self, token: str) -> None:
        """Take the token alone, without the word `Bearer`."""
        fault = _value_fault(token)
        if fault is None and " " in token:
            fault = "holds a space; give the token alone, without `Bearer` before it"
        if fault is not None:
            del token  # out of the frame that a traceback shows
            raise RefusedInput(f"the bearer token {fault}")
        object.__setattr__(self, "_token", token)

    def header(self) -> bytes:
        """Return the Authorization line."""
        return b"Authorization: Bearer %b\r\n" % self._token.encode("ascii")

    def is_in(self, text: str) -> bool:
        """Whether a text holds the token."""
        return self._token in text

    def __repr__(self) -> str:
        return "BearerAuth(<hidden>)"


class ApiKeyAuth(_Credential):
    """`<header>: <value>`, as API gateways want it."""

    __slots__ = ("_header", "_value")

    _header: str
    _value: str

    def __init__(self, header: str, value: str) -> None:
        """Take the name of a header, and the key that is its value."""
        fault = _name_fault(header)
        if fault is not None:
            del header, value  # perhaps the wrong way round
            raise RefusedInput(f"the API key's header {fault}")
        fault = _value_fault(value)
        if fault is not None:
            del value
            raise RefusedInput(f"the API key {fault}")
        object.__setattr__(self, "_header", header)
        object.__setattr__(self, "_value", value)

    def header(self) -> bytes:
        """Return the header's line."""
        return f"{self._header}: {self._value}\r\n".encode("ascii")

    def is_in(self, text: str) -> bool:
        """Whether a text holds the key."""
        return self._value in text

    def __repr__(self) -> str:
        return f"ApiKeyAuth({getattr(self, '_header', None)!r}, <hidden>)"


class MtlsAuth(_Credential):
    """A client certificate and its private key: paths of PEM files, or PEM itself.

    Files are read when the emitter is made, and not again: a renewed certificate needs a new
    emitter.
    """

    __slots__ = ("_cert", "_key")

    _cert: FilePath | bytes
    _key: FilePath | bytes

    def __init__(self, cert: FilePath | bytes, key: FilePath | bytes) -> None:
        """Take the certificate (its chain may follow in the same PEM) and the key."""
        for part, given in (("certificate", cert), ("private key", key)):
            fault = _pem_fault(given)
            if fault is not None:
                del cert, key, given
                raise RefusedInput(f"the client {part} {fault}")
        object.__setattr__(self, "_cert", _bytes_if_pem(cert))
        object.__setattr__(self, "_key", _bytes_if_pem(key))

    def is_in(self, text: str) -> bool:
        """Whether a text holds the private key, which never leaves this process."""
        return "PRIVATE KEY" in text

    def __repr__(self) -> str:
        return "MtlsAuth(<hidden>)"


Auth = NoAuth | BearerAuth | ApiKeyAuth | MtlsAuth


def _value_fault(value: object) -> str | None:
    """Say why a text can't stand in a header, in words that never hold it."""
    if not isinstance(value, str):
        return f"is of type {type(value).__name__}, not text"
    if not value.strip():
        return "is empty"
    if value != value.strip():
        return "has white space or a line break around it; strip it"
    if len(value) > CREDENTIAL_CHARS_MAX:
        return f"has more than {CREDENTIAL_CHARS_MAX} characters"
    if not (value.isascii() and value.isprintable()):
        return "holds a line break or another character that no header may hold"
    return None


def _name_fault(name: object) -> str | None:
    if not isinstance(name, str) or not re.fullmatch(_NAME, name):
        return "is not the name of a header"
    if name.lower() in _OURS:
        return f"is {name.lower()!r}, which the request needs for itself"
    return None


def _pem_fault(given: object) -> str | None:
    if not isinstance(given, (str, bytes, os.PathLike)):
        return f"is of type {type(given).__name__}, neither a path nor PEM"
    if not given:
        return "is empty"
    if isinstance(given, bytes) and b"-----BEGIN" not in given:
        return "is no PEM: it has no BEGIN line"
    if isinstance(given, (str, bytes)) and len(given) > PEM_BYTES_MAX:
        return f"is larger than {PEM_BYTES_MAX} bytes"
    return None


def _bytes_if_pem(given: FilePath | bytes) -> FilePath | bytes:
    if isinstance(given, str) and "-----BEGIN" in given:
        return given.encode("utf-8", "replace")
    return given
