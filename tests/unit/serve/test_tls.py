# SPDX-License-Identifier: Apache-2.0
"""TLS and client certificates, with real handshakes."""

from __future__ import annotations

import json
import ssl
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.serving import Serving
from tests.unit.serve.test_protocol import echo

from tallystick.errors import SettingError
from tallystick.serve.tls import certificate_names, server_context

GET = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"


class Files:
    """A certificate for the service, authorities for clients, and one client."""

    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        served = self.ca.issue_cert("localhost")
        self.cert, self.key, self.clients = (folder / one for one in ("c.pem", "k.pem", "ca.pem"))
        served.cert_chain_pems[0].write_to_path(self.cert)
        served.private_key_pem.write_to_path(self.key)
        self.client_ca = trustme.CA()
        self.client_ca.cert_pem.write_to_path(self.clients)

    def client(self, issued: trustme.LeafCert | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        if issued is not None:
            issued.configure_cert(context)
        return context


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Return certificates that all tests of this module share."""
    return Files(tmp_path_factory.mktemp("tls"))


def names_of(answer: bytes) -> Any:
    return json.loads(answer.rpartition(b"\r\n\r\n")[2])["names"]


def test_https_is_served(files: Files) -> None:
    """With certificate and key in two files, TLS 1.2 at least, and no client certificate asked."""
    context = server_context(files.cert, files.key)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    with Serving(echo, tls=context) as serving:
        assert names_of(serving.say(GET, files.client())) == []


def test_nobody_has_keys_agreed_on_again(files: Files) -> None:
    """No renegotiation, which costs us more than who asks for it, and no compression."""
    options = server_context(files.cert, files.key).options
    assert ssl.OP_NO_RENEGOTIATION in options
    assert ssl.OP_NO_COMPRESSION in options


def test_a_client_certificate_is_read_by_all_its_names(files: Files) -> None:
    """Fingerprint, URI, DNS, e-mail and common name, in this order of exactness."""
    issued = files.client_ca.issue_cert("agent.example", "a@example.com", common_name="agent")
    context = server_context(files.cert, files.key, client_ca=files.clients)
    with Serving(echo, tls=context) as serving:
        names = names_of(serving.say(GET, files.client(issued)))
        assert names_of(serving.say(GET, files.client())) == []
    der = ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode())
    assert names[0] == "sha256:" + sha256(der).hexdigest()
    assert set(names[1:]) == {"dns:agent.example", "email:a@example.com", "cn:agent"}
    assert names[-1] == "cn:agent"


def test_strangers_are_refused(files: Files) -> None:
    """A certificate of another authority never reaches the application; nor does none at all."""
    stranger = trustme.CA().issue_cert("agent.example")
    context = server_context(files.cert, files.key, client_ca=files.clients, require_client=True)
    with Serving(echo, tls=context) as serving:
        for issued in (stranger, None):
            assert b"200 OK" not in answer_or_alert(serving, files.client(issued))


def answer_or_alert(serving: Serving, tls: ssl.SSLContext) -> bytes:
    """Return what came, or nothing where the connection was refused."""
    try:
        return serving.say(GET, tls)
    except OSError:
        return b""


def test_files_that_do_not_fit_are_told(files: Files, tmp_path: Path) -> None:
    """Missing, of another key, encrypted: which file, and why; never what is in it."""
    other = tmp_path / "other.pem"
    files.ca.issue_cert("x").private_key_pem.write_to_path(other)
    nothing = tmp_path / "none"
    locked = tmp_path / "locked.pem"
    locked.write_text(
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"
    )
    for cert, key, ca in (
        (nothing, None, None),
        (files.cert, other, None),
        (files.cert, locked, None),
        (files.cert, files.key, nothing),
        (files.cert, files.key, files.key),
    ):
        with pytest.raises(SettingError, match="can't be used"):
            server_context(cert, key, client_ca=ca)


def test_without_a_certificate_there_are_no_names() -> None:
    """Plain connections have no peer."""
    assert certificate_names(None) == ()
