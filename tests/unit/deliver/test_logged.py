# SPDX-License-Identifier: Apache-2.0
"""Receipts that are had in a log: delivered, promised, proven; or an error that says why not."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.deliveries import receipts
from tests.honest_log import SHEET_NOTE, HonestLog
from tests.logs import LOG_KEY, WITNESS_KEY
from tests.promising import PromisingCollector

from tallystick.deliver.http import HttpEmitter, HttpEmitterConfig
from tallystick.deliver.logged import collector_at, log_receipts
from tallystick.errors import EmitError, RefusedInput
from tallystick.limits import LOG_PROOF_WAIT_MS_MAX
from tallystick.verify.log import verify_logged

KEY = LOG_KEY.verifier
LINES = [one.to_json() for one in receipts(3)]


@pytest.fixture
def collector() -> Iterator[PromisingCollector]:
    """Return a collector with a log, which signs a checkpoint after each receipt."""
    with PromisingCollector(lambda: time.time_ns() // 10**6) as running:
        running.signs_at_once = True
        yield running


def asked(collector: PromisingCollector, **how: Any) -> Any:
    """Have the receipts logged."""
    with collector_at(collector.url, None) as emitter:
        return log_receipts(emitter, how.pop("key", KEY), how.pop("lines", LINES), **how)


def test_the_last_receipt_is_proven(collector: PromisingCollector) -> None:
    """All are delivered in order; what comes back proves the last, offline and a second time."""
    told: list[tuple[int, int]] = []
    logged = asked(collector, progress=lambda *what: told.append(what))
    assert list(collector.answers) == LINES
    assert told[-1] == (3, sum(map(len, LINES)))
    report = verify_logged(
        LINES[-1], KEY, proof=logged.proof, promise=logged.promise, sheet=logged.sheet
    )
    assert report.verified
    assert (report.index, logged.sheet) == (2, SHEET_NOTE)
    again = asked(collector)  # 409 for each, and the same promise
    assert (again.proof, again.promise) == (logged.proof, logged.promise)
    assert len(collector.log.entries) == 3


def test_a_token_goes_with_each_request(collector: PromisingCollector) -> None:
    """And into no message."""
    with collector_at(collector.url, "s3cret") as emitter:
        log_receipts(emitter, KEY, LINES)
        assert "s3cret" not in repr(emitter)
    assert all(b"Authorization: Bearer s3cret\r\n" in one.head for one in collector.requests)


def test_it_waits_for_a_checkpoint(collector: PromisingCollector) -> None:
    """The proof comes when the log has signed; asked for with pauses, and not for ever."""
    collector.signs_at_once = False
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            collector.sign()

    with HttpEmitter(HttpEmitterConfig(collector.url), sleep=sleep) as emitter:
        assert log_receipts(emitter, KEY, LINES).report.verified
    assert len(pauses) == 3


def test_a_promise_that_is_not_kept_is_evidence(
    collector: PromisingCollector, tmp_path: Path
) -> None:
    """After a minute it is given up; the answer that promised lies where a monitor looks."""
    collector.signs_at_once = False
    passed = [0.0]

    def sleep(seconds: float) -> None:
        passed[0] += seconds + 10

    emitter = HttpEmitter(
        HttpEmitterConfig(collector.url, timeout_ms=60_000, deadline_ms=60_000),
        sleep=sleep,
        monotonic=lambda: time.monotonic() + passed[0],
    )
    with emitter, pytest.raises(EmitError, match="no proof of entry 2 after") as caught:
        log_receipts(emitter, KEY, LINES, keep=tmp_path / "promises")
    assert caught.value.is_transient
    assert passed[0] >= LOG_PROOF_WAIT_MS_MAX / 1000
    (kept,) = (tmp_path / "promises").iterdir()
    assert json.loads(kept.read_bytes())["promise"].encode() == collector.log.promise(2)


def test_another_log_is_refused(collector: PromisingCollector) -> None:
    """A sheet of another key, and a collector without a log; nothing was delivered to either."""
    with pytest.raises(EmitError, match="not of the key") as caught:
        asked(collector, key=WITNESS_KEY.verifier)
    assert not caught.value.is_transient
    collector.sheet = None
    with pytest.raises(EmitError, match="keeps no log"):
        asked(collector)
    assert not collector.answers


def test_what_is_no_promise_is_refused(collector: PromisingCollector) -> None:
    """A collector that gives none, and one that promises something else."""
    collector.spoil = lambda told: told.pop("promise")
    with pytest.raises(EmitError, match="gives no promise"):
        asked(collector)
    collector.spoil = lambda told: told.update(promise=collector.log.promise(0).decode()[:-9])
    with pytest.raises(EmitError, match="gives a promise that is none"):
        asked(collector)


def test_a_log_that_shows_something_else(
    collector: PromisingCollector, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A proof that does not lead to what was promised is told as what it is, and kept."""
    other = HonestLog()
    other.place(0, 5)
    proof = other.proof(2, other.sign(time.time_ns() // 10**6), 5)
    monkeypatch.setattr(collector.log, "proof", lambda *what: proof)
    with pytest.raises(EmitError, match="LOG_PROMISE_BROKEN proof: ") as caught:
        asked(collector, keep=tmp_path / "promises")
    assert not caught.value.is_transient
    assert len(list((tmp_path / "promises").iterdir())) == 1


def test_it_stops_where_it_is_told_to(collector: PromisingCollector) -> None:
    """Before a receipt leaves, and while the proof is waited for."""
    with pytest.raises(EmitError, match="stopped before") as caught:
        asked(collector, is_cancelled=lambda: True)
    assert caught.value.is_transient
    assert not collector.answers
    collector.signs_at_once = False
    with pytest.raises(EmitError, match="stopped before"):
        asked(collector, is_cancelled=lambda: len(collector.answers) == 3)


def test_nothing_leaves_where_one_is_no_receipt(collector: PromisingCollector) -> None:
    """All are read before the first is sent."""
    with pytest.raises(RefusedInput):
        asked(collector, lines=[*LINES, b"{}"])
    assert not collector.requests
