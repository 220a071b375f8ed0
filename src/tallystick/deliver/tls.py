# SPDX-License-Identifier: Apache-2.0
"""What TLS must be for us: 1.2 or later, a certificate that verifies, and perhaps one of ours.

OpenSSL loads a private key from a path only. A key that is given as PEM bytes goes through a file
in memory that has no name and ends with its descriptor; where the system has none, through a file
that only its owner can read and that is unlinked before anything else happens, failure included.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tallystick.deliver.auth import MtlsAuth
from tallystick.durable.file import FilePath, shown
from tallystick.errors import RefusedInput


def client_context(*, ca_file: FilePath | None = None, identity: MtlsAuth | None = None) -> Any:
    """Return an `ssl.SSLContext`, or raise `RefusedInput` for files that it can't use.

    With `ca_file` only its authorities count; without it, those of the system.
    """
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies certificate and host name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        if ca_file is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(cafile=os.fspath(ca_file))
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise RefusedInput(f"ca_file {shown(ca_file or '')}: {_why(error)}") from error
    if identity is not None:
        _load_identity(context, identity)
    return context


def _load_identity(context: Any, identity: MtlsAuth) -> None:
    try:
        with path_of(identity._cert) as cert, path_of(identity._key) as key:
            # Without a password OpenSSL would ask the terminal for one.
            context.load_cert_chain(cert, key, password=b"")
    except (OSError, ValueError) as error:
        raise RefusedInput(
            f"the client certificate and its key can't be used: {_why(error)} "
            "(wanted: PEM, the key unencrypted and belonging to the certificate)"
        ) from error


@contextmanager
def path_of(given: FilePath | bytes, *, in_memory: bool = True) -> Iterator[str]:
    """Yield a path under which PEM can be read, for as long as the block runs."""
    if not isinstance(given, bytes):
        yield os.fspath(given)
        return
    descriptor = _memory_file() if in_memory else None
    if descriptor is None:
        with _private_file(given) as path:
            yield path
        return
    try:
        _write_all(descriptor, given)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _memory_file() -> int | None:
    """Return the descriptor of a file without a name, or None where there is no such thing."""
    if not hasattr(os, "memfd_create") or not os.path.isdir("/proc/self/fd"):
        return None
    try:
        return os.memfd_create("tallystick")
    except OSError:
        return None


@contextmanager
def _private_file(data: bytes) -> Iterator[str]:
    import tempfile

    descriptor, path = tempfile.mkstemp(prefix="tallystick-")  # mode 0600
    try:
        try:
            _write_all(descriptor, data)
        finally:
            del data  # out of the frame that a traceback shows
            os.close(descriptor)
        yield path
    finally:
        os.unlink(path)


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    del data
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _why(error: OSError | ValueError) -> str:
    reason = getattr(error, "reason", None)
    if isinstance(reason, str):
        return reason.lower().replace("_", " ")
    return getattr(error, "strerror", None) or type(error).__name__
