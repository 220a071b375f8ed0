# SPDX-License-Identifier: Apache-2.0
"""TransitSigner through hvac against a local service that speaks the transit API."""

from __future__ import annotations

import base64
import contextlib
import socket
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import hvac
import pytest
import trustme
from tests.leaks import everything_shown_by
from tests.systems import http_service
from tests.systems.forked import signs_by_a_connection_of_its_own
from tests.systems.kept import READ, SUCCESS, Kept, chain_by, written_by
from tests.systems.transit_service import TOKEN, Members, TransitService, refuses, tells_all

from tallystick import verify_chain
from tallystick.errors import SignerUnavailable, SigningError
from tallystick.keys.remote import Retry
from tallystick.keys.vault import TransitSigner
from tallystick.limits import VAULT_ANSWER_BYTES_MAX

NAME = "agent"
SEED, OTHER_SEED = bytes(range(32)), bytes(range(1, 33))
EAGER = Retry(sleep=lambda _seconds: None)


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[TransitService]:
    """A transit engine with one key, and the environment that leads to it."""
    with TransitService() as service:
        service.rotate(NAME, SEED)
        monkeypatch.setenv("VAULT_ADDR", service.url)
        monkeypatch.setenv("VAULT_TOKEN", TOKEN)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield service


def test_a_chain_verifies_with_the_public_key_alone(vault: TransitService) -> None:
    """Receipts signed by Vault verify with the key that it shows, asked for once."""
    signer = TransitSigner(NAME)
    signer.warm_up()
    assert (vault.count("keys"), vault.count("sign")) == (1, 0)
    report = verify_chain(written_by(signer, 3), signer.get_public_key(), require_terminal=True)
    assert report.verdict.name == "VERIFIED", report.codes()
    assert (vault.count("keys"), vault.count("sign")) == (1, 4)


def test_a_rotation_midway(vault: TransitService) -> None:
    """The chain goes on with its version after a rotation; the next chain takes the new one."""
    kept = Kept()
    signer = TransitSigner(NAME)
    chain = chain_by(signer, kept)
    chain.emit(READ, SUCCESS)
    vault.rotate(NAME, OTHER_SEED)
    chain.emit(READ, SUCCESS)
    assert signer.pinned_name == "v1"
    assert verify_chain(kept.lines, signer.get_public_key()).verdict.name == "VERIFIED"
    following = signer.anew()
    assert following.get_public_key() != signer.get_public_key()
    assert following.pinned_name == "v2"
    after = written_by(following)
    assert verify_chain(after, following.get_public_key()).verdict.name == "VERIFIED"


def test_a_version_that_may_sign_no_more(vault: TransitService) -> None:
    """Once the minimum is above the pinned version, the chain stops, and the error says why."""
    signer = TransitSigner(NAME)
    signer.warm_up()
    vault.rotate(NAME, OTHER_SEED)
    vault.minimum[NAME] = 2
    with pytest.raises(SigningError, match="min_encryption_version"):
        signer.sign(b"x")


def test_a_version_by_its_number(vault: TransitService) -> None:
    """The caller can name the version; one that is not there is refused."""
    vault.rotate(NAME, OTHER_SEED)
    assert TransitSigner(NAME, key_version=1).pinned_name is None
    first = TransitSigner(NAME, key_version=1)
    assert first.get_public_key() != TransitSigner(NAME).get_public_key()
    with pytest.raises(SigningError, match="no such version"):
        TransitSigner(NAME, key_version=3).warm_up()


@pytest.mark.parametrize(
    "trick",
    [
        refuses(429, "request rate limit"),
        refuses(500, "internal error"),
        refuses(502),
        refuses(503, "Vault is sealed"),
        refuses(504),
        refuses(412, "required index state not present"),
        http_service.balancer_down,
        http_service.reset,
    ],
)
def test_transient_faults_are_asked_again(vault: TransitService, trick: http_service.Trick) -> None:
    """Sealed, limited, restarting: the next attempt signs."""
    pauses: list[float] = []
    signer = TransitSigner(NAME, retry=Retry(sleep=pauses.append, dice=lambda: 1.0))
    signer.warm_up()
    vault.tricks.append(trick)
    assert len(signer.sign(b"x")) == 64
    assert pauses == [0.05]


