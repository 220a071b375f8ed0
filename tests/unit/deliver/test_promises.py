# SPDX-License-Identifier: Apache-2.0
"""Promises in a collector's answers: checked at birth, kept, and replaced by proofs."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from tests.deliveries import receipts
from tests.honest_log import SHEET_NOTE
from tests.logs import LOG_KEY, ORIGIN
from tests.misbehaving import answer
from tests.promising import TRUST, PromisingCollector

from tallystick.crypto.multibase import b64_encode
from tallystick.deliver.file_wal import FileWal
from tallystick.deliver.http import HttpEmitter, HttpEmitterConfig
from tallystick.deliver.promises import LogTrust, PromiseFolder
from tallystick.deliver.wal import WalEmitter
from tallystick.errors import EmitError, RefusedInput, SettingError
from tallystick.limits import ANSWER_BODY_BYTES_MAX
from tallystick.model.log_proof import parse_log_proof
from tallystick.verify.log import verify_logged


class Clock:
    """A clock that stands where it is put; the collector's may be elsewhere."""

    def __init__(self) -> None:
        self.now_ms = time.time_ns() // 10**6
        self.collector_ahead_ms = 0

    def __call__(self) -> int:
        """Return nanoseconds since 1970."""
        return self.now_ms * 10**6

    def collectors(self) -> int:
        """Return what the collector thinks that it is, in milliseconds."""
        return self.now_ms + self.collector_ahead_ms


@pytest.fixture
def clock() -> Clock:
    """Return the clock of both."""
    return Clock()


@pytest.fixture
def collector(clock: Clock) -> Iterator[PromisingCollector]:
    """Return a collector that gives promises."""
    with PromisingCollector(clock.collectors) as running:
        yield running


@pytest.fixture
def emitter(collector: PromisingCollector, clock: Clock, tmp_path: Path) -> Iterator[HttpEmitter]:
    """Return an emitter that requires promises, and keeps them."""
    with emitter_of(collector, clock, tmp_path / "promises") as made:
        yield made


def emitter_of(collector: PromisingCollector, clock: Clock, folder: Path | None) -> HttpEmitter:
    """Return an emitter that requires promises."""
    config = HttpEmitterConfig(collector.url, log=TRUST, promises=folder, require_promise=True)
    return HttpEmitter(config, clock=clock)


def test_a_good_promise_is_kept(
    emitter: HttpEmitter, collector: PromisingCollector, tmp_path: Path
) -> None:
    """The answer that held it lies in the folder, byte for byte, for its owner alone."""
    (receipt,) = receipts(1)
    emitter.emit(receipt)
    (kept,) = (tmp_path / "promises").iterdir()
    assert kept.name == sha256(receipt.id.encode()).hexdigest() + ".json"
    assert json.loads(kept.read_bytes())["promise"].encode() == collector.log.promise(0)
    assert kept.stat().st_mode & 0o777 == 0o600
    emitter.emit(receipt)  # 409, with the same promise
    assert list((tmp_path / "promises").iterdir()) == [kept]


def put(name: str, value: object) -> Callable[[dict[str, Any]], object]:
    """Return what changes one member of an answer."""
    return lambda told: told.update({name: value})


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda told: told.pop("promise"), "gives no promise"),
        (put("promise", ""), "gives no promise"),
        (lambda told: told.pop("entry"), "none"),
        (put("promise", 5), "none"),
        (put("promise", "promise"), "none"),
        (put("entry", "AB=="), "none"),
        (put("entry", b64_encode(bytes(87))), "none"),
        (lambda told: told.update(promise=told["promise"].replace("index 0", "index 1")), "none"),
        (lambda told: told.update(promise=told["promise"].replace("range 0", "range 00")), "none"),
    ],
)
def test_what_is_no_promise_is_no_delivery(
    emitter: HttpEmitter,
    collector: PromisingCollector,
    tmp_path: Path,
    spoil: Callable[[dict[str, Any]], object],
    why: str,
) -> None:
    """A 201 whose promise does not hold does not count; a person has to look at the collector."""
    collector.spoil = spoil
    with pytest.raises(EmitError, match=why) as caught:
        emitter.emit(receipts(1)[0])
    assert (caught.value.status, caught.value.is_transient) == (201, True)
    assert not list((tmp_path / "promises").iterdir())
    assert len(collector.requests) == 1


