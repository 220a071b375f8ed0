# SPDX-License-Identifier: Apache-2.0
"""`HttpEmitter` over TLS: who is believed, who is asked to prove themselves, and what is left."""

from __future__ import annotations

import datetime
import os
import ssl
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.deliveries import receipts
from tests.leaks import everything_shown_by
from tests.misbehaving import Collector, Proxy, answer, closing, raw

from tallystick import (
    BearerAuth,
    EmitError,
    HttpEmitter,
    HttpEmitterConfig,
    MtlsAuth,
    RetryConfig,
)
from tallystick.deliver.outcome import CASES

RECEIPT = receipts(1)[0]
TOKEN = "tok-91c2aa07"
LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


class Authority:
    """A certificate authority for one test module, its certificate in a file."""

    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self.file = folder / "ca.pem"
        self.ca.cert_pem.write_to_path(self.file)

    def context(self, *names: str, **options: Any) -> ssl.SSLContext:
        """Return what a collector with a certificate for these names needs."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*(names or ("127.0.0.1", "localhost")), **options).configure_cert(
            context
        )
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(autouse=True)
def no_files_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test does, no temporary file outlives it."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield
    assert list(folder.iterdir()) == []


def emitter_for(collector: Collector, authority: Authority | None, **settings: Any) -> HttpEmitter:
    settings = (
        dict[str, Any](
            auth=BearerAuth(TOKEN),
            retry=RetryConfig(max_attempts=2),
            ca_file=authority.file if authority is not None else None,
        )
        | settings
    )
    config = HttpEmitterConfig(settings.pop("url", collector.url), **settings)
    return HttpEmitter(config, sleep=lambda _: None)


def failure_of(emitter: HttpEmitter) -> EmitError:
    with pytest.raises(EmitError) as caught:
        emitter.emit(RECEIPT)
    return caught.value


def wanting_a_certificate(authority: Authority) -> ssl.SSLContext:
    context = authority.context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.file)
    return context


def of_old(authority: Authority) -> ssl.SSLContext:
    context = authority.context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


CONTEXTS: dict[str, tuple[Callable[[Authority], ssl.SSLContext], str]] = {
    "wrong-host": (lambda it: it.context("other.example"), "IP address mismatch"),
    "expired": (lambda it: it.context(not_after=LONG_AGO), "certificate has expired"),
    "no-client-cert": (wanting_a_certificate, "client certificate"),
    "old-tls": (of_old, "no TLS that we accept"),
}


def test_receipts_travel_over_one_connection(authority: Authority) -> None:
    """A certificate that holds is enough; one handshake serves many receipts."""
    with Collector(tls=authority.context()) as collector:
        emitter = emitter_for(collector, authority)
        for receipt in receipts(20):
            emitter.emit(receipt)
    assert collector.connections == 1
    assert collector.bodies == [receipt.to_json() for receipt in receipts(20)]


def test_a_host_name_is_checked_like_an_address(authority: Authority) -> None:
    """`localhost` is fine where the certificate names it."""
    with Collector(tls=authority.context("localhost")) as collector:
        emitter_for(collector, authority, url=f"https://localhost:{collector.port}").emit(RECEIPT)
    assert len(collector.requests) == 1


@pytest.mark.parametrize("name", [*CONTEXTS, "self-signed", "plain"])
def test_each_fault_of_tls_gives_what_the_table_says(name: str, authority: Authority) -> None:
    """It ends at the first attempt, nothing was sent, and the error says what is the matter."""
    (case,) = [case for case in CASES if case.name == name]
    known: Authority | None = authority
    if name in CONTEXTS:
        make, words = CONTEXTS[name]
        collector = Collector(tls=make(authority))
    elif name == "self-signed":
        known, words = None, "unable to get local issuer certificate"
        collector = Collector(tls=authority.context())
    else:
        words = "no TLS that we accept"
        collector = Collector(greets=raw(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    with collector:
        url = f"https://127.0.0.1:{collector.port}"
        error = failure_of(emitter_for(collector, known, url=url))
    assert case.judgement == "stopped"
    assert collector.connections == 1
    assert collector.requests == []
    assert error.is_transient
    assert error.status is None
    assert words in str(error)
    assert TOKEN not in everything_shown_by(error)


def test_a_closed_connection_is_no_attempt(authority: Authority) -> None:
    """A collector that hangs up after each answer, over TLS too, costs no attempt."""
    with Collector(closing(answer(201)), tls=authority.context()) as collector:
        emitter = emitter_for(collector, authority, retry=RetryConfig(max_attempts=1))
        for receipt in receipts(5):
            emitter.emit(receipt)
    assert len(collector.requests) == 5


def test_a_body_that_ends_without_goodbye_is_not_whole(authority: Authority) -> None:
    """A body up to the end of the connection needs TLS's own end, or it may have been cut."""
    cut = closing(raw(b"HTTP/1.1 201 Created\r\n\r\n{}"))
    with Collector(cut, tls=authority.context()) as collector:
        error = failure_of(emitter_for(collector, authority))
    assert len(collector.requests) == 2
    assert error.is_transient


