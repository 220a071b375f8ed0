# SPDX-License-Identifier: Apache-2.0
"""One exchange: whatever the other side sends, a whole answer comes out or a fault, in time."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.deliver.answer import Answer, Request, WireFault
from tallystick.deliver.wire import (
    Connection,
    Head,
    body_length,
    chunk_size,
    fault_of,
    left_s,
    parse_head,
)
from tallystick.limits import ANSWER_HEAD_BYTES_MAX, INTERIM_ANSWERS_MAX

REQUEST = Request("POST /receipts", "c.example", b"Authorization: Bearer s3cr3t\r\n")
BODY = b'{"a":1}'
WHOLE = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = (
    b"HTTP/1.1 409 Conflict\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n"
    b"3\r\n{ \n\r\n1;x=y\r\n}\r\n0\r\nT: u\r\n\r\n"
)


@contextmanager
def pair() -> Iterator[tuple[Connection, socket.socket]]:
    """Yield a connection and what is at its other end."""
    ours, theirs = socket.socketpair()
    connection = Connection(ours, time.monotonic)
    try:
        yield connection, theirs
    finally:
        connection.close()
        theirs.close()


def soon(seconds: float = 20.0) -> float:
    return time.monotonic() + seconds


def exchange(sent: bytes, *, parts: int = 1, hangs_up: bool = True, wait_s: float = 20.0) -> Answer:
    """Return the answer in these bytes, which arrive in so many parts."""
    with pair() as (connection, theirs):
        size = max(1, len(sent) // parts)

        def serve() -> None:
            try:
                for at in range(0, len(sent), size):
                    theirs.sendall(sent[at : at + size])
                    if parts > 1:
                        time.sleep(0.0005)
                if hangs_up:
                    theirs.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # our side has seen enough

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            return connection.exchange(REQUEST, BODY, soon(wait_s))
        finally:
            theirs.close()
            thread.join()


def test_the_request_is_one_piece() -> None:
    """Head, length and body, as they stand."""
    with pair() as (connection, theirs):
        theirs.sendall(WHOLE)
        answer = connection.exchange(REQUEST, BODY, soon())
        assert theirs.recv(1000) == (
            b"POST /receipts HTTP/1.1\r\nHost: c.example\r\nAuthorization: Bearer s3cr3t\r\n"
            b'Content-Length: 7\r\n\r\n{"a":1}'
        )
    assert answer == Answer(status=201, headers={"content-length": "2"}, body=b"{}")
    assert REQUEST.alone().endswith(b"s3cr3t\r\n\r\n")


def test_nothing_is_shown() -> None:
    """Requests hold the credential, and answers may hold what we sent."""
    answer = Answer(status=400, headers={"x": "s3cr3t"}, body=b"s3cr3t")
    head = Head(version=1, status=400, headers={"x": "s3cr3t"})
    with pair() as (connection, _):
        assert "s3cr3t" not in repr((REQUEST, answer, head, connection))


@pytest.mark.parametrize("sent", [WHOLE, CHUNKED], ids=["length", "chunked"])
@pytest.mark.parametrize("parts", [1, 2, 7, 1000])
def test_parts_do_not_matter(sent: bytes, parts: int) -> None:
    """However an answer is cut up on its way, it is the same answer."""
    assert exchange(sent, parts=parts) == exchange(sent)
    assert exchange(CHUNKED).body == b"{ \n}"


@pytest.mark.parametrize("sent", [WHOLE, CHUNKED], ids=["length", "chunked"])
def test_no_beginning_is_an_answer(sent: bytes) -> None:
    """Cut anywhere, an answer is a fault; before its first byte it is worth another connection."""
    for end in range(len(sent)):
        with pytest.raises(WireFault) as caught:
            exchange(sent[:end])
        assert caught.value.fate == ("stale" if end == 0 else "again")


@given(st.sampled_from([WHOLE, CHUNKED]), st.integers(0, 200), st.binary(max_size=3))
def test_any_damage_is_an_answer_or_a_fault(sent: bytes, at: int, patch: bytes) -> None:
    """Bytes replaced anywhere: a whole answer or a WireFault, and nothing else, at once."""
    damaged = sent[:at] + patch + sent[at + len(patch) :]
    try:
        outcome: int | str = exchange(damaged).status
    except WireFault as fault:
        outcome = fault.fate
    assert outcome in ("again", "stale", *range(200, 600))


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 201",
        b"HTTP/1.1 201 ",
        b"HTTP/1.0 201 Created",
        b"HTTP/1.1 299 \xff\x80 any words",
        b"HTTP/1.1 201 OK\r\nX:\r\nY: \r\nZ: a  b \t\r\nX-!#$%&'*+-.^_`|~: c",
    ],
)
def test_heads_that_are_well_formed(head: bytes) -> None:
    """The reason phrase is free; headers may be empty; white space around values does not count."""
    parsed = parse_head(head)
    assert parsed is not None
    assert parsed.headers.get("z", "a  b") == "a  b"


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"HTTP/2 201 Created",
        b"HTTP/1.2 201 Created",
        b"http/1.1 201 Created",
        b" HTTP/1.1 201 Created",
        b"HTTP/1.1  201 Created",
        b"HTTP/1.1 20 Created",
        b"HTTP/1.1 2010 Created",
        b"HTTP/1.1 601 Created",
        b"HTTP/1.1 099 Created",
        b"HTTP/1.1 201Created",
        b"HTTP/1.1 201 Cre\nated",
        b"HTTP/1.1 201 Cre\x00ated",
        b"HTTP/1.1 201 X\r\nNoColon",
        b"HTTP/1.1 201 X\r\nName : v",
        b"HTTP/1.1 201 X\r\n: v",
        b"HTTP/1.1 201 X\r\nA: b\r\n folded",
        b"HTTP/1.1 201 X\r\nA: b\nC: d",
        b"HTTP/1.1 201 X\r\nA: b\rC: d",
        b"HTTP/1.1 201 X\r\nA: b\x00",
        b"HTTP/1.1 201 X\r\n\xffA: b",
        b"HTTP/1.1 201 X\r\n",
    ],
)
def test_heads_that_are_not(head: bytes) -> None:
    """Whatever two programs could read differently is no head."""
    assert parse_head(head) is None


@pytest.mark.parametrize(
    ("headers", "length"),
    [
        ({}, "close"),
        ({"content-length": "0"}, 0),
        ({"content-length": "12"}, 12),
        ({"content-length": "12, 12"}, 12),
        ({"content-length": "12,12,12"}, 12),
        ({"transfer-encoding": "chunked"}, "chunked"),
        ({"transfer-encoding": "CHUNKED"}, "chunked"),
        ({"content-length": "12, 13"}, None),
        ({"content-length": "-1"}, None),
        ({"content-length": "+1"}, None),
        ({"content-length": "1_0"}, None),
        ({"content-length": "0x10"}, None),
        ({"content-length": ""}, None),
        ({"content-length": "1\xa0"}, None),
        ({"content-length": "9" * 16}, None),
        ({"transfer-encoding": "gzip, chunked"}, None),
        ({"transfer-encoding": "chunked, chunked"}, None),
        ({"transfer-encoding": "identity"}, None),
        ({"transfer-encoding": ""}, None),
        ({"transfer-encoding": "chunked", "content-length": "2"}, None),
    ],
)
def test_how_long_a_body_is(headers: dict[str, str], length: object) -> None:
    """One length, or none: a body with two is not read at all."""
    assert body_length(Head(version=1, status=201, headers=headers)) == length


def test_bodies_that_can_not_be() -> None:
    """204 and 304 have none, whatever they state; HTTP/1.0 knows no chunks."""
    stated = {"content-length": "5"}
    assert body_length(Head(version=1, status=204, headers=stated)) == 0
    assert body_length(Head(version=1, status=304, headers=stated)) == 0
    chunked = {"transfer-encoding": "chunked"}
    assert body_length(Head(version=0, status=201, headers=chunked)) is None


def test_chunk_sizes() -> None:
    """Hexadecimal, with an extension or without, and nothing that merely looks like it."""
    assert [chunk_size(line) for line in (b"0", b"a", b"0F", b"10;x=y", b"1 ;x")] == [
        0,
        10,
        15,
        16,
        1,
    ]
    for line in (b"", b";x", b"g", b"-1", b"+1", b"0x1", b"1 2", b"1" * 9, b" 1", b"1;\x00"):
        assert chunk_size(line) is None


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"SSH-2.0-x\r\n", "not HTTP/1.1"),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", "not HTTP/1.1"),
        (b"HTTP/1.1 201 X\n\n", "middle of its answer"),
        (b"HTTP/1.1 103 X\r\n\r\n" * (INTERIM_ANSWERS_MAX + 1), "interim answers only"),
        (b"HTTP/1.1 201 X\r\nA: " + b"b" * ANSWER_HEAD_BYTES_MAX, "bytes of headers"),
        (b"HTTP/1.1 201 X\r\nA: " + b"b" * ANSWER_HEAD_BYTES_MAX + b"\r\n\r\n", "bytes of headers"),
        (b"HTTP/1.1 201 X\r\nContent-Length: x\r\n\r\n", "no clear length"),
        (CHUNKED.replace(b"3\r\n", b"x\r\n"), "malformed chunks"),
        (CHUNKED.replace(b"3\r\n", b"2\r\n"), "malformed chunks"),
        (CHUNKED.replace(b"3\r\n", b"3;" + b"x" * ANSWER_HEAD_BYTES_MAX + b"\r\n"), "malformed"),
        (CHUNKED[:-2] + b"U: v\r\n" * ANSWER_HEAD_BYTES_MAX, "malformed chunks"),
        (CHUNKED.replace(b"0\r\n", b"1\r\nx\r\n" * 4000), "malformed chunks"),
    ],
)
def test_answers_that_are_none(sent: bytes, words: str) -> None:
    """Each is a fault that says what came, and the connection is closed."""
    with pytest.raises(WireFault, match=words) as caught:
        exchange(sent)
    assert caught.value.fate == "again"


def test_the_last_interim_answer_is_allowed() -> None:
    """As many as the limit says, and then the answer itself."""
    interim = b"HTTP/1.1 100 Continue\r\n\r\n" * INTERIM_ANSWERS_MAX
    assert exchange(interim + WHOLE).status == 201


def test_what_is_not_http_is_known_at_once() -> None:
    """The first wrong byte is enough: nobody waits for more of it."""
    start = time.monotonic()
    for sent in (b"S", b"HTTX", b"\x15\x03\x01"):
        with pytest.raises(WireFault, match="not HTTP"):
            exchange(sent, hangs_up=False)
    assert time.monotonic() - start < 10


def test_waiting_ends() -> None:
    """Without an answer, and with half of one, the deadline is the end."""
    for sent in (b"", WHOLE[:-1]):
        start = time.monotonic()
        with pytest.raises(WireFault, match="in time"):
            exchange(sent, hangs_up=False, wait_s=0.1)
        assert 0.05 < time.monotonic() - start < 10
    with pytest.raises(WireFault, match="in time"):
        left_s(5.0, lambda: 5.0)
    assert left_s(5.0, lambda: 4.0) == 1.0


@pytest.mark.parametrize(
    ("sent", "is_reusable"),
    [
        (WHOLE, True),
        (CHUNKED, True),
        (WHOLE + b"x", False),
        (WHOLE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), False),
        (WHOLE.replace(b"\r\n\r\n", b"\r\nConnection: x, Close\r\n\r\n"), False),
        (WHOLE.replace(b"\r\n\r\n", b"\r\nConnection: upgrade\r\n\r\n"), True),
        (WHOLE.replace(b"1.1", b"1.0"), False),
        (WHOLE.replace(b"1.1 201 Created", b"1.0 201 X\r\nConnection: Keep-Alive"), True),
        (b"HTTP/1.1 204 X\r\n\r\n", True),
    ],
)
def test_which_connections_are_kept(sent: bytes, is_reusable: bool) -> None:
    """Kept when the answer ended by itself, and nobody said otherwise."""
    with pair() as (connection, theirs):
        theirs.sendall(sent)
        connection.exchange(REQUEST, BODY, soon())
        assert connection.is_reusable is is_reusable
        assert connection.is_quiet()


def test_what_a_fault_leaves() -> None:
    """After a fault the socket is closed, whoever caused it."""
    with pair() as (connection, theirs):
        theirs.sendall(b"nonsense")
        with pytest.raises(WireFault):
            connection.exchange(REQUEST, BODY, soon())
        assert not connection.is_reusable
        assert not connection.is_quiet()
        theirs.settimeout(1)
        assert theirs.recv(1000)
        assert theirs.recv(1) == b""


def test_noise_is_noticed() -> None:
    """Bytes that come between two requests, and the end, make a connection unfit."""
    with pair() as (connection, theirs):
        assert connection.is_quiet()
        theirs.sendall(b"x")
        assert not connection.is_quiet()
    with pair() as (connection, theirs):
        theirs.close()
        assert not connection.is_quiet()


def answered_early(status: int) -> Answer:
    """Return what comes of an answer that was given before the request was read."""
    with pair() as (connection, theirs):
        theirs.sendall(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)
        theirs.shutdown(socket.SHUT_RD)
        return connection.exchange(REQUEST, b"x" * 4_000_000, soon())


def test_an_early_refusal_is_an_answer() -> None:
    """The request could not be sent in full, but what the other side thinks of it is known."""
    assert answered_early(413).status == 413
    assert answered_early(503).status == 503


def test_an_early_acceptance_is_none() -> None:
    """Who has not read a receipt can't have accepted it."""
    for status in (200, 201):
        with pytest.raises(WireFault, match="reset"):
            answered_early(status)


