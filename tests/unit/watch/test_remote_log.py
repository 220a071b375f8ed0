# SPDX-License-Identifier: Apache-2.0
"""Reading a log over HTTP: bounded, no redirect followed, and a fault told with its address."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from tests.served_log import ServedLog, served

from tallystick.errors import RefusedInput, UnreadableError
from tallystick.limits import LOG_RESOURCE_BYTES_MAX
from tallystick.watch.remote_log import RemoteLog


@contextmanager
def answering(status: int, body: bytes, **headers: str) -> Iterator[str]:
    """Serve one answer for everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("ending", ["", "/", "/log", "/log/"])
def test_a_log_is_read(ending: str) -> None:
    """The collector's address and the log's own name the same log."""
    log = ServedLog().fill(3)
    with served(log) as url:
        reader = RemoteLog(url + ending)
        assert reader.get("checkpoint") == log.checkpoint
        assert reader.get("tile/0/000.p/3") == log.get("tile/0/000.p/3")
        assert reader.get("tile/0/009") is None
        reader.close()


@pytest.mark.parametrize("status", [301, 302, 401, 429, 500, 503])
def test_other_answers_are_told(status: int) -> None:
    """Only a 404 says that something is not there; a redirect is not followed."""
    with answering(status, b"", Location="http://127.0.0.1:9/") as url:
        reader = RemoteLog(url)
        with pytest.raises(UnreadableError, match=f"checkpoint answered {status}"):
            reader.get("checkpoint")
        reader.close()


def test_an_endless_answer_is_cut() -> None:
    """More bytes than any resource of a log has are not read."""
    with answering(200, bytes(LOG_RESOURCE_BYTES_MAX + 1)) as url:
        reader = RemoteLog(url)
        with pytest.raises(UnreadableError, match="more than"):
            reader.get("checkpoint")


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.0 200 OK\r\n\r\n"])
def test_an_answer_byte_by_byte_is_cut(head: bytes) -> None:
    """Each byte comes in time and the whole does not: that could not be read, within its limit."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def dribble() -> None:
            connected, _ = server.accept()
            with connected, suppress(OSError):
                connected.sendall(head)
                while True:
                    connected.sendall(b"x")
                    time.sleep(0.02)

        thread = threading.Thread(target=dribble)
        thread.start()
        reader = RemoteLog(f"http://127.0.0.1:{server.getsockname()[1]}", timeout_s=5, answer_s=0.3)
        began = time.monotonic()
        with pytest.raises(UnreadableError, match=r"no whole answer after 0\.3 s"):
            reader.get("checkpoint")
        assert time.monotonic() - began < 15
        thread.join()


def test_a_closed_connection_is_opened_again() -> None:
    """A connection that the other side closed meanwhile costs nothing but a new one."""
    log = ServedLog()
    with served(log) as url:
        reader = RemoteLog(url)
        assert reader.get("checkpoint") == log.checkpoint
        reader._connection.sock.close()
        assert reader.get("checkpoint") == log.checkpoint
        reader.close()


def test_who_is_not_there_is_told() -> None:
    """A refused connection is an error with the address."""
    with served(ServedLog()) as url:
        pass
    with pytest.raises(UnreadableError, match=r"could not be read: Connection refused$"):
        RemoteLog(url, timeout_s=2).get("checkpoint")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "collector.example",
        "ftp://collector.example",
        "http://",
        "http://user:secret@collector.example",
        "http://collector.example/?a=1",
        "http://collector.example/#a",
        "http://collector.example:99999",
        "http://" + "a" * 4000,
    ],
)
def test_what_is_no_address_of_a_log_is_refused(url: str) -> None:
    """A URL that could not be meant is refused, and none with a password is repeated."""
    with pytest.raises(RefusedInput) as caught:
        RemoteLog(url)
    assert "secret" not in str(caught.value)
