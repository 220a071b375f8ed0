# SPDX-License-Identifier: Apache-2.0
"""Drafting whatever is in the way, as the intake has it done."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.daemons import wait_until
from tests.frames import body
from tests.intakes import House, opened_house

from tallystick.daemon import endurance


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with opened_house(tmp_path) as house:
        yield house


def test_a_frame_that_meets_a_bug_harms_no_other(house: House) -> None:
    """It is refused as INTERNAL; all that came with it is stored and answered."""
    house.send(*(body(ack=True, session_id="bug" if at == 5 else f"s{at}") for at in range(10)))
    answers = house.answers()
    assert [at for at, one in enumerate(answers) if not one["ok"]] == [5]
    assert answers[5]["code"] == "INTERNAL"
    assert (house.tallies.faults, house.tallies.rejected) == (1, {"INTERNAL": 1})
    found = {one["issuer"].get("session_id") for one in house.home.receipts()}
    assert found - {None} == {f"s{at}" for at in range(10) if at != 5}
    assert not house.stopped


def test_a_signer_that_is_away_is_waited_for(house: House) -> None:
    """Nothing is refused for a key service that could not be asked just now."""
    house.stumbling.unavailable = 2
    house.send(body(ack=True, session_id="signer"))
    assert [one["ok"] for one in house.answers()] == [True]
    assert not house.stopped


def test_to_wait_for_a_signer_is_not_to_be_busy(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it takes, nothing runs that could hang."""
    monkeypatch.setattr(endurance, "SIGNER_PAUSE_MS_MAX", 64 * 60_000)
    house.stumbling.unavailable = 1
    house.submit(body(session_id="signer"))
    wait_until(lambda: house.intake.is_signer_away)
    time.sleep(0.05)
    assert house.intake.busy_ms == 0


def test_behind_a_signer_that_was_away_a_hang_is_one(house: House) -> None:
    """What is tried again is looked at like the first try."""
    holds = house.stumbling.holds = threading.Event()
    house.stumbling.held_in = "draft"
    house.stumbling.unavailable = 1
    house.submit(body(ack=True, session_id="signer"))
    wait_until(lambda: house.intake.busy_ms > 50, 10)
    holds.set()
    assert house.done.acquire(timeout=20)
    assert [one["ok"] for one in house.answers()] == [True]
