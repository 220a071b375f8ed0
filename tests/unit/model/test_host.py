# SPDX-License-Identifier: Apache-2.0
"""Which hosts are this machine."""

from __future__ import annotations

import pytest

from tallystick.model.host import is_loopback


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
