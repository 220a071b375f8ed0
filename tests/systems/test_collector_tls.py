# SPDX-License-Identifier: Apache-2.0
"""Our own emitters against a collector over TLS: certificates that stand for tenants."""

from __future__ import annotations

import http.client
import json
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.deliveries import receipts
from tests.served import Served

from tallystick import (
    BearerAuth,
    EmitError,
    HttpEmitter,
    HttpEmitterConfig,
    MtlsAuth,
    RetryConfig,
)
from tallystick.serve.tokens import add_token

RECEIPT = receipts(1)[0]


class World:
    """Authorities for both sides, and a collector's configuration that knows two agents."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca, self.client_ca = trustme.CA(), trustme.CA()
        cert = self.ca.issue_cert("127.0.0.1")
        cert.cert_chain_pems[0].write_to_path(folder / "c.pem")
        cert.private_key_pem.write_to_path(folder / "k.pem")
        self.ca.cert_pem.write_to_path(folder / "ca.pem")
        self.client_ca.cert_pem.write_to_path(folder / "clients.pem")
        self.config = f"""
            tls_cert = "{folder / "c.pem"}"
            tls_key = "{folder / "k.pem"}"
            client_ca = "{folder / "clients.pem"}"
            [certificates]
            "dns:one.example" = "one"
            "dns:two.example" = "two"
        """

    def emitter(self, url: str, **options: Any) -> HttpEmitter:
        """Return an emitter that believes the collector's authority."""
        return HttpEmitter(
            HttpEmitterConfig(
                url,
                ca_file=self.folder / "ca.pem",
                retry=RetryConfig(max_attempts=1),
                **options,
            )
        )

    def identity(self, name: str, authority: trustme.CA | None = None) -> MtlsAuth:
        """Return a client certificate for a name."""
        made = (authority or self.client_ca).issue_cert(name)
        return MtlsAuth(made.cert_chain_pems[0].bytes(), made.private_key_pem.bytes())

    def chains(self, url: str, name: str) -> Any:
        """Return what the holder of a certificate sees."""
        context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        self.client_ca.issue_cert(name).configure_cert(context)
        host, port = url.removeprefix("https://").split(":")
        connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=30)
        try:
            connection.request("GET", "/chains")
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return authorities and a configuration in an empty folder."""
    return World(tmp_path)


def test_a_certificate_is_its_tenant(world: World) -> None:
    """What one agent delivers, it sees, and another does not."""
    with Served(world.folder, config=world.config) as served:
        assert served.url.startswith("https://")
        world.emitter(served.url, auth=world.identity("one.example")).emit(RECEIPT)
        assert len(world.chains(served.url, "one.example")["chains"]) == 1
        assert world.chains(served.url, "two.example") == {"chains": []}


def test_strangers_deliver_nothing(world: World) -> None:
    """A certificate that is nobody's, one of another authority, and none at all."""
    identities = [
        world.identity("three.example"),
        world.identity("one.example", trustme.CA()),
        None,
    ]
    with Served(world.folder, config=world.config) as served:
        for identity in identities:
            options = {"auth": identity} if identity is not None else {}
            with pytest.raises(EmitError):
                world.emitter(served.url, **options).emit(RECEIPT)
        assert world.chains(served.url, "one.example") == {"chains": []}


def test_a_token_does_where_no_certificate_is_required(world: World) -> None:
    """And does not where one is."""
    text, _ = add_token(world.folder / "collector.tokens", "one", made_at="now")
    with Served(world.folder, config=world.config) as served:
        world.emitter(served.url, auth=BearerAuth(text)).emit(RECEIPT)
        assert len(world.chains(served.url, "one.example")["chains"]) == 1
    strict = "require_client_cert = true\n" + world.config
    with Served(world.folder, config=strict) as served:
        with pytest.raises(EmitError):
            world.emitter(served.url, auth=BearerAuth(text)).emit(RECEIPT)
        assert len(world.chains(served.url, "one.example")["chains"]) == 1
