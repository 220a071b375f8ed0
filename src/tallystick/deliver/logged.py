# SPDX-License-Identifier: Apache-2.0
"""Has receipts taken into a collector's log, and brings back what proves that.

All of a chain's receipts are delivered, in order, each against a promise; those that are there
already count. Then each promise is held against the log. To whoever has the chain, the proof of
the last receipt speaks for all: each names the one before it. Nothing that a collector says is
believed: it is the log's word when it holds under a key from outside, and under the sheet that this
key has signed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from tallystick.crypto.multibase import b64_decode
from tallystick.crypto.note import VerifierKey
from tallystick.deliver.auth import BearerAuth, NoAuth
from tallystick.deliver.http import HttpEmitter, HttpEmitterConfig
from tallystick.deliver.promises import LogTrust, Promises
from tallystick.durable.file import FilePath
from tallystick.errors import EmitError, RefusedInput
from tallystick.limits import (
    LOG_PROOF_PAUSE_MS,
    LOG_PROOF_WAIT_MS_MAX,
    LOGGED_RECEIPT_MS_MAX,
    LOGGED_RUN_MS_MAX,
)
from tallystick.model.promise import parse_promise_file
from tallystick.model.reader import parse_receipt
from tallystick.model.receipt import Receipt
from tallystick.verify.log import LogReport, verify_logged


class Logged(msgspec.Struct, frozen=True, kw_only=True):
    """What a log gave out about a receipt, as files, and what they show."""

    sheet: bytes
    promise: bytes
    proof: bytes
    report: LogReport


def collector_at(url: str, token: str | None) -> HttpEmitter:
    """Return what delivers to a collector; nothing is opened yet."""
    return HttpEmitter(HttpEmitterConfig(url, auth=BearerAuth(token) if token else NoAuth()))


def log_receipts(
    emitter: HttpEmitter,
    log_key: VerifierKey,
    lines: Sequence[bytes],
    *,
    keep: FilePath | None = None,
    within_ms: int | None = None,
    is_cancelled: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int], None] | None = None,
) -> Logged:
    """Deliver a chain's receipts, wait until all are in the log, and return what shows the last.

    Raises `EmitError`, also when `within_ms` have passed: without it, what so many receipts may
    take. In the folder `keep` each promise lies until a proof replaces it; one that was not kept
    stays there, where `tally log monitor --promises` reads it.
    """
    for line in lines:
        parse_receipt(line)  # all, before the first of them leaves; a run may have 45 000
    if within_ms is None:
        within_ms = LOGGED_RUN_MS_MAX + len(lines) * LOGGED_RECEIPT_MS_MAX
    until = emitter._monotonic() + within_ms / 1000
    trust = _trust(emitter, log_key)
    task = _Task(
        emitter, Promises(trust, keep, is_required=True, clock=emitter._clock), until, is_cancelled
    )
    tell = progress or (lambda _count, _size: None)
    places: list[_Place] = []
    answer, size = b"", 0
    for count, line in enumerate(lines, 1):
        answer = task.promised(parse_receipt(line))
        places.append(_place_in(answer))
        size += len(line)
        tell(count, size // 2)  # the other half are the proofs
    promise = str(msgspec.json.decode(answer)["promise"]).encode()
    proof = task.awaited(places[-1].index)
    report = verify_logged(lines[-1], log_key, proof=proof, promise=promise, sheet=trust.sheet)
    if not report.verified:
        found = report.findings[0]
        raise EmitError(f"{emitter._shown}: {found.code} {found.where}: {found.message}")
    task.settle(parse_receipt(lines[-1]), places[-1], proof)
    proven = size
    for place, line in zip(places[:-1], lines[:-1], strict=True):
        task.settle(parse_receipt(line), place, task.awaited(place.index))
        proven += len(line)
        tell(len(lines), proven // 2)
    tell(len(lines), size)
    return Logged(sheet=trust.sheet, promise=promise, proof=proof, report=report)


class _Place(msgspec.Struct, frozen=True):
    """What was promised: which entry, and where in the log."""

    index: int
    entry: bytes


class _Task:
    """One chain on its way into a log, until it is stopped or its time is over."""

    def __init__(
        self,
        emitter: HttpEmitter,
        promises: Promises,
        until: float,
        is_cancelled: Callable[[], bool],
    ) -> None:
        self._emitter = emitter
        self._promises = promises
        self._until = until
        self._is_cancelled = is_cancelled

    def promised(self, receipt: Receipt) -> bytes:
        """Deliver one receipt; return the answer, whose promise holds."""
        self._go_on()
        sent_ns = self._emitter._clock()
        answer = self._emitter._deliver(receipt, by=self._until)
        sent = receipt.to_json()
        doubt = self._promises.doubt(receipt, sent, answer.status, answer.body, sent_ns)
        if doubt is not None:
            raise EmitError(f"{self._emitter._shown} answered {answer.status}, and {doubt.text}")
        return answer.body

    def awaited(self, index: int) -> bytes:
        """Return the proof of an entry once a checkpoint covers it."""
        until = self._emitter._monotonic() + LOG_PROOF_WAIT_MS_MAX / 1000
        self._go_on()
        while (proof := self._emitter._read_log(f"proof/{index}.tlog-proof")) is None:
            if self._emitter._monotonic() >= until:
                why = f"no proof of entry {index} after {LOG_PROOF_WAIT_MS_MAX // 1000} s"
                raise EmitError(f"{self._emitter._shown}: {why}", is_transient=True)
            self._go_on()
            self._emitter._sleep(LOG_PROOF_PAUSE_MS / 1000)
        return proof

    def settle(self, receipt: Receipt, place: _Place, proof: bytes) -> None:
        """Hold the log to one promise; the proof takes its place where it was kept."""
        if not self._promises.settled(receipt, place.index, place.entry, proof):
            why = f"its log does not show that entry {place.index} is what it promised"
            raise EmitError(f"{self._emitter._shown}: {why}")

    def _go_on(self) -> None:
        why = "stopped before the proof came" if self._is_cancelled() else ""
        if self._emitter._monotonic() >= self._until:
            why = "no time is left for the receipts and their proofs"
        if why:
            raise EmitError(f"{self._emitter._shown}: {why}", is_transient=True)


def _trust(emitter: HttpEmitter, log_key: VerifierKey) -> LogTrust:
    """Return the log that a collector keeps, which must be of the key that was given."""
    sheet = emitter._read_log("sheet")
    if sheet is None:
        raise EmitError(f"{emitter._shown}: this collector keeps no log", is_transient=True)
    try:
        return LogTrust(log_key.encode(), sheet)
    except RefusedInput as fault:
        raise EmitError(
            f"{emitter._shown}: its log is not of the key that was given: {fault}"
        ) from None


def _place_in(answer: bytes) -> _Place:
    """Return what an answer promises, which was checked already."""
    told = msgspec.json.decode(answer)
    index = parse_promise_file(str(told["promise"]).encode()).index
    return _Place(index, b64_decode(told["entry"]))
