# SPDX-License-Identifier: Apache-2.0
"""Has receipts taken into a collector's log, and brings back what proves that.

All of a chain's receipts are delivered, in order, each against a promise; those that are there
already count. The proof of the last one speaks for all: each names the one before it. Nothing that
a collector says is believed: it is the log's word when it holds under a key from outside, and under
the sheet that this key has signed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from tallystick.crypto.note import VerifierKey
from tallystick.deliver.auth import BearerAuth, NoAuth
from tallystick.deliver.http import HttpEmitter, HttpEmitterConfig
from tallystick.deliver.promises import LogTrust, PromiseFolder, Promises
from tallystick.durable.file import FilePath
from tallystick.errors import EmitError, RefusedInput
from tallystick.limits import LOG_PROOF_PAUSE_MS, LOG_PROOF_WAIT_MS_MAX
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
    is_cancelled: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int], None] | None = None,
) -> Logged:
    """Deliver a chain's receipts, wait until the last is in the log, and return what shows it.

    Raises `EmitError`; a promise that was given and not kept then lies in the folder `keep`, where
    `tally log monitor --promises` reads it.
    """
    for line in lines:
        parse_receipt(line)  # all, before the first of them leaves; a run may have 45 000
    sheet = emitter._read_log("sheet")
    if sheet is None:
        raise EmitError(f"{emitter._shown}: this collector keeps no log", is_transient=True)
    try:
        trust = LogTrust(log_key.encode(), sheet)
    except RefusedInput as fault:
        raise EmitError(
            f"{emitter._shown}: its log is not of the key that was given: {fault}"
        ) from None
    body, delivered = b"", 0
    promises = Promises(trust, None, is_required=True, clock=emitter._clock)
    for count, line in enumerate(lines, 1):
        if is_cancelled():
            raise _stopped(emitter)
        body = _promised(emitter, promises, parse_receipt(line))
        delivered += len(line)
        if progress is not None:
            progress(count, delivered)
    try:
        promise = str(msgspec.json.decode(body)["promise"]).encode()
        proof = _awaited(emitter, parse_promise_file(promise).index, is_cancelled)
        report = verify_logged(lines[-1], log_key, proof=proof, promise=promise, sheet=sheet)
        if not report.verified:
            found = report.findings[0]
            raise EmitError(f"{emitter._shown}: {found.code} {found.where}: {found.message}")
    except EmitError:
        if keep is not None:
            PromiseFolder(keep, trust).keep(parse_receipt(lines[-1]).id, body)
        raise
    return Logged(sheet=sheet, promise=promise, proof=proof, report=report)


def _promised(emitter: HttpEmitter, promises: Promises, receipt: Receipt) -> bytes:
    """Deliver one receipt; return the answer, whose promise holds."""
    answer = emitter._deliver(receipt)
    fault = promises.fault(receipt, receipt.to_json(), answer.status, answer.body)
    if fault is not None:
        raise EmitError(f"{emitter._shown} answered {answer.status}, and {fault}")
    return answer.body


def _awaited(emitter: HttpEmitter, index: int, is_cancelled: Callable[[], bool]) -> bytes:
    """Return the proof of an entry once a checkpoint covers it."""
    until = emitter._monotonic() + LOG_PROOF_WAIT_MS_MAX / 1000
    while (proof := emitter._read_log(f"proof/{index}.tlog-proof")) is None:
        if emitter._monotonic() >= until:
            why = f"no proof of entry {index} after {LOG_PROOF_WAIT_MS_MAX // 1000} s"
            raise EmitError(f"{emitter._shown}: {why}", is_transient=True)
        if is_cancelled():
            raise _stopped(emitter)
        emitter._sleep(LOG_PROOF_PAUSE_MS / 1000)
    return proof


def _stopped(emitter: HttpEmitter) -> EmitError:
    return EmitError(f"{emitter._shown}: stopped before the proof came", is_transient=True)