@pytest.mark.parametrize("form", ["paths", "bytes", "text"])
def test_client_certificates(form: str, authority: Authority, tmp_path: Path) -> None:
    """As paths, as PEM bytes and as PEM text: the collector is shown the certificate."""
    ours = authority.ca.issue_cert("agent@a.example")
    cert, key = ours.cert_chain_pems[0].bytes(), ours.private_key_pem.bytes()
    if form == "paths":
        (tmp_path / "c.pem").write_bytes(cert)
        (tmp_path / "k.pem").write_bytes(key)
        identity = MtlsAuth(tmp_path / "c.pem", str(tmp_path / "k.pem"))
    elif form == "bytes":
        identity = MtlsAuth(cert, key)
    else:
        identity = MtlsAuth(cert.decode(), key.decode())
    with Collector(tls=wanting_a_certificate(authority)) as collector:
        emitter = emitter_for(collector, authority, auth=identity)
        for _ in range(3):
            emitter.emit(RECEIPT)
    assert len(collector.requests) == 3
    assert collector.connections == 1
    assert "authorization" not in collector.requests[0].headers


def test_a_client_certificate_of_somebody_else(authority: Authority) -> None:
    """A certificate that the collector does not know ends it, and says what is the matter."""
    ours = trustme.CA().issue_cert("agent@a.example")
    identity = MtlsAuth(ours.cert_chain_pems[0].bytes(), ours.private_key_pem.bytes())
    with Collector(tls=wanting_a_certificate(authority)) as collector:
        error = failure_of(emitter_for(collector, authority, auth=identity))
    assert collector.requests == []
    assert "refuses our side of TLS" in str(error)


def test_tls_through_a_proxy(authority: Authority) -> None:
    """The proxy sees a CONNECT with its own credential, and nothing of what goes through."""
    with Collector(tls=authority.context()) as collector, Proxy() as proxy:
        emitter = emitter_for(collector, authority, proxy=proxy.url, proxy_auth=BearerAuth("p-1"))
        for receipt in receipts(3):
            emitter.emit(receipt)
        emitter.close()
    (seen,) = proxy.requests
    where = f"127.0.0.1:{collector.port}"
    assert seen.line == f"CONNECT {where} HTTP/1.1"
    assert seen.headers == {"host": where, "authorization": "Bearer p-1"}
    assert collector.requests[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert "p-1" not in str(collector.requests[0].headers)
    assert len(collector.requests) == 3


@pytest.mark.parametrize(("status", "attempts"), [(407, 1), (403, 1), (502, 2)])
def test_a_proxy_that_refuses(status: int, attempts: int, authority: Authority) -> None:
    """What the proxy answers is told; only what may pass is tried again."""

    class Refusing(Collector):
        pass

    with Refusing(answer(status, "Proxy-Authenticate: Basic")) as proxy:
        error = failure_of(
            emitter_for(proxy, authority, url="https://collector.invalid", proxy=proxy.url)
        )
    assert len(proxy.requests) == attempts
    assert f"a proxy, which answered {status}" in str(error)
    assert error.is_transient
    assert TOKEN not in everything_shown_by(error)


def test_a_silent_handshake_ends_in_time(authority: Authority) -> None:
    """Somebody who accepts and never says hello holds us no longer than a request may take."""
    with Collector(greets=lambda exchange: exchange.is_over.wait(5)) as collector:
        url = f"https://127.0.0.1:{collector.port}"
        error = failure_of(emitter_for(collector, authority, url=url, timeout_ms=200))
    assert "in time" in str(error)
    assert collector.connections == 2


def test_the_session_keys_are_not_written_down(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSLKEYLOGFILE is not looked at."""
    path = tmp_path / "keys.log"
    monkeypatch.setenv("SSLKEYLOGFILE", str(path))
    with Collector(tls=authority.context()) as collector:
        emitter_for(collector, authority).emit(RECEIPT)
    assert not path.exists()


def test_many_handshakes_leave_nothing_open(authority: Authority) -> None:
    """Failed handshakes close what they opened."""
    before = len(os.listdir("/proc/self/fd"))
    with Collector(tls=authority.context("other.example")) as collector:
        emitter = emitter_for(collector, authority)
        for _ in range(10):
            failure_of(emitter)
    assert collector.connections == 10
    assert len(os.listdir("/proc/self/fd")) <= before