def test_a_service_that_hangs(vault: TransitService) -> None:
    """An attempt ends at its timeout; after the last one the signer is unavailable."""
    signer = TransitSigner(NAME, timeout=0.2, retry=Retry(attempts=2, sleep=lambda _s: None))
    vault.tricks.extend([http_service.hang] * 2)
    with pytest.raises(SignerUnavailable, match=r"did not answer in time \(2 attempts\)"):
        signer.warm_up()


def test_nobody_listens() -> None:
    """A closed port is transient."""
    signer = TransitSigner(
        NAME, url="http://127.0.0.1:1", retry=Retry(attempts=2, sleep=lambda _s: None)
    )
    with pytest.raises(SignerUnavailable, match="can't be reached"):
        signer.warm_up()


def test_a_certificate_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who answers in Vault's place is not sent the token, and asking again would not help."""
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    service = TransitService()
    service.use_tls()
    with service, pytest.raises(SigningError, match="TLS failed") as caught:
        TransitSigner(NAME, url=service.url, retry=EAGER).warm_up()
    assert not isinstance(caught.value, SignerUnavailable)
    assert not service.requests


@pytest.mark.parametrize("is_safe", [False, True])
def test_no_redirect_leads_out_of_tls(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_safe: bool
) -> None:
    """A standby may send us on to another node; never to one whose wire anybody reads."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    standby, active = TransitService(), TransitService()
    standby.use_tls(authority)
    if is_safe:
        active.use_tls(authority)
    active.rotate(NAME, SEED)
    standby.tricks.append(
        lambda request, *_: http_service.Answer(307, b"", {"Location": active.url + request.path})
    )
    signer = TransitSigner(NAME, url=standby.url, retry=EAGER)
    with standby, active:
        if is_safe:
            signer.warm_up()
            return
        with pytest.raises(SigningError, match="without TLS"):
            signer.warm_up()
    assert not active.requests


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_no_proxy_stands_between(
    vault: TransitService, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """What stays on this machine does so: a proxy would read the token, and could answer."""
    with TransitService() as proxy:
        proxy.rotate(NAME, OTHER_SEED)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, proxy.url)
        signer = TransitSigner(NAME, url=vault.url.replace("127.0.0.1", host))
        assert len(signer.sign(b"x")) == 64
    assert not proxy.requests
    assert vault.count("sign") == 1


@pytest.mark.parametrize(
    ("place", "is_left"),
    [
        ("http://vault.invalid:{port}", True),
        ("http://localhost:{port}", True),  # by another name a proxy may be asked
        ("http://127.0.0.1\\@127.0.0.1:{port}", True),
        ("//127.0.0.1:{port}", False),
        ("", False),
    ],
)
def test_no_redirect_leads_off_this_machine(
    vault: TransitService, place: str, is_left: bool
) -> None:
    """An agent of Vault's beside the process does not take the token into the open either."""
    start = place.format(port=vault.url.rpartition(":")[2])
    vault.tricks.append(
        lambda request, *_: http_service.Answer(307, b"", {"Location": start + request.path})
    )
    signer = TransitSigner(NAME, url=vault.url, retry=EAGER)
    if not is_left:
        signer.warm_up()
        return
    with pytest.raises(SigningError, match="without TLS"):
        signer.warm_up()
    assert len(vault.requests) == 1


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # what the test is about
def test_a_forked_child(vault: TransitService) -> None:
    """Two processes that speak in one connection would break its TLS for both."""
    signs_by_a_connection_of_its_own(vault, TransitSigner(NAME))