def test_sending_ends_too() -> None:
    """Somebody who does not read holds us no longer than the deadline."""
    with pair() as (connection, _):
        start = time.monotonic()
        with pytest.raises(WireFault, match="in time"):
            connection.exchange(REQUEST, b"x" * 4_000_000, soon(0.1))
        assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"HTTP/1.1 200 Connection established\r\n\r\n", 200),
        (b"HTTP/1.1 407 Who are you\r\nContent-Length: 5\r\n\r\nhello", 407),
    ],
)
def test_tunnels(sent: bytes, status: int) -> None:
    """A proxy's word is its status; nothing may follow before we speak TLS."""
    with pair() as (connection, theirs):
        theirs.sendall(sent)
        assert connection.tunnel(REQUEST, soon()) == status
        assert theirs.recv(1000) == REQUEST.alone()


@pytest.mark.parametrize("sent", [b"HTTP/1.1 200 OK\r\n\r\nx", b"nonsense\r\n\r\n"])
def test_tunnels_that_are_none(sent: bytes) -> None:
    """Bytes behind the proxy's word would be taken for the collector's."""
    with pair() as (connection, theirs):
        theirs.sendall(sent)
        with pytest.raises(WireFault, match="not HTTP"):
            connection.tunnel(REQUEST, soon())


