# SPDX-License-Identifier: Apache-2.0
"""`HttpEmitter` against a collector on a real socket that misbehaves in every way of the table.

No pause is slept through: `sleep` is an argument. What needs real time (deadlines, slow answers)
takes tenths of a second.
"""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from tests import material
from tests.daemons import wait_until
from tests.deliveries import receipts
from tests.leaks import everything_shown_by
from tests.misbehaving import (
    OK_BODY,
    Behaviour,
    Collector,
    Exchange,
    answer,
    closing,
    drip,
    drop,
    endless,
    raw,
    reset,
    silent,
)

from tallystick import (
    ApiKeyAuth,
    BearerAuth,
    EmitError,
    HttpEmitter,
    HttpEmitterConfig,
    RetryConfig,
)
from tallystick.deliver.outcome import CASES, Case
from tallystick.limits import ANSWER_BODY_BYTES_MAX, CONNECTIONS_MAX
from tallystick.model.reader import parse_receipt

TOKEN = "tok-3b1f9c0d5e7a"
OK_HEAD = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n"
RECEIPT = receipts(1)[0]
ATTEMPTS = 3


def digits(case: Case) -> int | None:
    return int(case.name) if case.name.isdigit() else None


BEHAVIOURS: dict[str, Behaviour] = {
    **{case.name: answer(status) for case in CASES if (status := digits(case))},
    "302": answer(302, "Location: http://127.0.0.1:1/receipts"),
    "drop": drop,
    "reset": reset,
    "half": raw(OK_HEAD + b"Content-Length: 100\r\n\r\n{"),
    "garbage": raw(b"SSH-2.0-OpenSSH_9.2\r\n", stays_open=True),
    "two-lengths": raw(OK_HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} "),
    "slow": drip(OK_HEAD + b"X: " + b"y" * 500),
    "silent": silent,
    "endless": endless(OK_HEAD + b"\r\n", b"x" * 4096),
    "endless-headers": endless(OK_HEAD, b"X-More: " + b"y" * 1000 + b"\r\n"),
    "interim": endless(b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
    "idle-closed": closing(answer(201)),
}
# These need no server, or TLS: test_http_emitter_tls.py does them.
ELSEWHERE = {"unreachable"}
TLS = {"self-signed", "wrong-host", "expired", "no-client-cert", "old-tls", "plain"}


class Pauses:
    """Instead of sleeping: remembers for how long."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)


def emitter_for(url: str, pauses: Pauses | None = None, **settings: Any) -> HttpEmitter:
    """Return an emitter that makes three attempts and does not sleep between them."""
    settings = (
        dict[str, Any](
            auth=BearerAuth(TOKEN),
            retry=RetryConfig(max_attempts=ATTEMPTS),
            timeout_ms=2_000,
        )
        | settings
    )
    injected: dict[str, Any] = {
        name: settings.pop(name) for name in ("clock", "chance") if name in settings
    }
    return HttpEmitter(HttpEmitterConfig(url, **settings), sleep=pauses or Pauses(), **injected)


def failure_of(emitter: HttpEmitter, receipt: Any = RECEIPT) -> EmitError:
    with pytest.raises(EmitError) as caught:
        emitter.emit(receipt)
    return caught.value


def test_the_table_is_complete() -> None:
    """Each row of the documented table has a test here or in the module for TLS."""
    assert {case.name for case in CASES} == BEHAVIOURS.keys() | ELSEWHERE | TLS


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.name in BEHAVIOURS], ids=lambda case: case.name
)
def test_each_answer_gives_what_the_table_says(case: Case) -> None:
    """Outcome, number of attempts, status and `is_transient` are as documented."""
    pauses = Pauses()
    with Collector(BEHAVIOURS[case.name]) as collector:
        slow = case.name in ("slow", "silent")
        emitter = emitter_for(collector.url, pauses, timeout_ms=250 if slow else 2_000)
        if case.judgement == "delivered":
            emitter.emit(RECEIPT)
            emitter.emit(RECEIPT)
            assert collector.bodies == [RECEIPT.to_json()] * 2
            assert pauses.taken == []
            return
        error = failure_of(emitter)
        attempts = ATTEMPTS if case.judgement == "retried" else 1
        wait_until(lambda: len(collector.requests) >= attempts)  # it may be slower than we are
    assert len(collector.requests) == attempts
    assert len(pauses.taken) == attempts - 1
    assert error.status == case.status
    assert error.is_transient is (case.judgement != "refused")
    assert collector.url in str(error)
    assert TOKEN not in everything_shown_by(error)


def test_nobody_listens() -> None:
    """A refused connection and a name that does not resolve are tried again."""
    with Collector() as gone:
        url = gone.url
    for address in (url, "https://nothing.invalid"):
        pauses = Pauses()
        error = failure_of(emitter_for(address, pauses))
        assert len(pauses.taken) == ATTEMPTS - 1
        assert error.is_transient
        assert error.status is None


def test_the_request_is_what_the_protocol_says() -> None:
    """POST /receipts, `application/ld+json`, the canonical bytes, the credential, no surprises."""
    with Collector() as collector:
        emitter_for(collector.url).emit(RECEIPT)
        emitter_for(f"{collector.url}/in/", auth=ApiKeyAuth("X-Api-Key", "k1")).emit(RECEIPT)
        emitter_for(f"{collector.url}/ingest?tenant=a").emit(RECEIPT)
    first, second, third = collector.requests
    assert first.line == "POST /receipts HTTP/1.1"
    assert first.body == RECEIPT.to_json()
    assert first.headers == {
        "host": f"127.0.0.1:{collector.port}",
        "content-type": "application/ld+json",
        "content-length": str(len(first.body)),
        "accept": "application/json, application/problem+json",
        "accept-encoding": "identity",
        "user-agent": "tallystick",
        "authorization": f"Bearer {TOKEN}",
    }
    assert second.line == "POST /in/receipts HTTP/1.1"
    assert second.headers["x-api-key"] == "k1"
    assert "authorization" not in second.headers
    assert third.line == "POST /ingest?tenant=a HTTP/1.1"


def test_one_connection_is_enough() -> None:
    """Many receipts, one after the other, travel over a single connection."""
    with Collector() as collector:
        emitter = emitter_for(collector.url)
        for receipt in receipts(100):
            emitter.emit(receipt)
    assert collector.connections == 1
    assert collector.bodies == [receipt.to_json() for receipt in receipts(100)]


def test_nothing_is_opened_before_the_first_receipt() -> None:
    """Making an emitter connects to nothing."""
    with Collector() as collector:
        emitter_for(collector.url)
        time.sleep(0.05)
    assert collector.connections == 0


def test_a_connection_that_was_closed_in_between_costs_no_attempt() -> None:
    """The collector closes after each answer; a single attempt is still enough for each receipt."""
    with Collector(closing(answer(201))) as collector:
        emitter = emitter_for(collector.url, retry=RetryConfig(max_attempts=1))
        for receipt in receipts(20):
            emitter.emit(receipt)
    assert len(collector.requests) == 20


def test_a_connection_that_dies_under_the_request_costs_no_attempt() -> None:
    """Closed after the request was read on a kept connection: sent once more on a fresh one."""
    with Collector(answer(201), drop, answer(409)) as collector:
        emitter = emitter_for(collector.url, retry=RetryConfig(max_attempts=1))
        emitter.emit(RECEIPT)
        emitter.emit(RECEIPT)
    assert len(collector.requests) == 3
    assert collector.connections == 2


def test_a_fresh_connection_that_dies_costs_an_attempt() -> None:
    """Sending at once again is for kept connections only: who drops all is not beaten."""
    with Collector(drop) as collector:
        failure_of(emitter_for(collector.url, retry=RetryConfig(max_attempts=2)))
    assert collector.connections == 2


def test_connection_close_is_heard() -> None:
    """`Connection: close` and HTTP/1.0 end a connection without a failed try on it."""
    ten = b"HTTP/1.0 201 Created\r\nContent-Length: 2\r\n\r\n{}"
    with Collector(answer(201, "Connection: close"), raw(ten), answer(201)) as collector:
        emitter = emitter_for(collector.url)
        for _ in range(4):
            emitter.emit(RECEIPT)
    assert len(collector.requests) == 4
    assert collector.connections == 3


def test_a_connection_is_not_kept_for_ever() -> None:
    """After a minute of idleness by either clock (a freeze stops one of them) a new one is made."""
    slept_ns = 0
    with Collector() as collector:
        emitter = emitter_for(collector.url, clock=lambda: time.time_ns() + slept_ns)
        emitter.emit(RECEIPT)
        emitter.emit(RECEIPT)
        assert collector.connections == 1
        slept_ns = 60_000_000_000
        emitter.emit(RECEIPT)
    assert collector.connections == 2


def test_unasked_bytes_are_never_an_answer() -> None:
    """A second answer in the same breath is not taken for the answer to the next receipt."""
    twice = OK_HEAD + b"Content-Length: 2\r\n\r\n{}" + OK_HEAD + b"Content-Length: 2\r\n\r\n{}"
    with Collector(raw(twice, stays_open=True), answer(503)) as collector:
        emitter = emitter_for(collector.url)
        emitter.emit(RECEIPT)
        assert failure_of(emitter).status == 503
    assert len(collector.requests) == 1 + ATTEMPTS


def test_late_bytes_are_never_an_answer() -> None:
    """An answer that comes after its time, or between two requests, is thrown away."""

    is_sent = threading.Event()

    def late(exchange: Exchange) -> bool:
        exchange.send(OK_HEAD + b"Content-Length: 2\r\n\r\n{}")
        time.sleep(0.05)
        exchange.send(OK_HEAD + b"Content-Length: 2\r\n\r\n{}")
        is_sent.set()
        return True

    with Collector(late, answer(503)) as collector:
        emitter = emitter_for(collector.url)
        emitter.emit(RECEIPT)
        assert is_sent.wait(20)
        assert failure_of(emitter).status == 503


@pytest.mark.parametrize(
    "body",
    [
        b"Transfer-Encoding: chunked\r\n\r\n2;a=b\r\n{}\r\n0\r\nTrailer: x\r\n\r\n",
        b"transfer-encoding: Chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
        b"Content-Length: 2, 2\r\n\r\n{}",
        b"Content-Length: 0\r\n\r\n",
    ],
)
def test_bodies_of_each_kind_keep_the_connection(body: bytes) -> None:
    """Chunked, with trailers, or with a length that is stated twice: read to the last byte."""
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    with Collector(raw(interim + OK_HEAD + body, stays_open=True)) as collector:
        emitter = emitter_for(collector.url)
        for _ in range(5):
            emitter.emit(RECEIPT)
    assert collector.connections == 1


def test_failing_and_then_well() -> None:
    """A dropped connection, 500, 503, and then 201: delivered, with three growing pauses."""
    pauses = Pauses()
    with Collector(drop, answer(500), answer(503), answer(201)) as collector:
        emitter = emitter_for(
            collector.url, pauses, retry=RetryConfig(max_attempts=4), chance=lambda: 1.0
        )
        emitter.emit(RECEIPT)
    assert pauses.taken == [0.1, 0.2, 0.4]
    assert collector.bodies == [RECEIPT.to_json()] * 4


@pytest.mark.parametrize(
    ("headers", "wanted_s"),
    [
        (["Retry-After: 7"], 7.0),
        (
            [
                "Date: Fri, 20 Nov 2026 10:00:00 GMT",
                "Retry-After: Fri, 20 Nov 2026 10:00:09 GMT",
            ],
            9.0,
        ),
        (["Retry-After: Fri, 20 Nov 2026 10:00:11 GMT"], 11.0),
    ],
)
def test_retry_after_is_honoured(headers: list[str], wanted_s: float) -> None:
    """In seconds; as a date by the collector's own clock; as a date by ours."""
    pauses = Pauses()
    ten_o_clock = 1_795_168_800_000_000_000
    with Collector(answer(429, *headers), answer(201)) as collector:
        emitter_for(collector.url, pauses, clock=lambda: ten_o_clock).emit(RECEIPT)
    assert pauses.taken == [wanted_s]


def test_retry_after_that_is_too_late_ends_it() -> None:
    """What can't be awaited before the deadline is not slept for: the error comes at once."""
    pauses = Pauses()
    with Collector(answer(503, "Retry-After: 120")) as collector:
        error = failure_of(emitter_for(collector.url, pauses, deadline_ms=30_000))
    assert pauses.taken == []
    assert len(collector.requests) == 1
    assert error.status == 503
    assert error.is_transient
    assert "120.0 s" in str(error)


def test_a_redirect_gives_nothing_away() -> None:
    """The other host is named, and gets neither body nor credential nor even a connection."""
    with Collector() as other:
        for status in (301, 302, 303, 307, 308):
            place = f"Location: http://u:{TOKEN}@localhost:{other.port}/x?secret={TOKEN}"
            with Collector(answer(status, place)) as collector:
                error = failure_of(emitter_for(collector.url))
            assert len(collector.requests) == 1
            assert error.status == status
            assert f"'localhost:{other.port}'" in str(error)
            assert TOKEN not in everything_shown_by(error)
    assert other.connections == 0


def test_what_a_collector_says_is_quoted_with_care() -> None:
    """Its words are cut and escaped; our own token in them is not shown."""
    said = [
        (b'{"error":"chain id is missing"}', "400: 'chain id is missing'"),
        (b'{"title":"T","detail":"D"}', "400: 'D'"),
        (b'{"detail":"a\\u001b[31mb\\u202e"}', r"400: 'a\x1b[31mb\u202e'"),
        (b'{"error":"' + b"x" * 500 + b'"}', "x…'"),
        (b'{"error":"you sent ' + TOKEN.encode() + b'"}', "not shown"),
        (b"[" * 50_000, "answered 400"),
        (b"\xff", "answered 400"),
        (b'"text"', "answered 400"),
    ]
    for body, shown in said:
        with Collector(answer(400, body=body)) as collector:
            error = failure_of(emitter_for(collector.url))
        assert str(error).endswith(shown) or shown == "not shown"
        assert len(str(error)) < 300
        assert TOKEN not in everything_shown_by(error)


def echo(start: bytes, end: bytes = b"") -> Behaviour:
    """Send the whole request back, behind something and before something."""

    def behaviour(exchange: Exchange) -> bool:
        flat = exchange.request.head.replace(b"\r\n", b" | ")
        return exchange.send(start + flat + end, stays_open=False)

    return behaviour


@pytest.mark.parametrize(
    "behaviour",
    [
        echo(b""),
        echo(b"HTTP/1.1 "),
        echo(b"HTTP/1.1 400 ", b"\r\n\r\n"),
        echo(b"HTTP/1.1 400 X\r\nX-Echo: ", b"\r\n\r\n"),
        echo(b"HTTP/1.1 400 X\r\nX-Echo: ", b"\r\nContent-Length: x\r\n\r\n"),
        echo(b"HTTP/1.1 302 X\r\nLocation: https://", b"\r\n\r\n"),
        echo(b"HTTP/1.1 302 X\r\nLocation: https://h/", b"\r\nContent-Length: 9\r\n\r\n"),
        echo(b"HTTP/1.1 400 X\r\nContent-Type: text/plain\r\n\r\n"),
        echo(b"HTTP/1.1 400 X\r\nTransfer-Encoding: chunked\r\n\r\n", b"\r\n"),
        echo(b"HTTP/1.1 400 X\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"\r\n{x"),
        echo(b'HTTP/1.1 503 X\r\nContent-Type: application/json\r\n\r\n{"error":"', b'"}'),
    ],
)
def test_an_echo_shows_nothing(behaviour: Behaviour) -> None:
    """Whatever sends our request back, in whatever place: no error or traceback shows the token."""
    with Collector(behaviour) as collector:
        emitter = emitter_for(collector.url)
        error = failure_of(emitter)
        assert TOKEN.encode() in collector.requests[0].head
    assert TOKEN not in everything_shown_by(error)


def test_the_largest_answer_is_taken_and_no_larger_one() -> None:
    """A body of exactly the bound is an answer; one byte more is a fault, whatever its framing."""
    limit = ANSWER_BODY_BYTES_MAX
    whole = b"x" * limit
    chunk = b"%x\r\n%b\r\n" % (limit, whole)
    fits: list[bytes] = [
        b"Content-Length: %d\r\n\r\n%b" % (limit, whole),
        b"Transfer-Encoding: chunked\r\n\r\n%b0\r\n\r\n" % chunk,
        b"\r\n" + whole,
    ]
    too_much: list[bytes] = [
        b"Content-Length: %d\r\n\r\n%bx" % (limit + 1, whole),
        b"Transfer-Encoding: chunked\r\n\r\n%b1\r\nx\r\n0\r\n\r\n" % chunk,
        b"\r\n" + whole + b"x",
    ]
    for body in fits:
        with Collector(raw(OK_HEAD + body)) as collector:
            emitter_for(collector.url).emit(RECEIPT)
    for body in too_much:
        with Collector(raw(OK_HEAD + body)) as collector:
            error = failure_of(emitter_for(collector.url))
        assert f"more than {limit} bytes" in str(error)


def large_receipt() -> Any:
    whole = material.statement()
    whole["issuer"]["name"] = "n" * 900_000
    return parse_receipt(material.wire(material.signed(whole)))


def early(status: int) -> Behaviour:
    """Answer when only the beginning of the request was read, and hang up."""

    def behaviour(exchange: Exchange) -> bool:
        exchange.socket.recv(1000)
        time.sleep(0.1)  # until the other side's buffers are full
        exchange.send(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)
        return False

    return behaviour


def test_an_early_refusal_is_heard() -> None:
    """413 before the body was read, and the connection reset behind it: it is a 413."""
    with Collector(early(413), reads=False) as collector:
        error = failure_of(emitter_for(collector.url), large_receipt())
    assert error.status == 413
    assert not error.is_transient


@pytest.mark.parametrize("behaviour", [silent, BEHAVIOURS["slow"], BEHAVIOURS["503"]])
def test_the_deadline_holds(behaviour: Behaviour) -> None:
    """However a collector stalls, one receipt takes no longer than its deadline."""
    with Collector(behaviour) as collector:
        config = HttpEmitterConfig(
            collector.url, retry=RetryConfig(max_attempts=50), timeout_ms=200, deadline_ms=500
        )
        start = time.monotonic()
        error = failure_of(HttpEmitter(config, chance=lambda: 1.0))
        took = time.monotonic() - start
    assert 0.25 < took < 5
    assert error.is_transient


def test_one_request_is_bounded_as_a_whole() -> None:
    """An answer that keeps dripping ends with the request's time, not with its last byte."""
    with Collector(drip(OK_HEAD + b"X: " + b"y" * 500, pause_s=0.02)) as collector:
        emitter = emitter_for(collector.url, timeout_ms=300, retry=RetryConfig(max_attempts=1))
        start = time.monotonic()
        failure_of(emitter)
        took = time.monotonic() - start
    assert 0.25 < took < 5


def test_many_threads() -> None:
    """64 threads: each receipt arrives once, over no more connections than allowed."""
    chain = receipts(320)
    with Collector() as collector:
        emitter = emitter_for(collector.url, timeout_ms=10_000)
        faults = in_threads(64, lambda index: list(map(emitter.emit, chain[index::64])))
        emitter.close()
    assert faults == []
    assert sorted(collector.bodies) == sorted(receipt.to_json() for receipt in chain)
    assert collector.connections <= CONNECTIONS_MAX


def in_threads(count: int, work: Callable[[int], object]) -> list[BaseException]:
    faults: list[BaseException] = []

    def run(index: int) -> None:
        try:
            work(index)
        except BaseException as fault:  # noqa: BLE001  # the test looks at each
            faults.append(fault)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return faults


def test_the_environment_names_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxy variables are not looked at."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with Collector() as collector:
        emitter_for(collector.url).emit(RECEIPT)
    assert len(collector.requests) == 1


def test_plain_http_through_a_proxy() -> None:
    """The proxy gets the whole URL, its own credential, and the receipt."""
    with Collector() as proxy:
        emitter_for(
            "http://collector.invalid/in",
            allow_insecure=True,
            proxy=proxy.url,
            proxy_auth=ApiKeyAuth("Proxy-Authorization", "Basic eDp5"),
        ).emit(RECEIPT)
    assert proxy.requests[0].line == "POST http://collector.invalid/in HTTP/1.1"
    assert proxy.requests[0].headers["host"] == "collector.invalid"
    assert proxy.requests[0].headers["proxy-authorization"] == "Basic eDp5"


def test_closing() -> None:
    """A closed emitter says so, keeps no connection, and closes twice without complaint."""
    with Collector() as collector:
        with emitter_for(collector.url) as emitter:
            emitter.emit(RECEIPT)
        emitter.close()
        assert "closed" in str(failure_of(emitter))
    assert len(collector.requests) == 1


def test_closing_ends_the_tries_of_other_threads() -> None:
    """Who waits to try again when the emitter is closed gives up."""
    with Collector(answer(503)) as collector:
        config = HttpEmitterConfig(collector.url, retry=RetryConfig(max_attempts=50))
        emitter: HttpEmitter = HttpEmitter(config, sleep=lambda _: emitter.close())
        assert "closed while waiting" in str(failure_of(emitter))
    assert len(collector.requests) == 1


def test_no_descriptor_is_left_behind() -> None:
    """After failures of every kind and a close, this process has no more open files than before."""
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    with ExitStack() as stack:
        for name in ("201", "500", "drop", "reset", "garbage", "half", "302"):
            collector = stack.enter_context(Collector(BEHAVIOURS[name]))
            with emitter_for(collector.url) as emitter:
                try:
                    emitter.emit(RECEIPT)
                except EmitError:
                    pass
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_answer_to_a_post_may_be_short() -> None:
    """The reference collector's answer is taken as it is."""
    with Collector(answer(201, body=OK_BODY), answer(409, body=b'{"error":"x"}')) as collector:
        emitter = emitter_for(collector.url)
        emitter.emit(RECEIPT)
        emitter.emit(RECEIPT)
    assert collector.connections == 1
