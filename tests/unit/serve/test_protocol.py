# SPDX-License-Identifier: Apache-2.0
"""Connections that misbehave, on a real socket: large heads, slow clients, too many of them."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any

import pytest
from tests.daemons import wait_until
from tests.serving import Serving, all_of, status_of

from tallystick.limits import (
    PIPELINED_REQUESTS_MAX,
    REQUEST_HEAD_BYTES_MAX,
    REQUEST_HEADERS_MAX,
)
from tallystick.serve import protocol

CLOSE = b"host: x\r\nconnection: close\r\n"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with how many bytes came, and which certificate."""
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message["body"])
        if not message["more_body"]:
            break
    names = scope["state"].get("certificate")
    body = json.dumps({"size": size, "names": names}).encode()
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def flood(scope: Any, receive: Any, send: Any) -> None:
    """Answer with more than any buffer holds."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(2000):
        message = {"type": "http.response.body", "body": b"x" * 65536, "more_body": True}
        await send(message)


@pytest.fixture
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less long than in earnest."""
    monkeypatch.setattr(protocol, "REQUEST_HEAD_MS_MAX", 300)
    monkeypatch.setattr(protocol, "REQUEST_BODY_MS_MAX", 300)
    monkeypatch.setattr(protocol, "ANSWER_STALL_MS_MAX", 300)


def problem_of(answer: bytes) -> str:
    name: str = json.loads(answer.rpartition(b"\r\n\r\n")[2])["type"].rpartition(":")[2]
    return name


def test_a_usual_request_is_answered() -> None:
    """Bodies with a length or in chunks, two requests on one connection."""
    with Serving(echo) as serving:
        answer = serving.say(
            b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc"
            b"POST / HTTP/1.1\r\n"
            + CLOSE
            + b"transfer-encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n"
        )
        assert answer.count(b"HTTP/1.1 200 OK") == 2
        assert b'"size": 3' in answer
        assert b'"size": 4' in answer


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nhost: x\r\na: " + b"x" * REQUEST_HEAD_BYTES_MAX + b"\r\n\r\n",
        b"GET /" + b"x" * REQUEST_HEAD_BYTES_MAX + b" HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * (REQUEST_HEADERS_MAX + 1) + b"\r\n",
    ],
)
def test_a_large_head_is_431(head: bytes) -> None:
    """Whether the line, one header or their number is too large."""
    with Serving(echo) as serving:
        answer = serving.say(head)
        assert status_of(answer) == 431
        assert problem_of(answer) == "head-too-large"


