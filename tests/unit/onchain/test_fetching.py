# SPDX-License-Identifier: Apache-2.0
"""Bundles are fetched from addresses that strangers chose: within bounds, and not from here."""

from __future__ import annotations

from collections.abc import Iterator
from io import FileIO

import pytest
from tests.systems.http_service import Answer, HttpService, Request, hang, reset

from tallystick.errors import DurableError, NodeError, PostingError
from tallystick.limits import URL_CHARS_MAX
from tallystick.onchain.fetching import Reach, fetched

HERE = Reach(private=True)


class Shelf(HttpService):
    """Serves one bundle, a redirect, and nothing else."""

    def answer(self, request: Request) -> Answer:
        if request.path == "/run.tally?v=1":
            return Answer(200, b"bundle")
        if request.path == "/moved":
            return Answer(302, b"", {"Location": "/run.tally?v=1"})
        return Answer(503 if request.path == "/busy" else 404, b"")


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    with Shelf() as service:
        yield service


def content(location: str, reach: Reach | None = None) -> bytes:
    with fetched(location, reach) as file:
        return file.read()


def test_a_bundle(shelf: Shelf) -> None:
    """Path and query are asked for as they stand."""
    assert content(f"{shelf.url}/run.tally?v=1", HERE) == b"bundle"


def test_a_full_disk_is_no_fault_of_the_location(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who was asked for a bundle that this machine could not keep would be asked for nothing."""
    module = "tallystick.onchain.fetching.TemporaryFile"
    monkeypatch.setattr(module, lambda: FileIO("/dev/full", "w+"))
    with pytest.raises(DurableError, match="can't be kept here: No space left"):
        content(f"{shelf.url}/run.tally?v=1", HERE)


@pytest.mark.parametrize(
    ("path", "words", "is_transient"),
    [("/moved", "HTTP 302", False), ("/absent", "HTTP 404", False), ("/busy", "HTTP 503", True)],
)
def test_other_answers(shelf: Shelf, path: str, words: str, is_transient: bool) -> None:
    """No redirect is followed: it could lead anywhere."""
    with pytest.raises(NodeError, match=words) as caught:
        content(shelf.url + path, HERE)
    assert caught.value.is_transient is is_transient
    assert len(shelf.requests) == 1


@pytest.mark.parametrize(
    "location",
    [
        "",
        "run.tally",
        "file:///etc/passwd",
        "http://93.184.216.34/x",
        "https://user@e.example/",
        "https://e.example:99999/",
        "https://[::1",
        "https://e.example/a b",
        "https://b\u00fccher.example/",
        "https://\udcff.example/",
        "https://e.example/\r\nX: y",
        "https://e.example/" + "x" * URL_CHARS_MAX,
    ],
)
def test_locations_that_are_not_asked(location: str) -> None:
    """https, a host, no credentials; and not without end."""
    with pytest.raises(PostingError):
        content(location)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "[::1]",
        "[fd00::1]",
        "0.0.0.0",
        "localhost",
        "2130706433",
        "239.1.1.1",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::a00:1]",
        "[2002:7f00:1::]",
        "[2001:0:7f00:1::]",
        "[fec0::1]",
        "[ff0e::1]",
    ],
)
def test_this_network_is_not_asked(host: str) -> None:
    """A post must not make a watcher ask its own network, nor a cloud's metadata."""
    with pytest.raises(PostingError, match="on this network"):
        content(f"https://{host}/run.tally")


def test_bounds(shelf: Shelf) -> None:
    """Too many bytes, and too much time."""
    with pytest.raises(PostingError, match="larger than 5 bytes"):
        content(f"{shelf.url}/run.tally?v=1", Reach(private=True, bytes_max=5))
    shelf.tricks.append(hang)
    with pytest.raises(NodeError, match="no whole answer after"):
        content(f"{shelf.url}/run.tally?v=1", Reach(private=True, seconds_max=0.3))


def test_broken_connections(shelf: Shelf) -> None:
    """They are worth another try."""
    shelf.tricks.append(reset)
    with pytest.raises(NodeError, match="can't be read") as caught:
        content(f"{shelf.url}/run.tally?v=1", HERE)
    assert caught.value.is_transient
