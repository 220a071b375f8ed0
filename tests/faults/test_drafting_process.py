# SPDX-License-Identifier: Apache-2.0
"""Scarce descriptors, clocks, signers and settings, and frames that another process states."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.frames import body
from tests.intakes import House, opened_house
from tests.ledgers import ISSUER
from tests.portions import TANGO, portion_of, usual_bodies
from tests.unit.daemon.test_draft_process import USUAL, running
from tests.unit.daemon.test_intake import send_in_a_crowd, stated_by_another

from tallystick.daemon.disclosing import parse_policy
from tallystick.daemon.drafter import Drafter
from tallystick.daemon.terms import Terms, draft_settings_of
from tallystick.daemon.turn import Turn
from tallystick.keys.forensic import generate_forensic_key_pair


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with opened_house(tmp_path) as made:
        stated_by_another(made)
        yield made


def by(house: House, terms: Terms) -> Drafter:
    """Let both of those who draft go by other terms."""
    drafter = house.ledger.drafting
    assert isinstance(drafter, Drafter)
    drafter.settings = draft_settings_of(terms)
    house.ahead.take(terms)
    return drafter


def with_no_descriptor_left(work: Callable[[], object]) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        work()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_no_descriptor_is_needed_to_ask() -> None:
    """None to wait for an answer, and none to see whether it has begun."""
    with running() as process:
        portion = portion_of(USUAL)
        process.ask(portion)
        with_no_descriptor_left(lambda: process.answer(portion))
    with running(begins=False) as process:
        with_no_descriptor_left(process.begin)


def test_no_descriptor_left_stops_no_daemon(house: House) -> None:
    """Each frame is answered, and the next are stored as well."""
    with_no_descriptor_left(lambda: send_in_a_crowd(house, usual_bodies(20, ack=True)))
    assert [one["ok"] for one in house.answers()] == [True] * 20
    assert house.stopped == []


@pytest.mark.parametrize("ahead", [False, True])
def test_new_patterns_hold_for_what_waits_for_a_signer(house: House, ahead: bool) -> None:
    """While the signer is away the settings change: what is signed afterwards keeps to them."""
    house.stumbling.unavailable = 6
    secrets = [body(ack=True, session_id="signer", error="tango 12")] * 20
    send = (lambda: send_in_a_crowd(house, secrets)) if ahead else (lambda: house.send(*secrets))
    sending = threading.Thread(target=send)
    sending.start()
    while not house.intake.is_signer_away:
        time.sleep(0.001)
    by(house, TANGO)
    sending.join(30)
    told = {one["id"] for one in house.answers()}
    subjects = [one["credentialSubject"] for one in house.home.receipts() if one["id"] in told]
    assert [one["outcome"]["error"] for one in subjects] == ["[redacted:tango]"] * 20


@pytest.mark.parametrize("is_crowd", [False, True])
def test_what_could_not_be_sealed_is_counted_whoever_states(house: House, is_crowd: bool) -> None:
    """A policy elects it, and it is no object: the status tells of each."""
    key = generate_forensic_key_pair().public_key
    terms = Terms(issuer_id=ISSUER, parameters=parse_policy("all"), forensic_key=key)
    disclosure = by(house, terms).settings.disclosure
    assert disclosure is not None
    stated_by_another(house)
    disclosure.missed.clear()
    many = usual_bodies(20, input=[1])
    if is_crowd:
        send_in_a_crowd(house, many)
    else:
        house.send(*many)
    assert dict(disclosure.missed) == {"no object": 20}


def test_where_the_clock_went_back_what_is_stated_fits(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is stated twice for as long as the clock is behind."""
    house.home.now_ms += 10
    house.send(body())  # read at once: nobody prepared it
    house.home.now_ms -= 3_600_000
    fits: list[bool] = []
    add = Turn.add_stated

    def noted(self: Turn, one: Any) -> Any:
        answer = add(self, one)
        fits.append(answer is not None)
        return answer

    monkeypatch.setattr(Turn, "add_stated", noted)
    send_in_a_crowd(house, usual_bodies(20))
    assert fits == [True] * 20
