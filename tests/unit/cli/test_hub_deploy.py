# SPDX-License-Identifier: Apache-2.0
"""`tally hub deploy` and `advance`: usage; tests/sessions/hub.txt has the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.command import tally


def test_time_passes_by_itself_on_a_real_chain() -> None:
    """Only the embedded chain's time can be moved, and a duration has a unit."""
    answer = tally("hub", "advance", "1h", "--rpc", "http://127.0.0.1:1")
    assert answer.code == 2
    assert "by itself" in answer.err
    assert tally("hub", "advance", "60", "--rpc", "embedded", "--home", "chain").code == 2


def test_deploying_wants_a_signer() -> None:
    """It says how to give one."""
    answer = tally("hub", "deploy", "--rpc", "embedded", "--home", "chain")
    assert answer.code == 2
    assert "--signer" in answer.err


def test_deploying_says_which_chain_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node is not asked which; one that names another chain gets nothing that is signed."""
    answer = tally("hub", "deploy", "--rpc", "http://127.0.0.1:1", "--home", str(tmp_path))
    assert answer.code == 2
    assert "--chain-id" in answer.err
    node = ("--rpc", "embedded", "--home", str(tmp_path))
    for pin in (("--chain-id", "5"), ()):
        if not pin:
            monkeypatch.setenv("TALLY_EVM_CHAIN_ID", "5")
        answer = tally("hub", "show", *node, *pin)
        assert answer.code == 2
        assert "the embedded chain is on chain 131277322940537, and not on 5" in answer.err