def test_a_promise_for_another_receipt(emitter: HttpEmitter, collector: PromisingCollector) -> None:
    """A sound promise for something else than was sent is no promise for this."""
    one, other = receipts(2)
    emitter.emit(one)
    first = json.loads(next(Path(emitter_folder(emitter)).iterdir()).read_bytes())
    collector.spoil = lambda told: told.update(first)
    with pytest.raises(EmitError, match="another receipt"):
        emitter.emit(other)


def emitter_folder(emitter: HttpEmitter) -> str:
    """Return the folder that an emitter keeps promises in."""
    folder = emitter._config.promises
    assert folder is not None
    return os.fspath(folder)


@pytest.mark.parametrize("ahead_ms", [-61_000, 61_000])
def test_a_clock_that_is_not_ours(
    emitter: HttpEmitter, collector: PromisingCollector, clock: Clock, ahead_ms: int
) -> None:
    """A new entry that is dated back, or forward, is refused while somebody knows better."""
    clock.collector_ahead_ms = ahead_ms
    with pytest.raises(EmitError, match="our clock"):
        emitter.emit(receipts(1)[0])


@pytest.mark.parametrize("ahead_ms", [-59_000, 59_000])
def test_a_clock_that_is_near_enough(emitter: HttpEmitter, clock: Clock, ahead_ms: int) -> None:
    """Clocks differ a little."""
    clock.collector_ahead_ms = ahead_ms
    emitter.emit(receipts(1)[0])


def test_a_stored_promise_may_be_old(
    emitter: HttpEmitter, collector: PromisingCollector, clock: Clock
) -> None:
    """A 409 gives the promise of then: not before the receipt was issued, and not after now."""
    (receipt,) = receipts(1)
    emitter.emit(receipt)
    clock.now_ms += 10 * 86_400_000
    emitter.emit(receipt)
    assert [seen.body for seen in collector.requests] == [receipt.to_json()] * 2
    other = receipts(2)[1]
    early = PromisingCollector(lambda: 1_000_000_000_000)
    with early, emitter_of(early, clock, None) as impatient:
        for _ in range(2):  # refused as new, and still when it is stored: it is older than itself
            with pytest.raises(EmitError, match="our clock"):
                impatient.emit(other)


def test_an_answer_that_is_read_late(
    emitter: HttpEmitter, collector: PromisingCollector, clock: Clock, tmp_path: Path
) -> None:
    """Frozen between request and answer, it takes a promise for what it is: of when it was sent."""

    def freeze(_told: dict[str, Any]) -> None:
        clock.now_ms += 3_600_000

    collector.spoil = freeze
    emitter.emit(receipts(1)[0])
    assert len(list((tmp_path / "promises").iterdir())) == 1


@pytest.mark.parametrize("minutes", [1, 61])
def test_a_clock_that_was_wrong_holds_up_nobody(
    emitter: HttpEmitter,
    collector: PromisingCollector,
    clock: Clock,
    tmp_path: Path,
    minutes: int,
) -> None:
    """Issued and stored under a clock an hour ahead, a receipt becomes a dead letter, in words.

    Of it the log says for ever that it was there before it was issued. All others go on, once the
    clock is put right: soon, or when what was issued ahead is past.
    """
    one, other = receipts(2)
    issued_ms = round(datetime.fromisoformat(one.issuanceDate).timestamp() * 1000)
    clock.now_ms, clock.collector_ahead_ms = issued_ms, -3_600_000
    with FileWal(tmp_path / "wal") as wal:
        delivery = WalEmitter(inner=emitter, wal=wal)
        with pytest.raises(EmitError, match="our clock") as caught:
            delivery.emit(one)
        assert caught.value.is_transient
        clock.now_ms, clock.collector_ahead_ms = issued_ms + (2 * minutes - 60) * 60_000, 0
        delivery.emit(other)
        assert len(wal) == 0
        (dead,) = wal.dead_letters()
        assert dead.receipt_id == one.id
        assert "when the receipt was issued" in dead.reason
    assert len(collector.log.entries) == 2


