# SPDX-License-Identifier: Apache-2.0
"""Short posts on a real connection, which take no task; all else goes to the application."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest
from tests.daemons import wait_until
from tests.serving import Serving, all_of, status_of

from tallystick.limits import PIPELINED_REQUESTS_MAX, POST_BYTES_MAX
from tallystick.serve import protocol
from tallystick.serve.post import Reply

HEADERS = b"host: x\r\n"
CLOSE = b"host: x\r\nconnection: close\r\n"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer with "app" and how much came."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message["body"]), message["more_body"]
    body = b"app %d %d" % (size, len(scope["headers"]))
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Posts:
    """Answers each post with what came, at once or when it is told to."""

    path = b"/p"

    def __init__(self, *, waits: bool = False) -> None:
        self.waits = waits
        self.taken: list[bytes] = []
        self.waiting: list[tuple[Reply, bytes]] = []

    def admit(self, head: Mapping[bytes, bytes], _state: Mapping[str, Any], /) -> str | None:
        return None if b"x-no" in head else "tenant"

    def take(self, tenant: str, body: bytes, reply: Reply, /) -> None:
        assert tenant == "tenant"
        self.taken.append(body)
        if self.waits:
            self.waiting.append((reply, body))
        else:
            self.answer(reply, body)

    def answer(self, reply: Reply, body: bytes) -> None:
        told = b"post " + body[:9]
        reply(201, [(b"content-length", b"%d" % len(told))], told)


def post(body: bytes, headers: bytes = HEADERS, path: bytes = b"/p") -> bytes:
    """Return the bytes of one post."""
    head = b"POST %b HTTP/1.1\r\n%bcontent-length: %d\r\n\r\n" % (path, headers, len(body))
    return head + body


def test_posts_on_one_connection() -> None:
    """One after the other, in one piece or in many, before and behind other requests.

    A post that comes before the application has answered goes there, too.
    """
    posts = Posts()
    with Serving(app, posts=posts) as serving:
        get = b"GET /p HTTP/1.1\r\nhost: x\r\n\r\n"
        first, last = (post(b"one") + post(b"two") + get), (post(b"three") + post(b"", CLOSE))
        whole = serving.say(first + last)
        with serving.dial() as line:
            for at in range(0, len(first), 7):
                line.sendall(first[at : at + 7])
                time.sleep(0.001)
            parts = b""
            while b"app 0 1" not in parts:
                parts += line.recv(65536)
            line.sendall(last)
            parts += all_of(line)
    for answer, expected in ((whole, [b"app 5 2", b"app 0 3"]), (parts, [b"post three", b"post "])):
        found = [part.partition(b"HTTP/1.1")[0] for part in answer.split(b"\r\n\r\n")[1:]]
        assert found == [b"post one", b"post two", b"app 0 1", *expected]
        assert answer.count(b"connection: close") == 1
        assert answer.count(b"date: ") == 5
    assert posts.taken == [b"one", b"two", b"one", b"two", b"three", b""]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (post(b"x" * POST_BYTES_MAX, CLOSE), b"post xxxxxxxxx"),
        (post(b"x" * (POST_BYTES_MAX + 1), CLOSE), b"app %d 3" % (POST_BYTES_MAX + 1)),
        (post(b"abc", CLOSE + b"x-no: 1\r\n"), b"app 3 4"),
        (post(b"abc", CLOSE + b"a: 1\r\na: 2\r\n"), b"app 3 5"),
        (post(b"abc", CLOSE + b"expect: 100-continue\r\n"), b"app 3 4"),
        (post(b"abc", CLOSE, b"/p?q"), b"app 3 3"),
        (post(b"abc", CLOSE).replace(b": 3", b": " + b"0" * 20 + b"3"), b"app 3 3"),
        (post(b"abc", CLOSE).replace(b"POST", b"PUT"), b"app 3 3"),
        (post(b"abc").replace(b"HTTP/1.1", b"HTTP/1.0"), b"post abc"),
        (
            b"POST /p HTTP/1.1\r\n" + CLOSE + b"transfer-encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\n0\r\n\r\n",
            b"app 3 3",
        ),
        (
            b"POST /p HTTP/1.1\r\nhost: x\r\nupgrade: x\r\nconnection: upgrade, close\r\n"
            b"content-length: 3\r\n\r\nabc",
            b"post abc",
        ),
    ],
)
def test_what_is_unusual_is_for_the_application(request_: bytes, expected: bytes) -> None:
    """It is given all of the request, as if nobody had looked at it before."""
    with Serving(app, posts=Posts()) as serving:
        assert serving.say(request_).rpartition(b"\r\n\r\n")[2] == expected


def test_answers_keep_their_order() -> None:
    """What comes behind a post that is not answered yet waits for it, whatever it is."""
    posts = Posts(waits=True)
    with Serving(app, posts=posts) as serving, serving.dial() as line:
        line.sendall(post(b"first") + post(b"second") + post(b"third", CLOSE))
        wait_until(lambda: posts.taken == [b"first"])
        time.sleep(0.05)
        assert posts.taken == [b"first"]
        answer_all(serving, posts)
        answer = all_of(line)
    assert [b"post first" in answer, answer.index(b"post first") < answer.index(b"app 6 2")] == [
        True, True,
    ]  # fmt: skip
    assert answer.index(b"app 6 2") < answer.index(b"app 5 3")


def test_nothing_follows_the_last_answer() -> None:
    """What comes behind it is not done, since nobody would be told: also where the server ends."""
    asked = []

    async def noted(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        await app(scope, receive, send)

    posts, more = Posts(), post(b"more") * 3
    with Serving(noted, posts=posts) as serving:
        assert serving.say(post(b"last", CLOSE) + more).endswith(b"post last")
        with serving.dial() as line:
            line.sendall(post(b"end")[:-1])
            wait_until(lambda: serving.server.connections == 1)
            serving.server.stop()
            wait_until(lambda: not listens(serving))
            line.sendall(b"d" + more)
            assert all_of(line).endswith(b"post end")
    assert (posts.taken, asked) == ([b"last", b"end"], [])


def test_a_fault_behind_a_post_is_not_its_answer() -> None:
    """It may be stored already: a 400 would say that it never will be."""
    posts = Posts(waits=True)
    with Serving(app, posts=posts) as serving:
        assert serving.say(post(b"first") + b"nonsense\r\n\r\n") == b""
        answer_all(serving, posts)
    assert posts.taken == [b"first"]


def test_one_client_does_not_hold_all_others_up() -> None:
    """Of what came in one piece, only so many are answered before others have their turn."""
    posts = Posts()
    with Serving(app, posts=posts) as serving:
        answer = serving.say(post(b"x") * (PIPELINED_REQUESTS_MAX + 5) + post(b"", CLOSE))
    assert len(posts.taken) == answer.count(b"post x") == PIPELINED_REQUESTS_MAX
    assert answer.count(b"app ") == 6


def test_who_has_gone_is_not_answered() -> None:
    """Nor is anything broken by it: the next one is."""
    posts = Posts(waits=True)
    with Serving(app, posts=posts) as serving:
        with serving.dial() as line:
            line.sendall(post(b"gone"))
            wait_until(lambda: posts.taken == [b"gone"])
        with serving.dial() as line:
            line.sendall(b"POST /p HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf")
        wait_until(lambda: serving.server.connections == 0)
        answer_all(serving, posts)
        posts.waits = False
        assert serving.say(post(b"next", CLOSE)).endswith(b"post next")
    assert posts.taken == [b"gone", b"next"]


def test_a_post_that_is_not_whole_in_time_is_408(monkeypatch: pytest.MonkeyPatch) -> None:
    """One deadline for all of its body; nothing of it is handed over."""
    monkeypatch.setattr(protocol, "REQUEST_BODY_MS_MAX", 300)
    posts = Posts()
    with Serving(app, posts=posts) as serving, serving.dial() as line:
        line.sendall(b"POST /p HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nab")
        assert status_of(all_of(line)) == 408
    assert posts.taken == []


def test_an_idle_connection_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time begins with the answer, and a byte that begins nothing does not renew it."""
    monkeypatch.setattr(protocol, "KEEP_ALIVE_MS_MAX", 300)
    with Serving(app, posts=Posts()) as serving, serving.dial() as line:
        line.sendall(post(b"one"))
        began = time.monotonic()
        assert all_of(line).endswith(b"post one")
        assert time.monotonic() - began < 5