def test_a_head_without_end_is_431() -> None:
    """A header that never ends is not joined for ever; a usual head in small parts is fine."""
    with Serving(echo) as serving, serving.dial() as line:
        line.sendall(b"GET / HTTP/1.1\r\nhost: x\r\na: ")
        for _ in range(2 * REQUEST_HEAD_BYTES_MAX // 512):
            try:
                line.sendall(b"x" * 512)
            except OSError:
                break
            time.sleep(0.0005)
        assert status_of(all_of(line)) == 431
        with serving.dial() as patient:
            head = b"GET / HTTP/1.1\r\n" + CLOSE + b"a: " + b"y" * 10_000 + b"\r\n\r\n"
            for start in range(0, len(head), 1000):
                patient.sendall(head[start : start + 1000])
                time.sleep(0.002)
            assert status_of(all_of(patient)) == 200


@pytest.mark.parametrize(
    "nonsense",
    [
        b"hello\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\na b: c\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc",
        b"GET http://x/ HTTP/1.1\r\nhost: x\r\n\r\n",
        b"CONNECT /x HTTP/1.1\r\nhost: x\r\n\r\n",  # the parser takes it for an upgrade
    ],
)
def test_what_is_not_plain_http_is_400(nonsense: bytes) -> None:
    """Also what two servers in a row might read as two requests."""
    with Serving(echo) as serving:
        answer = serving.say(nonsense)
        assert status_of(answer) == 400
        assert problem_of(answer) == "bad-request"


@pytest.mark.usefixtures("_hasty")
@pytest.mark.parametrize(
    "part",
    [
        b"",
        b"GET / HT",
        b"GET / HTTP/1.1\r\nhost: x\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nab",
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n",
    ],
)
def test_a_client_that_stops_in_between_is_408(part: bytes) -> None:
    """The connection ends, and the application is told that nobody waits."""
    with Serving(echo) as serving, serving.dial() as line:
        line.sendall(part)
        answer = all_of(line)
        assert status_of(answer) == 408
        assert problem_of(answer) == "too-slow"


@pytest.mark.usefixtures("_hasty")
def test_drips_do_not_buy_time() -> None:
    """A byte now and then is as slow as none: the whole head has one deadline."""
    with Serving(echo) as serving, serving.dial() as line:
        began = time.monotonic()
        try:
            while time.monotonic() - began < 10:
                line.sendall(b"G")
                time.sleep(0.05)
        except OSError:
            pass
        assert time.monotonic() - began < 5


@pytest.mark.usefixtures("_hasty")
def test_a_client_that_takes_nothing_is_dropped() -> None:
    """An answer that nobody reads does not keep its connection."""
    with Serving(flood) as serving, serving.dial() as line:
        line.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        end = time.monotonic() + 10
        while not serving.server.connections and time.monotonic() < end:
            time.sleep(0.01)
        while serving.server.connections and time.monotonic() < end:
            time.sleep(0.05)
        assert not serving.server.connections


@pytest.mark.usefixtures("_hasty")
def test_an_idle_connection_is_not_a_slow_one() -> None:
    """After an answer, a client may think before it asks again."""
    with Serving(echo) as serving, serving.dial() as line:
        for _ in range(2):
            line.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            assert status_of(line.recv(4096)) == 200
            time.sleep(1.2)


def test_further_connections_are_told_to_come_back() -> None:
    """503 with Retry-After, and those that are open go on."""
    with Serving(echo, connections_max=2) as serving:
        first, second = serving.dial(), serving.dial()
        with first, second:
            for line in (first, second):
                line.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
                assert status_of(line.recv(4096)) == 200
            with serving.dial() as third:
                answer = all_of(third)
                assert status_of(answer) == 503
                assert problem_of(answer) == "busy"
                assert b"retry-after: 1" in answer
            first.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            assert status_of(first.recv(4096)) == 200


def test_expect_100_continue_is_answered() -> None:
    """A client that asks first is told to go on."""
    with Serving(echo) as serving, serving.dial() as line:
        line.sendall(
            b"POST / HTTP/1.1\r\n" + CLOSE + b"expect: 100-continue\r\ncontent-length: 1\r\n\r\n"
        )
        assert line.recv(4096).startswith(b"HTTP/1.1 100 Continue")
        line.sendall(b"x")
        assert status_of(all_of(line)) == 200


def test_upgrades_are_not_followed() -> None:
    """A WebSocket is answered as a plain request."""
    with Serving(echo) as serving:
        answer = serving.say(b"GET / HTTP/1.1\r\n" + CLOSE + b"upgrade: websocket\r\n\r\n")
        assert status_of(answer) == 200


_ASKS = b"host: x\r\nconnection: upgrade, close\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n"


@pytest.mark.parametrize("head", [b"content-length: 31\r\n", b"transfer-encoding: chunked\r\n"])
@pytest.mark.parametrize("is_in_pieces", [True, False])
def test_who_asks_for_another_protocol_keeps_its_body(head: bytes, is_in_pieces: bool) -> None:
    """As many clients do with each request: the body is one, and never the next request."""
    body = b"GET /b HTTP/1.1\r\nhost: body\r\n\r\n"
    assert len(body) == 31
    if b"chunked" in head:
        body = b"1f\r\n" + body + b"\r\n0\r\n\r\n"
    parts = [b"POST /a HTTP/1.1\r\n" + _ASKS + head + b"\r\n", body]
    with Serving(echo) as serving, serving.dial() as line:
        for part in parts if is_in_pieces else [b"".join(parts)]:
            line.sendall(part)
            time.sleep(0.05)  # otherwise both could arrive as one
        answer = all_of(line)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b'"size": 31' in answer


def test_what_follows_a_request_for_another_protocol_is_read() -> None:
    """Requests in one piece, each of which asks: all are answered, in their order."""
    asks = b"GET / HTTP/1.1\r\n" + _ASKS.replace(b", close", b"") + b"\r\n"
    post = b"POST / HTTP/1.1\r\n" + _ASKS + b"content-length: 3\r\n\r\nabc"
    with Serving(echo) as serving:
        answer = serving.say(asks * 2 + post)
    assert [answer.count(b"HTTP/1.1 200"), answer.count(b'"size": 0')] == [3, 2]
    assert b'"size": 3' in answer


def test_head_and_body_of_an_answer_travel_together() -> None:
    """In one write, which a client sees as one piece; a HEAD gets its head at once."""
    with Serving(echo) as serving, serving.dial() as line:
        for _ in range(20):
            line.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            piece = line.recv(65536)
            assert piece.startswith(b"HTTP/1.1 200 OK")
            assert piece.endswith(b"}")
        line.sendall(b"HEAD / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert line.recv(65536).endswith(b"\r\n\r\n")


@pytest.mark.usefixtures("_hasty")
@pytest.mark.parametrize("drip", [b"", b"\r\n"])
def test_an_idle_connection_ends(drip: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that sends line ends, which begin no request."""
    monkeypatch.setattr(protocol, "KEEP_ALIVE_MS_MAX", 300)
    with Serving(echo) as serving, serving.dial() as line:
        line.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert status_of(line.recv(65536)) == 200
        line.settimeout(5)
        if drip:
            line.sendall(drip)
        assert line.recv(65536) == b""


CHUNKED = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"


@pytest.mark.parametrize(
    "endless",
    [
        (b"0\r\n", b"a: " + b"b" * 1000 + b"\r\n"),
        (b"0\r\na: ", b"b" * 1000),
        (b"1;x=", b"b" * 1000),
    ],
    ids=["trailers", "one trailer", "chunk extension"],
)
def test_what_follows_a_body_is_bounded(endless: tuple[bytes, bytes]) -> None:
    """Many trailers, one without end, the extension of a chunk: nothing of that is collected."""
    first, more = endless
    with Serving(echo) as serving, serving.dial() as line:

        def send() -> None:
            for _ in range(100):
                line.sendall(more * 100)
                time.sleep(0.002)

        line.sendall(CHUNKED + first)
        with pytest.raises(OSError):  # noqa: PT011  # reset or broken pipe
            send()


def test_trailers_are_no_headers() -> None:
    """What a trailer says is not taken for the request's own header."""

    async def told(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        names = b",".join(name for name, _ in scope["headers"])
        head = {"type": "http.response.start", "status": 200}
        await send({**head, "headers": [(b"content-length", b"%d" % len(names))]})
        await send({"type": "http.response.body", "body": names})

    with Serving(told) as serving, serving.dial() as line:
        line.sendall(CHUNKED + b"0\r\nauthorization: Bearer x\r\n\r\n")
        answer = line.recv(65536)
        assert b"transfer-encoding" in answer
        assert b"authorization" not in answer


def test_requests_before_their_answers_are_bounded() -> None:
    """Some may be sent at once; a flood of them ends the connection and is not kept."""
    one = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
    with Serving(echo) as serving:
        some = serving.say(one * 16 + b"GET / HTTP/1.1\r\n" + CLOSE + b"\r\n")
        assert some.count(b" 200 OK") == 17
        assert serving.say(one * (PIPELINED_REQUESTS_MAX + 2)).count(b" 200 OK") == 0


def test_a_fault_is_not_told_as_the_answer_to_another_request() -> None:
    """Where requests wait, the connection ends without a word for the one after them."""
    one = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
    with Serving(echo) as serving:
        for count in (1, 3):
            for fault in (b"nonsense\r\n\r\n", b"GET http://x/ HTTP/1.1\r\nhost: x\r\n\r\n"):
                assert b" 400 " not in serving.say(one * count + fault)


def test_a_client_that_has_gone_is_no_fault() -> None:
    """Whichever of its requests are answered then: nothing fails that a log would tell of."""
    begun: list[int] = []
    ended: list[BaseException | None] = []
    go_on = threading.Event()

    async def slow(_scope: Any, _receive: Any, send: Any) -> None:
        begun.append(1)
        try:
            while len(begun) == 2 and not go_on.is_set():
                await asyncio.sleep(0.005)
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})
        except BaseException as fault:
            ended.append(fault)
            raise
        ended.append(None)

    with Serving(slow) as serving:
        with serving.dial() as line:
            line.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 3)
            wait_until(lambda: len(begun) == 2)
        wait_until(lambda: not serving.server.connections)
        go_on.set()
        wait_until(lambda: len(ended) == 2)
    assert ended == [None, None]


@pytest.mark.usefixtures("_hasty")
def test_the_last_of_several_may_take_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection is idle after the last answer, not while that one is under way."""
    monkeypatch.setattr(protocol, "KEEP_ALIVE_MS_MAX", 100)

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(float(scope["path"][1:]))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    with Serving(slow) as serving:
        data = b"".join(b"GET /%b HTTP/1.1\r\nhost: x\r\n\r\n" % path for path in (b"0", b"0.8"))
        assert serving.say(data).count(b" 204 ") == 2
