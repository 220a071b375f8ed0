# SPDX-License-Identifier: Apache-2.0
"""Which hosts are this machine, and which addresses are open to all."""

from __future__ import annotations

import pytest

from tallystick.model.host import is_loopback, is_open_http


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.255.0.9", "::1"])
def test_what_is_this_machine_for_sure(host: str) -> None:
    """All of 127.0.0.0/8 and ::1, and the one name."""
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "128.0.0.1", "10.0.0.1", "example", "localhost.", "localhost.example", "::2",
     "127.1", "0177.0.0.1", "2130706433", ""],
)  # fmt: skip
def test_what_is_not_surely_this_machine_is_another(host: str) -> None:
    """Names that might be anything, and spellings that not all programs read alike."""
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("url", "is_open"),
    [
        ("http://example", True),
        (" HTTP://10.0.0.1:1/x", True),
        ("http://localhost@127.0.0.1", True),
        ("http://example\\@127.0.0.1", True),
        ("http://", True),
        ("http://127.0.0.1:8200", False),
        ("http://[::1]", False),
        ("https://example", False),
        ("example", False),
    ],
)
def test_plain_http_is_open_beyond_this_machine(url: str, is_open: bool) -> None:
    """Also where its host can be read in two ways."""
    assert is_open_http(url) == is_open