def test_collectors_without_promises(clock: Clock, tmp_path: Path) -> None:
    """A 201 or 409 without a promise is fine, unless one is required."""
    with PromisingCollector(clock.collectors) as collector:
        config = HttpEmitterConfig(collector.url, log=TRUST, promises=tmp_path / "promises")
        for behaviour in (answer(201), answer(409), answer(201, body=b""), answer(201, body=b"[]")):
            collector.then(behaviour)
            with HttpEmitter(config, clock=clock) as emitter:
                emitter.emit(receipts(1)[0])
            with (
                emitter_of(collector, clock, tmp_path / "promises") as strict,
                pytest.raises(EmitError, match="gives no promise"),
            ):
                strict.emit(receipts(1)[0])
        assert not list((tmp_path / "promises").iterdir())
        collector.then(collector.respond)
        collector.spoil = put("promise", "wrong")
        with (
            HttpEmitter(config, clock=clock) as emitter,
            pytest.raises(EmitError, match="promise that is none"),
        ):
            emitter.emit(receipts(1)[0])


def test_what_is_not_promised_stays_in_the_wal(
    emitter: HttpEmitter, collector: PromisingCollector, tmp_path: Path
) -> None:
    """Behind a write-ahead log, a receipt waits until somebody promises to keep it."""
    one, other = receipts(2)
    with FileWal(tmp_path / "wal") as wal:
        delivery = WalEmitter(inner=emitter, wal=wal)
        collector.spoil = lambda told: told.pop("promise")
        with pytest.raises(EmitError, match="kept"):
            delivery.emit(one)
        assert len(wal) == 1
        collector.spoil = lambda told: None
        delivery.emit(other)
        assert len(wal) == 0
    assert len(list((tmp_path / "promises").iterdir())) == 2
    assert len(collector.log.entries) == 2


# ---- until a proof replaces it


def test_proofs_replace_promises(
    emitter: HttpEmitter, collector: PromisingCollector, tmp_path: Path
) -> None:
    """Promises wait for a checkpoint; then each gives way to its proof, which convinces anyone."""
    for receipt in receipts(3):
        emitter.emit(receipt)
    assert (emitter.settle_promises().waiting, len(collector.log.leaves)) == (3, 3)
    collector.sign()
    settled = emitter.settle_promises()
    assert (settled.proven, settled.waiting, settled.broken) == (3, 0, ())
    for receipt in receipts(3):
        name = sha256(receipt.id.encode()).hexdigest()
        proof = (tmp_path / "promises" / f"{name}.tlog-proof").read_bytes()
        assert verify_logged(receipt.to_json(), LOG_KEY.verifier, proof=proof).verified
    assert len(list((tmp_path / "promises").iterdir())) == 3
    assert emitter.settle_promises().proven == 0


def test_a_broken_promise_stays(
    emitter: HttpEmitter, collector: PromisingCollector, tmp_path: Path
) -> None:
    """A proof of something else replaces nothing: the promise is evidence, and is named."""
    for receipt in receipts(2):
        emitter.emit(receipt)
    collector.log.entries[0], collector.log.leaves[0] = (
        collector.log.entries[1],
        collector.log.leaves[1],
    )
    collector.sign()
    settled = emitter.settle_promises()
    assert (settled.proven, len(settled.broken)) == (1, 1)
    name = sha256(receipts(1)[0].id.encode()).hexdigest()
    assert settled.broken == (str(tmp_path / "promises" / f"{name}.json"),)
    assert Path(settled.broken[0]).exists()


