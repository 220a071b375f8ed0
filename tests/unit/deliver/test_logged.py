# SPDX-License-Identifier: Apache-2.0
"""Receipts that are had in a log: delivered, promised, proven; or an error that says why not."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from tests.deliveries import receipts
from tests.honest_log import SHEET_NOTE, HonestLog
from tests.logs import LOG_KEY, WITNESS_KEY
from tests.misbehaving import Exchange, answer
from tests.promising import PromisingCollector

from tallystick.deliver import logged
from tallystick.deliver.http import HttpEmitter, HttpEmitterConfig, RetryConfig
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


def kept_in(folder: Path) -> dict[Path, bytes]:
    """Return what is kept, each with the promise in it; nothing for a proof."""
    return {
        one: json.loads(one.read_bytes())["promise"].encode() if one.suffix == ".json" else b""
        for one in folder.iterdir()
    }


def test_the_last_receipt_is_proven(collector: PromisingCollector) -> None:
    """All are delivered in order; what comes back proves the last, offline and a second time."""
    told: list[tuple[int, int]] = []
    shown = asked(collector, progress=lambda *what: told.append(what))
    assert list(collector.answers) == LINES
    assert told[-1] == (3, sum(map(len, LINES)))
    report = verify_logged(
        LINES[-1], KEY, proof=shown.proof, promise=shown.promise, sheet=shown.sheet
    )
    assert report.verified
    assert (report.index, shown.sheet) == (2, SHEET_NOTE)
    again = asked(collector)  # 409 for each, and the same promise
    assert (again.proof, again.promise) == (shown.proof, shown.promise)
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
    """After a minute it is given up; the answers that promised lie where a monitor looks."""
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
    kept = kept_in(tmp_path / "promises")
    assert set(kept.values()) == {collector.log.promise(index) for index in range(3)}
    assert {name.suffix for name in kept} == {".json"}


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
    assert len(kept_in(tmp_path / "promises")) == 3


def test_each_promise_is_held_against_the_log(
    collector: PromisingCollector, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A log that has the last receipt, and another entry than it promised where an earlier one
    should be: the promise is evidence, and stays.
    """
    lying = HonestLog()
    lying.place(0, 1)
    lying.add(b"another")
    honest = collector.log

    def prove(index: int, note: bytes, size: int) -> bytes:
        if index != 1:
            return honest.proof(index, note, size)
        return lying.proof(1, lying.sign(time.time_ns() // 10**6), 2)

    monkeypatch.setattr(collector, "_prove", lambda exchange, index: answer(
        200, body=prove(index, *collector.signed or (b"", 0)))(exchange))  # fmt: skip
    with pytest.raises(EmitError, match="does not show that entry 1 is what it pro") as caught:
        asked(collector, keep=tmp_path / "promises")
    assert not caught.value.is_transient
    with pytest.raises(EmitError, match="entry 1"):
        asked(collector)  # also where nothing is kept
    left = {name: what for name, what in kept_in(tmp_path / "promises").items() if what}
    assert list(left.values()) == [collector.log.promise(1)]


def test_proofs_take_the_place_of_promises(collector: PromisingCollector, tmp_path: Path) -> None:
    """Each receipt's inclusion can be shown by itself later; what is asked again stays so."""
    for _ in range(2):
        asked(collector, keep=tmp_path / "promises")
        kept = {one.name: one.read_bytes() for one in (tmp_path / "promises").iterdir()}
        assert len(kept) == 3
        for index, line in enumerate(LINES):
            name = sha256(json.loads(line)["id"].encode()).hexdigest() + ".tlog-proof"
            report = verify_logged(line, KEY, proof=kept[name])
            assert (report.verified, report.index) == (True, index)


def test_what_was_promised_before_it_broke_off_is_kept(
    collector: PromisingCollector, tmp_path: Path
) -> None:
    """A collector that goes away in the middle has given its word on the receipts before."""
    collector.spoil = lambda told: told.pop("promise") if len(collector.answers) == 3 else None
    with pytest.raises(EmitError, match="gives no promise"):
        asked(collector, keep=tmp_path / "promises")
    kept = kept_in(tmp_path / "promises")
    assert set(kept.values()) == {collector.log.promise(index) for index in range(2)}


def test_an_earlier_receipt_may_come_later(collector: PromisingCollector) -> None:
    """Where the last was in the log already, the proofs of those before it are waited for."""
    asked(collector, lines=LINES[2:])
    collector.signs_at_once = False
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        collector.sign()

    with HttpEmitter(HttpEmitterConfig(collector.url), sleep=sleep) as emitter:
        assert log_receipts(emitter, KEY, LINES).report.index == 0
    assert len(pauses) == 1


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return time.monotonic() + self.now


@pytest.mark.parametrize("at", [0, 1, 3])
def test_all_of_it_has_an_end(collector: PromisingCollector, tmp_path: Path, at: int) -> None:
    """However each request does: before a receipt leaves, and while proofs are waited for."""
    clock = Clock()

    def progress(count: int, _size: int) -> None:
        clock.now += 600.0 if count == at else 0.0

    with HttpEmitter(HttpEmitterConfig(collector.url), monotonic=clock) as emitter:
        with pytest.raises(EmitError, match="no time is left") as caught:
            log_receipts(
                emitter, KEY, LINES, keep=tmp_path / "p", within_ms=60_000 * bool(at),
                progress=progress,
            )  # fmt: skip
        assert caught.value.is_transient
        assert len(collector.answers) == len(kept_in(tmp_path / "p")) == at
        assert log_receipts(emitter, KEY, LINES, keep=tmp_path / "p").report.verified


def test_more_receipts_may_take_longer(
    collector: PromisingCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default the time is that of a run and of each receipt, so that long ones end, too."""
    monkeypatch.setattr(logged, "LOGGED_RUN_MS_MAX", 0)
    monkeypatch.setattr(logged, "LOGGED_RECEIPT_MS_MAX", 10_000)
    clock = Clock()

    def progress(_count: int, _size: int) -> None:
        clock.now += 4.0  # five times until the last proof: between two receipts' and three

    with HttpEmitter(HttpEmitterConfig(collector.url), monotonic=clock) as emitter:
        assert log_receipts(emitter, KEY, LINES, progress=progress).report.verified
        with pytest.raises(EmitError, match="no time is left"):
            log_receipts(emitter, KEY, LINES[:1], progress=lambda *_: setattr(clock, "now", 1e6))


class Busy(PromisingCollector):
    """A collector that has no time for receipts."""

    def respond(self, exchange: Exchange) -> bool:
        """Answer 503, but for what is read."""
        is_read = exchange.request.head.startswith(b"GET ")
        return super().respond(exchange) if is_read else answer(503)(exchange)


def test_one_delivery_ends_with_all() -> None:
    """A collector that is busy is not asked again behind the end of all of it."""
    clock = Clock()
    with Busy(lambda: time.time_ns() // 10**6) as busy:
        config = HttpEmitterConfig(busy.url, retry=RetryConfig(base_delay_ms=10_000))
        with (
            HttpEmitter(
                config, monotonic=clock, sleep=lambda _s: pytest.fail("slept"), chance=lambda: 1.0
            ) as emitter,
            pytest.raises(EmitError, match=r"1 attempt: .* behind the deadline") as caught,
        ):
            log_receipts(emitter, KEY, LINES, within_ms=9_000)
    assert caught.value.is_transient


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
