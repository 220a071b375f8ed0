# SPDX-License-Identifier: Apache-2.0
"""`tally hub deploy` and `advance`: usage; tests/sessions/hub.txt has the rest."""

from __future__ import annotations

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
