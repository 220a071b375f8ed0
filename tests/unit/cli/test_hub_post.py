# SPDX-License-Identifier: Apache-2.0
"""`tally hub post`: what can't be posted is told before a chain is asked."""

from __future__ import annotations

from pathlib import Path

from tests.command import tally


def test_the_sources_own_contracts() -> None:
    """They are shown, and asked nothing."""
    answer = tally("hub", "show", "--network", "sepolia")
    assert answer.code == 0
    assert "0xD66A1e880AA3939CA066a9EA1dD37ad3d01D977c" in answer.out
    assert "0x9afe1fc5" in answer.out


def test_bundles_that_are_none() -> None:
    """Absent: 3; rubbish: 1."""
    assert tally("hub", "post", "absent.tally", "--rpc", "embedded").code == 3
    Path("rubbish.tally").write_bytes(b"x" * 2000)
    assert tally("hub", "post", "rubbish.tally", "--rpc", "embedded").code == 1


def test_identifiers_are_checked_first() -> None:
    """A post's id that is none is a usage error, without a chain."""
    for verb in ("show", "finalize"):
        answer = tally("hub", verb, "0x12", "--rpc", "http://127.0.0.1:1")
        assert answer.code == 2
        assert "64 hexadecimal digits" in answer.err
