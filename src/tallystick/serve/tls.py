# SPDX-License-Identifier: Apache-2.0
"""TLS of a service: its own certificate, and whose client certificates it believes."""

from __future__ import annotations

import ssl
from typing import Any

from tallystick.durable.file import FilePath, shown
from tallystick.errors import SettingError


def server_context(
    certificate: FilePath,
    key: FilePath | None = None,
    *,
    client_ca: FilePath | None = None,
    require_client: bool = False,
) -> ssl.SSLContext:
    """Return a context for TLS 1.2 and later, or raise `SettingError`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A renegotiation that a client can ask for costs the service more than the client.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as fault:
        raise SettingError(
            f"certificate {shown(certificate)} and its key can't be used: {_why(fault)}"
        ) from None
    if client_ca is not None:
        try:
            context.load_verify_locations(client_ca)
        except (OSError, ValueError) as fault:
            raise SettingError(
                f"the client authorities {shown(client_ca)} can't be used: {_why(fault)}"
            ) from None
        context.verify_mode = ssl.CERT_REQUIRED if require_client else ssl.CERT_OPTIONAL
    return context


def certificate_names(peer: Any) -> tuple[str, ...]:
    """Return the names of a verified client certificate, the most exact first.

    `sha256:<hex of the certificate>`, `uri:…`, `dns:…`, `email:…`, `cn:…`.
    """
    if peer is None:
        return ()
    whole = peer.getpeercert(True)
    described = peer.getpeercert()
    if not whole or not described:  # none was sent, or nobody asked for one
        return ()
    from hashlib import sha256

    names = ["sha256:" + sha256(whole).hexdigest()]
    for kind, name in described.get("subjectAltName", ()):
        if kind in ("URI", "DNS", "email"):
            names.append(f"{kind.lower()}:{name}")
    for relative in described.get("subject", ()):
        names += [f"cn:{value}" for kind, value in relative if kind == "commonName"]
    return tuple(names)


def _no_password() -> str:
    raise ValueError("the key is encrypted; give one that is not")


def _why(fault: OSError | ValueError) -> str:
    reason = getattr(fault, "reason", None)
    if isinstance(reason, str):
        return reason.lower().replace("_", " ")
    return getattr(fault, "strerror", None) or str(fault) or type(fault).__name__
