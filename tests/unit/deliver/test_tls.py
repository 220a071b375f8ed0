# SPDX-License-Identifier: Apache-2.0
"""What TLS must be, and where a private key must never lie."""

from __future__ import annotations

import os
import ssl
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from tests.leaks import everything_shown_by

from tallystick.deliver.auth import MtlsAuth
from tallystick.deliver.tls import client_context, path_of
from tallystick.errors import RefusedInput

CA = trustme.CA()
OURS = CA.issue_cert("agent@a.example")
CERT = OURS.cert_chain_pems[0].bytes()
KEY = OURS.private_key_pem.bytes()
SECRET_LINE = KEY.decode().splitlines()[1]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files would be; empty afterwards, whatever happened."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    yield place
    assert list(place.iterdir()) == []


def test_what_is_asked_of_the_other_side() -> None:
    """TLS 1.2 or later, a certificate that verifies, and that is for this host."""
    context = client_context()
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.keylog_filename is None


def test_own_authorities_replace_those_of_the_system(tmp_path: Path) -> None:
    """With `ca_file` only what is in it counts."""
    path = tmp_path / "ca.pem"
    CA.cert_pem.write_to_path(path)
    assert len(client_context(ca_file=path).get_ca_certs()) == 1
    assert len(client_context(ca_file=str(path)).get_ca_certs()) == 1


@pytest.mark.parametrize("content", [None, b"", b"no PEM", CERT[:200]])
def test_files_of_authorities_that_are_none(content: bytes | None, tmp_path: Path) -> None:
    """A missing or damaged file is said when the emitter is made, with its path."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RefusedInput, match=r"ca_file .*ca\.pem"):
        client_context(ca_file=path)


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_key_in_bytes_touches_no_disk_for_long(in_memory: bool, folder: Path) -> None:
    """It is readable under a path while that is needed, by its owner alone, and then gone."""
    with path_of(KEY, in_memory=in_memory) as path:
        assert Path(path).read_bytes() == KEY
        files = list(folder.iterdir())
        if in_memory and sys.platform == "linux":
            assert files == []
        else:
            assert [stat.S_IMODE(one.stat().st_mode) for one in files] == [0o600]
    assert not os.path.exists(path)


@pytest.mark.parametrize("in_memory", [True, False])
def test_it_is_gone_after_a_failure_too(in_memory: bool, folder: Path) -> None:
    """Whatever happens while the path exists, it does not outlive it."""
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(KeyboardInterrupt), path_of(KEY, in_memory=in_memory):
        raise KeyboardInterrupt
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_disk_that_is_full(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the key can't even be written, nothing stays behind either."""
    before = len(os.listdir("/proc/self/fd"))

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.write", full)
    for in_memory in (True, False):
        with pytest.raises(OSError, match="No space"), path_of(KEY, in_memory=in_memory):
            pass
    assert len(os.listdir("/proc/self/fd")) == before


def test_without_files_in_memory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has none, or refuses, the private file is the way."""

    def refused(name: str) -> int:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("os.memfd_create", refused)
    with path_of(KEY) as path:
        assert path.startswith(str(folder))
    monkeypatch.delattr("os.memfd_create")
    client_context(identity=MtlsAuth(CERT, KEY))


def test_paths_are_used_as_they_are(tmp_path: Path, folder: Path) -> None:
    """A path is only handed on."""
    with path_of(tmp_path / "k.pem") as path:
        assert path == str(tmp_path / "k.pem")


def encrypted() -> bytes:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(KEY, None)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"password"),
    )


@pytest.mark.parametrize(
    ("cert", "key"),
    [
        (CERT, CA.issue_cert("x@a.example").private_key_pem.bytes()),
        (CERT, b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
        (CERT, KEY[:100]),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", KEY),
        (CERT, encrypted()),
        ("/nowhere/cert.pem", "/nowhere/key.pem"),
    ],
    ids=["other key", "no key", "half a key", "no cert", "encrypted", "missing"],
)
def test_pairs_that_can_not_be_used(cert: str | bytes, key: str | bytes, folder: Path) -> None:
    """Said at once, without a question on the terminal, and without a line of the key."""
    with pytest.raises(RefusedInput, match="can't be used") as caught:
        client_context(identity=MtlsAuth(cert, key))
    assert SECRET_LINE not in everything_shown_by(caught.value)