def test_the_server_ends_after_the_answer() -> None:
    """A post that was handed over is answered, and its connection closed."""
    posts = Posts(waits=True)
    with Serving(app, posts=posts) as serving, serving.dial() as line:
        line.sendall(post(b"last"))
        wait_until(lambda: posts.taken == [b"last"])
        serving.server.stop()
        assert not serving.has_ended(0.4)
        answer_all(serving, posts)
        answer = all_of(line)
        assert answer.endswith(b"post last")
        assert b"connection: close" in answer
        assert serving.has_ended(10)


def test_a_client_that_does_not_read_is_held_back() -> None:
    """Answers do not pile up in memory: what it sends on waits, as with any other request."""
    posts = Posts()

    def answer(reply: Reply, body: bytes) -> None:
        told = body * 64
        reply(200, [(b"content-length", b"%d" % len(told))], told)

    posts.answer = answer  # type: ignore[method-assign]  # large answers
    count = PIPELINED_REQUESTS_MAX - 10
    data = post(b"x" * POST_BYTES_MAX) * count + post(b"", CLOSE)
    with Serving(app, posts=posts) as serving, serving.dial() as line:
        sender = threading.Thread(target=line.sendall, args=(data,))
        sender.start()
        time.sleep(1)
        assert len(posts.taken) < 10
        answers = all_of(line)
        sender.join(20)
        assert not sender.is_alive()
    assert answers.count(b"HTTP/1.1 200 OK") == count + 1


def answer_all(serving: Serving, posts: Posts) -> None:
    """Let all who wait be answered, on the loop."""
    done = threading.Event()

    def answer() -> None:
        for reply, body in posts.waiting:
            posts.answer(reply, body)
        done.set()

    loop = serving.server.servers[0].get_loop()
    loop.call_soon_threadsafe(answer)
    assert done.wait(10)


def listens(serving: Serving) -> bool:
    """Whether a new connection is still taken."""
    try:
        serving.dial().close()
    except ConnectionRefusedError:
        return False
    return True