def test_what_a_power_cut_left_stops_no_other(
    emitter: HttpEmitter, collector: PromisingCollector, tmp_path: Path
) -> None:
    """A file that is empty, torn or too large is named; sent again, the receipt has it anew."""
    folder = tmp_path / "promises"
    for receipt in receipts(4):
        emitter.emit(receipt)
    names = [sha256(receipt.id.encode()).hexdigest() + ".json" for receipt in receipts(4)]
    whole = (folder / names[1]).read_bytes()
    for name, left in zip(
        names, (b"", whole[:-9], b" " * (ANSWER_BODY_BYTES_MAX + 1)), strict=False
    ):
        (folder / name).write_bytes(left)
    collector.sign()
    settled = emitter.settle_promises()
    assert (settled.proven, settled.waiting, settled.broken) == (1, 0, ())
    assert sorted(settled.spoiled) == sorted(str(folder / name) for name in names[:3])
    emitter.emit(receipts(1)[0])
    settled = emitter.settle_promises()
    assert (settled.proven, len(settled.spoiled)) == (1, 2)


def test_two_may_settle_at_once(
    emitter: HttpEmitter, collector: PromisingCollector, tmp_path: Path
) -> None:
    """What another process has settled meanwhile is no fault."""
    for receipt in receipts(3):
        emitter.emit(receipt)
    collector.sign()
    ours, theirs = (PromiseFolder(tmp_path / "promises", TRUST) for _ in range(2))

    def fetch(index: int) -> bytes:
        theirs.settle(emitter._fetch_proof)
        return emitter._fetch_proof(index) or b""

    settled = ours.settle(fetch)
    assert (settled.proven, settled.broken, settled.spoiled) == (1, (), ())
    assert len(list((tmp_path / "promises").glob("*.tlog-proof"))) == 3


def test_what_is_no_proof_replaces_nothing(
    emitter: HttpEmitter, collector: PromisingCollector
) -> None:
    """Nor do files that the log did not sign, or that are none; other answers are errors."""
    emitter.emit(receipts(1)[0])
    collector.sign()
    proof = parse_log_proof(collector.log.proof(0, *(collector.signed or (b"", 0))))
    for body in (b"", b"x" * 200_000, proof.encode()[:-1], proof.encode().replace(b"x 0", b"x 1")):
        folder = PromiseFolder(emitter_folder(emitter), TRUST)
        assert len(folder.settle({0: body}.get).broken) == 1
    collector.then(answer(503))
    with pytest.raises(EmitError, match="503"):
        emitter.settle_promises()
    collector.then(lambda exchange: False)
    with pytest.raises(EmitError):
        emitter.settle_promises()


# ---- settings


def test_settings_that_make_no_sense(tmp_path: Path) -> None:
    """Promises can be checked only of a log that is known."""
    for wrong in ({"require_promise": True}, {"promises": tmp_path}, {"log": "log.vkey"}):
        with pytest.raises(RefusedInput):
            HttpEmitterConfig("http://127.0.0.1:1", **wrong)
    with pytest.raises(RefusedInput):
        LogTrust(LOG_KEY.verifier.encode(), SHEET_NOTE.replace(b"5000", b"6000"))
    with pytest.raises(RefusedInput):
        LogTrust("log.vkey", SHEET_NOTE)
    with pytest.raises(RefusedInput):
        LogTrust(LOG_KEY.verifier.encode(), SHEET_NOTE, tolerance_ms=-1)
    assert LogTrust(f"{LOG_KEY.verifier.encode()}\n", SHEET_NOTE).opened()[1].origin == ORIGIN
    with (
        HttpEmitter(HttpEmitterConfig("http://127.0.0.1:1", log=TRUST)) as emitter,
        pytest.raises(SettingError),
    ):
        emitter.settle_promises()
