# SPDX-License-Identifier: Apache-2.0
"""Reads a log over HTTP: plain GETs, each bounded in bytes; no redirect is followed.

Plain http will do: all of it is public, and nothing counts that the log's key did not sign.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from typing import Final
from urllib.parse import urlsplit

from tallystick.durable.file import reason_of
from tallystick.errors import RefusedInput, UnreadableError
from tallystick.limits import LOG_RESOURCE_BYTES_MAX, URL_CHARS_MAX

# For each read of the socket, and for an answer as a whole.
_TIMEOUT_S: Final = 10.0
_ANSWER_S: Final = 30.0
_OK: Final = 200
_MISSING: Final = (404, 410)


class RemoteLog:
    """The log below a URL: of a collector, or of the log itself where it ends in `/log`."""

    def __init__(
        self, url: str, *, timeout_s: float = _TIMEOUT_S, answer_s: float = _ANSWER_S
    ) -> None:
        """Take where the log is; nothing is asked yet."""
        found = urlsplit(url) if len(url) <= URL_CHARS_MAX else None
        if found is None or found.scheme not in ("http", "https") or not found.hostname:
            raise RefusedInput("a log's URL begins with https:// or http:// and names a host")
        if found.username is not None or found.query or found.fragment:
            raise RefusedInput("a log's URL has no user, query or fragment: all of it is public")
        path = found.path.rstrip("/")
        self._answer_s = answer_s
        self._prefix = path if path.endswith("/log") else f"{path}/log"
        try:
            port = found.port
        except ValueError:
            raise RefusedInput("the port of a log's URL is a number up to 65535") from None
        self._connection: http.client.HTTPConnection
        if found.scheme == "https":
            context = ssl.create_default_context()
            self._connection = http.client.HTTPSConnection(
                found.hostname, port, timeout=timeout_s, context=context
            )
        else:
            self._connection = http.client.HTTPConnection(found.hostname, port, timeout=timeout_s)
        self.url: Final = f"{found.scheme}://{found.netloc}{self._prefix}"

    def get(self, path: str, /) -> bytes | None:
        """Return the body of one resource, or None where the log says that there is none."""
        try:
            status, body = self._ask(path)
        except TimeoutError as fault:
            self._connection.close()
            raise UnreadableError(f"{self.url}/{path} could not be read: {fault}") from fault
        except (OSError, http.client.HTTPException):
            self._connection.close()
            try:  # a connection that was idle for too long shows only when it is used
                status, body = self._ask(path)
            except (OSError, http.client.HTTPException) as fault:
                self._connection.close()
                said = reason_of(fault) if isinstance(fault, OSError) else str(fault)
                what = said or type(fault).__name__
                raise UnreadableError(f"{self.url}/{path} could not be read: {what}") from fault
        if status in _MISSING:
            return None
        if status != _OK:
            raise UnreadableError(f"{self.url}/{path} answered {status}")
        return body

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def _ask(self, path: str) -> tuple[int, bytes]:
        late = threading.Event()
        self._connection.request("GET", f"{self._prefix}/{path}")
        # Answers of one byte at a time keep within the limit of each read.
        watch = threading.Timer(self._answer_s, _cut, (self._connection.sock, late))
        watch.daemon = True
        watch.start()
        try:
            answer = self._connection.getresponse()
            body = answer.read(LOG_RESOURCE_BYTES_MAX + 1)
        except (OSError, http.client.HTTPException):
            if late.is_set():
                raise TimeoutError(f"no whole answer after {self._answer_s:g} s") from None
            raise
        finally:
            watch.cancel()
        if late.is_set():  # what was cut may look whole where its length was not told
            raise TimeoutError(f"no whole answer after {self._answer_s:g} s")
        if len(body) > LOG_RESOURCE_BYTES_MAX:
            self._connection.close()
            raise UnreadableError(f"{self.url}/{path} has more than {LOG_RESOURCE_BYTES_MAX} bytes")
        return answer.status, body


def _cut(connected: socket.socket | None, late: threading.Event) -> None:
    late.set()
    if connected is not None:
        try:
            connected.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # closed already
