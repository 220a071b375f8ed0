# SPDX-License-Identifier: Apache-2.0
"""A collector as a place to read receipts from: its chains as one stream of JSON Lines.

    https://c.example              every chain that the token may see
    https://c.example/chains/ID    one chain
    https://c.example/receipts/ID  one receipt

What comes is as little to be trusted as a file: whoever reads it verifies it.
"""

from __future__ import annotations

import errno
import io
from collections.abc import Iterator
from http.client import (
    HTTPConnection,
    HTTPException,
    HTTPResponse,
    HTTPSConnection,
    IncompleteRead,
)
from typing import Any, BinaryIO, Final, cast
from urllib.parse import SplitResult, quote, urlencode, urlsplit

import msgspec

from tallystick.errors import RefusedInput
from tallystick.limits import (
    CHAINS_PAGE_MAX,
    CREDENTIAL_CHARS_MAX,
    QUOTE_CHARS_MAX,
    REMOTE_PAGE_BYTES_MAX,
    REMOTE_READ_MS_MAX,
    URL_CHARS_MAX,
)
from tallystick.model.host import is_loopback

_CHUNK_BYTES: Final = 64 * 1024
_DECODE: Final = msgspec.json.Decoder().decode


def open_remote(url: str, token: str | None = None) -> BinaryIO:
    """Return the receipts behind an address as a stream; what fails, fails as `OSError`."""
    remote = _Remote(_address(url, token), token)
    path = remote.address.path
    if "/chains/" in path or "/receipts/" in path:
        query = f"?{remote.address.query}" if remote.address.query else ""
        return _stream(remote, remote.body(path + query))
    return _stream(remote, _chains(remote))


def _chains(remote: _Remote) -> Iterator[bytes]:
    """Yield the lines of all chains, chain by chain."""
    base = remote.address.path.rstrip("/")
    seen: set[str] = set()
    after = -1
    while True:
        query = {"limit": str(CHAINS_PAGE_MAX)} | ({"after": str(after)} if after >= 0 else {})
        page = _page(remote.whole(f"{base}/chains?{urlencode(query)}"))
        for chain in page["chains"]:
            name, index = chain["chain_id"], chain["first_index"]
            if index <= after:
                raise OSError(errno.EPROTO, "the collector's list of chains goes round in circles")
            after = index
            if name not in seen:
                seen.add(name)
                yield from remote.body(f"{base}/chains/{quote(name, safe='')}")
        if "next" not in page or not page["chains"]:
            return


def _page(data: bytes) -> dict[str, Any]:
    try:
        page = _DECODE(data)
        for chain in page["chains"]:
            if type(chain["chain_id"]) is not str or type(chain["first_index"]) is not int:
                raise TypeError
    except (msgspec.MsgspecError, KeyError, TypeError, RecursionError):
        raise OSError(errno.EPROTO, "the collector's list of chains is no such list") from None
    return cast("dict[str, Any]", page)


class _Remote:
    """One connection to a collector."""

    def __init__(self, address: SplitResult, token: str | None) -> None:
        self.address = address
        self._token = token
        self._connection: HTTPConnection | None = None

    def whole(self, target: str) -> bytes:
        """Return a body of bounded size."""
        try:
            data = self._asked(target).read(REMOTE_PAGE_BYTES_MAX + 1)
        except HTTPException as fault:
            raise _broken(fault) from None
        if len(data) > REMOTE_PAGE_BYTES_MAX:
            raise OSError(errno.EFBIG, f"an answer over {REMOTE_PAGE_BYTES_MAX} bytes")
        return data

    def body(self, target: str) -> Iterator[bytes]:
        """Yield a body of any size, with a line feed at its end."""
        response = self._asked(target)
        last = b"\n"
        try:
            while part := response.read1(_CHUNK_BYTES):
                last = part
                yield part
            response.read()  # ends it, so that the connection may be used again
            if response.length:  # announced, and did not come
                raise IncompleteRead(b"", response.length)
        except HTTPException as fault:
            raise _broken(fault) from None
        if not last.endswith(b"\n"):
            yield b"\n"

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _asked(self, target: str) -> HTTPResponse:
        headers = {"Accept": "*/*"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if self._connection is None:
            self._connection = self._connect()
        try:
            self._connection.request("GET", target, headers=headers)
            response = self._connection.getresponse()
            if response.status != 200:
                code = errno.ENOENT if response.status == 404 else errno.EREMOTEIO
                raise OSError(code, _refusal(response))
        except HTTPException as fault:
            raise _broken(fault) from None
        return response

    def _connect(self) -> HTTPConnection:
        host, port = self.address.hostname or "", self.address.port
        seconds = REMOTE_READ_MS_MAX / 1000
        if self.address.scheme == "http":
            return HTTPConnection(host, port, timeout=seconds)
        import ssl

        return HTTPSConnection(host, port, timeout=seconds, context=ssl.create_default_context())


class _Chunks(io.RawIOBase):
    """Pieces of bytes as a stream."""

    def __init__(self, remote: _Remote, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._remote = remote
        self._pieces = pieces
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = piece
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def close(self) -> None:
        self._remote.close()
        super().close()


def _stream(remote: _Remote, pieces: Iterator[bytes]) -> BinaryIO:
    return io.BufferedReader(_Chunks(remote, pieces), _CHUNK_BYTES)


def _address(url: str, token: str | None) -> SplitResult:
    """Return the parts of an address, or refuse it in words that never hold a password."""
    if len(url) > URL_CHARS_MAX or not url.isascii() or not url.isprintable() or " " in url:
        raise RefusedInput("the collector's URL is too long, or holds what no URL may hold")
    try:
        address = urlsplit(url)
        port = address.port
    except ValueError:
        raise RefusedInput(
            "the collector's URL names no host and port that we understand"
        ) from None
    if not address.hostname or port == 0:
        raise RefusedInput("the collector's URL names no host")
    if "@" in address.netloc:
        raise RefusedInput(
            "the collector's URL holds a user name or a password; set AGENTRECEIPTS_COLLECTOR_TOKEN"
        )
    if address.scheme == "http" and not is_loopback(address.hostname):
        raise RefusedInput("the collector's URL is http: receipts would travel unprotected")
    if token is not None and (
        not token.isascii() or not token.isprintable() or len(token) > CREDENTIAL_CHARS_MAX
    ):
        raise RefusedInput("AGENTRECEIPTS_COLLECTOR_TOKEN holds what no header may hold")
    return address


def _refusal(response: HTTPResponse) -> str:
    """Return what a collector said no with."""
    data = response.read(REMOTE_PAGE_BYTES_MAX // 256)
    try:
        problem = _DECODE(data)
        words = f"{problem['title']}: {problem['detail']}"
    except (msgspec.MsgspecError, KeyError, TypeError, RecursionError):
        words = response.reason
    return f"the collector answered {response.status}: {words[:QUOTE_CHARS_MAX]}"


def _broken(fault: HTTPException) -> OSError:
    return OSError(errno.EPROTO, f"the collector's answer broke off ({type(fault).__name__})")