def tls_error(reason: str, kind: type[ssl.SSLError] = ssl.SSLError) -> ssl.SSLError:
    error = kind(1, f"[SSL: {reason}] words")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "fate"),
    [
        (TimeoutError(), "again"),
        (ConnectionResetError(), "stale"),
        (BrokenPipeError(), "stale"),
        (OSError(113, "No route to host"), "again"),
        (ssl.SSLEOFError(8, "EOF"), "stale"),
        (ssl.SSLZeroReturnError(6, "closed"), "stale"),
        (tls_error("TLSV13_ALERT_CERTIFICATE_REQUIRED"), "setup"),
        (tls_error("TLSV1_ALERT_UNKNOWN_CA"), "setup"),
        (tls_error("SSLV3_ALERT_BAD_CERTIFICATE"), "setup"),
        (tls_error("SSLV3_ALERT_HANDSHAKE_FAILURE"), "setup"),
        (tls_error("TLSV1_ALERT_PROTOCOL_VERSION"), "setup"),
        (tls_error("WRONG_VERSION_NUMBER"), "setup"),
        (tls_error("UNSUPPORTED_PROTOCOL"), "setup"),
        (tls_error("NO_SHARED_CIPHER"), "setup"),
        (tls_error("TLSV1_ALERT_INTERNAL_ERROR"), "again"),
        (tls_error("DECRYPTION_FAILED_OR_BAD_RECORD_MAC"), "again"),
        (tls_error(""), "again"),
    ],
)
def test_errors_of_the_system(error: OSError, fate: str) -> None:
    """What may pass is tried again, what closed early is tried elsewhere, TLS setups are told."""
    assert fault_of(error).fate == fate
    assert "[SSL" not in str(fault_of(error))