def test_permanent_faults_are_not(vault: TransitService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong token, key, mount point or address: one request, one SigningError."""
    with pytest.raises(SigningError, match="no such key"):
        TransitSigner("other", retry=EAGER).warm_up()
    with pytest.raises(SigningError, match="no transit engine at this mount point"):
        TransitSigner(NAME, mount_point="elsewhere", retry=EAGER).warm_up()
    assert len(vault.requests) == 2
    monkeypatch.setenv("VAULT_TOKEN", "hvs.expired")
    with pytest.raises(SigningError, match="permission denied") as caught:
        TransitSigner(NAME, retry=EAGER).warm_up()
    assert not isinstance(caught.value, SignerUnavailable)
    assert len(vault.requests) == 3
    with pytest.raises(SigningError, match="see VAULT_ADDR"):
        TransitSigner(NAME, url="vault.example.com", retry=EAGER).warm_up()


def test_no_secret_in_errors(vault: TransitService) -> None:
    """Even a service that quotes our token back can't get it into an error, or into repr."""
    vault.tricks.append(tells_all)
    signer = TransitSigner(NAME)
    with pytest.raises(SigningError, match="permission denied") as caught:
        signer.warm_up()
    assert TOKEN not in everything_shown_by(caught.value)
    assert TOKEN not in repr(signer)


def _set(which: str, **changes: object) -> Callable[[str, Members], None]:
    def alter(action: str, data: Members) -> None:
        if action == which:
            data.update(changes)

    return alter


def _respell(change: Callable[[str], str]) -> Callable[[str, Members], None]:
    def alter(action: str, data: Members) -> None:
        if action == "sign":
            data["signature"] = change(data["signature"])

    return alter


@pytest.mark.parametrize(
    ("alter", "words"),
    [
        (_respell(lambda text: text.replace("vault:v1:", "vault:v2:")), "version v2 signed"),
        (_respell(lambda text: text.replace("vault:v1:", "vault:v01:")), "no Ed25519 signature"),
        (_respell(lambda text: text.replace("vault:v1:", "")), "no Ed25519 signature"),
        (_respell(lambda text: text.replace("vault:", "bao:")), "no Ed25519 signature"),
        (_respell(lambda text: text + "\n"), "no Ed25519 signature"),
        (_respell(lambda text: text.rstrip("=")), "no Ed25519 signature"),
        (_respell(lambda text: text[:9] + ("B" if text[9] == "A" else "A") + text[10:]), "not by"),
        (_set("sign", signature=None), "no Ed25519 signature"),
        (_set("keys", type="ecdsa-p256"), "no plain ed25519 key"),
        (_set("keys", derived=True), "no plain ed25519 key"),
        (_set("keys", latest_version=7), "no such version"),
        (_set("keys", latest_version="1"), "no such version"),
        (_set("keys", keys={"1": 1700000000}), "no such version"),
        (_set("keys", keys={"1": {"public_key": ""}}), "no Ed25519 key"),
        (_set("keys", keys={"1": {"public_key": base64.b64encode(bytes(32)).decode()}}), "small"),
    ],
)
def test_wrong_answers(
    vault: TransitService, alter: Callable[[str, Members], None], words: str
) -> None:
    """The prefix is read strictly, and whatever else comes back gets into no receipt."""
    vault.alter = alter
    kept = Kept()
    with pytest.raises(SigningError, match=words):
        chain_by(TransitSigner(NAME), kept).emit(READ, SUCCESS)
    assert not kept.receipts


def test_garbage(vault: TransitService) -> None:
    """An answer that is no JSON is a SigningError, and no foreign exception."""
    vault.tricks.append(http_service.garbage)
    with pytest.raises(SigningError, match="none of the transit engine's"):
        TransitSigner(NAME).warm_up()


@pytest.mark.parametrize("is_packed", [True, False])
def test_answers_without_an_end(vault: TransitService, is_packed: bool) -> None:
    """Nothing is taken into memory beyond the bound: neither a stream nor what is unpacked."""
    sent: list[int] = []

    def stream(_request: object, connection: socket.socket, stop: Event) -> None:
        head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
        more = "Content-Encoding: gzip\r\n\r\n" if is_packed else "\r\n"
        connection.sendall((head + more).encode())
        packer = zlib.compressobj(wbits=31)
        with contextlib.suppress(OSError):
            while not stop.is_set() and len(sent) < 100:
                piece = b" " * (1 << 20)
                if is_packed:
                    piece = packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH)
                connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
                sent.append(len(piece))

    vault.tricks.append(stream)
    signer = TransitSigner(NAME)
    with pytest.raises(SigningError, match=f"over {VAULT_ANSWER_BYTES_MAX} bytes"):
        signer.warm_up()
    signer.warm_up()


def test_a_client_of_the_caller(vault: TransitService) -> None:
    """A client that is given is used as it is, and not configured again."""
    client: Any = hvac.Client(url=vault.url, token=TOKEN)
    assert len(TransitSigner(NAME, client=client).sign(b"x")) == 64
    with pytest.raises(ValueError, match="for a client that is made here"):
        TransitSigner(NAME, client=client, url=vault.url)
