# SPDX-License-Identifier: Apache-2.0
"""Questions about a log that files alone answer: no log is asked, and none is believed.

Is this receipt in the log? Was this promise kept? Are two checkpoints of one history? The log's
public key comes from the caller. Size and root come from a signed checkpoint, the entry is computed
from the receipt: a file can't say anything about itself that would be taken for granted.
"""

from __future__ import annotations

from typing import Any

from tallystick.crypto.merkle import verify_consistency
from tallystick.crypto.note import VerifierKey
from tallystick.crypto.strict import parse_json
from tallystick.errors import LogFormatError, MalformedInput, NoteSignatureError
from tallystick.limits import RECEIPT_BYTES_MAX
from tallystick.model.checkpoint import SignedCheckpoint, open_checkpoint
from tallystick.model.log_entry import Entry, parse_entry, receipt_digest, receipt_id_hash
from tallystick.model.log_proof import LogProof, parse_consistency_proof, parse_log_proof
from tallystick.model.promise import SignedPromise, open_promise
from tallystick.model.sheet import Sheet, parse_sheet
from tallystick.verify.report import Findings, Report


class LogReport(Report, frozen=True, kw_only=True):
    """A report with the place in the log that it is about; None where that is not known."""

    origin: str
    index: int | None = None
    time_ms: int | None = None  # when the log says that it took the receipt
    size: int | None = None  # of the newest checkpoint that was looked at

    def to_dict(self) -> dict[str, Any]:
        """Return what `tally log verify --json` prints."""
        place = {"index": self.index, "time_ms": self.time_ms, "size": self.size}
        told = super().to_dict()
        return {"verdict": told["verdict"], "origin": self.origin, **place} | {
            name: told[name] for name in ("findings", "receipts", "unlisted")
        }


class _Inquiry:
    """One question on its way to a report: whom to trust, what was found, what is wrong."""

    def __init__(self, log_key: VerifierKey, sheet: bytes | None, receipts: int) -> None:
        self.findings = Findings()
        self.log_key = log_key
        self.receipts = receipts
        self.index: int | None = None
        self.time_ms: int | None = None
        self.size: int | None = None
        self.sheet: Sheet | None = None
        if sheet is not None:
            try:
                self.sheet = parse_sheet(sheet, log_key)
            except LogFormatError as fault:
                self.refuse(fault, "sheet")

    def refuse(self, fault: LogFormatError, where: str) -> None:
        """Note that a file is not what it should be."""
        is_signature = isinstance(fault, NoteSignatureError)
        self.findings.add("LOG_SIGNATURE" if is_signature else "LOG_MALFORMED", where, str(fault))

    def open_checkpoint(self, data: bytes, where: str) -> SignedCheckpoint | None:
        """Return the checkpoint of a note, and remember the largest size."""
        time_key = None if self.sheet is None else self.sheet.time_key
        try:
            signed = open_checkpoint(data, self.log_key, time_key)
        except LogFormatError as fault:
            self.refuse(fault, where)
            return None
        self.size = max(signed.size, self.size or 0)
        return signed

    def report(self) -> LogReport:
        """Return the report."""
        base = self.findings.report((), self.receipts)
        return LogReport(
            verdict=base.verdict,
            findings=base.findings,
            chains=(),
            receipts=self.receipts,
            unlisted=base.unlisted,
            decisive=base.decisive,
            origin=self.log_key.name,
            index=self.index,
            time_ms=self.time_ms,
            size=self.size,
        )


def verify_logged(
    receipt: bytes,
    log_key: VerifierKey,
    *,
    proof: bytes | None = None,
    promise: bytes | None = None,
    sheet: bytes | None = None,
    checkpoint: bytes | None = None,
) -> LogReport:
    """Return whether a receipt is in the log, and whether the promise for it was kept.

    `proof` is a `.tlog-proof` file, `promise` a promise file, which needs the `sheet`. Without a
    proof a `checkpoint` can still show that a promise was broken. The receipt's own signature is
    not looked at: a log takes receipts and judges none.
    """
    inquiry = _Inquiry(log_key, sheet, receipts=1)
    findings = inquiry.findings
    hashes = _read_receipt(receipt, findings)
    opened = None
    if promise is not None and inquiry.sheet is not None:
        opened = _open_promise(promise, inquiry.sheet, hashes, inquiry)
    elif promise is not None and sheet is None:
        findings.add("LOG_PROOF_MISSING", "sheet", "is needed to open a promise")
    if proof is not None:
        _judge_proof(proof, opened, hashes, inquiry)
    if checkpoint is not None:
        signed = inquiry.open_checkpoint(checkpoint, "checkpoint")
        if signed is not None and opened is not None:
            _judge_due(opened, signed, findings, is_shown=proof is not None)
    elif proof is None and opened is not None:
        findings.add("LOG_PROMISE_PENDING", "promise", "is sound; nothing shows that it was kept")
    if proof is None and promise is None:
        findings.add("LOG_PROOF_MISSING", "proof", "is needed to show that a receipt is in the log")
    return inquiry.report()


def verify_checkpoints(
    old: bytes,
    new: bytes,
    log_key: VerifierKey,
    *,
    proof: bytes | None = None,
    sheet: bytes | None = None,
) -> LogReport:
    """Return whether two checkpoints are of one history: the newer begins with the older.

    With the `sheet` their times are compared too: a log that shrank has gone back.
    """
    inquiry = _Inquiry(log_key, sheet, receipts=0)
    one = inquiry.open_checkpoint(old, "old")
    other = inquiry.open_checkpoint(new, "new")
    if one is not None and other is not None:
        _judge_history(one, other, proof, inquiry)
    return inquiry.report()


def _read_receipt(data: bytes, findings: Findings) -> tuple[bytes, bytes] | None:
    """Return digest and id hash of a receipt; what a collector would not take is a finding."""
    try:
        value = parse_json(data, RECEIPT_BYTES_MAX)
        digest = receipt_digest(value)
    except MalformedInput as fault:
        findings.add(fault.code, f"receipt{fault.where}", fault.message)
        return None
    if not isinstance(value, dict):
        findings.add("MALFORMED_NOT_OBJECT", "receipt", "is not a JSON object")
        return None
    receipt_id = value.get("id")
    if not isinstance(receipt_id, str):
        code = "FIELD_MISSING" if "id" not in value else "FIELD_TYPE"
        findings.add(code, "receipt/id", "is what the log hashes, and is no text here")
        return None
    return digest, receipt_id_hash(receipt_id)


def _open_promise(
    data: bytes, sheet: Sheet, hashes: tuple[bytes, bytes] | None, inquiry: _Inquiry
) -> SignedPromise | None:
    try:
        opened = open_promise(data, sheet)
    except LogFormatError as fault:
        inquiry.refuse(fault, "promise")
        return None
    if hashes is None:
        return None
    if not opened.holds(Entry(opened.promise.time_ms, *hashes).leaf_hash):
        inquiry.findings.add("LOG_PROMISE_MISMATCH", "promise", "was given for another receipt")
        return None
    inquiry.index, inquiry.time_ms = opened.index, opened.promise.time_ms
    return opened


def _judge_proof(
    data: bytes,
    promise: SignedPromise | None,
    hashes: tuple[bytes, bytes] | None,
    inquiry: _Inquiry,
) -> None:
    findings = inquiry.findings
    try:
        proof = parse_log_proof(data)
    except LogFormatError as fault:
        inquiry.refuse(fault, "proof")
        return
    signed = inquiry.open_checkpoint(proof.note, "proof")
    if signed is None:
        return
    stated = _stated_entry(proof, inquiry)
    if hashes is None:
        return
    own = None
    if promise is not None:
        own = Entry(promise.promise.time_ms, *hashes)
    elif stated is not None:
        own = Entry(stated.time_ms, *hashes)
    if own is None:
        if proof.extra is None:
            findings.add("LOG_ENTRY_MISSING", "proof", "has no entry, and there is no promise")
        return
    checkpoint = signed.checkpoint
    if promise is not None and promise.index != proof.index:
        findings.add(
            "LOG_NOT_INCLUDED", "proof", "is about another place than the promise",
            expected=promise.index, found=proof.index,
        )  # fmt: skip
    elif proof.includes(own.encode(), checkpoint):
        inquiry.index, inquiry.time_ms = proof.index, own.time_ms
    elif stated is not None and proof.includes(stated.encode(), checkpoint):
        message = "shows that another entry stands there"
        code = "LOG_ENTRY_MISMATCH" if promise is None else "LOG_PROMISE_BROKEN"
        findings.add(code, "proof", message, expected=f"index {proof.index}")
    elif stated is not None and stated != own:
        findings.add("LOG_ENTRY_MISMATCH", "proof", "names an entry of another receipt")
    else:
        findings.add(
            "LOG_NOT_INCLUDED", "proof", "does not lead to the root of its checkpoint",
            expected=f"index {proof.index} of {checkpoint.size}",
        )  # fmt: skip


def _stated_entry(proof: LogProof, inquiry: _Inquiry) -> Entry | None:
    """Return the entry that the proof's extra line states: nothing to believe, but to compare."""
    if proof.extra is None:
        return None
    try:
        return parse_entry(proof.extra)
    except LogFormatError as fault:
        inquiry.refuse(fault, "proof")
        return None


def _judge_due(
    promise: SignedPromise, checkpoint: SignedCheckpoint, findings: Findings, *, is_shown: bool
) -> None:
    """Say what a checkpoint alone shows about a promise."""
    stop, by_ms = promise.promise.stop, promise.promise.by_ms
    if checkpoint.size >= stop:
        if not is_shown:
            message = "covers the promised place; a proof for it would show what stands there"
            findings.add("LOG_PROOF_MISSING", "checkpoint", message)
    elif checkpoint.time_s is not None and 1000 * checkpoint.time_s >= by_ms:
        findings.add(
            "LOG_PROMISE_BROKEN", "checkpoint", "is too small for a promise that was due",
            expected=f"size {stop} by {by_ms} ms",
            found=f"size {checkpoint.size} at {checkpoint.time_s} s",
        )  # fmt: skip
    elif not is_shown:
        message = "does not cover the promised place, and does not have to"
        findings.add("LOG_PROMISE_PENDING", "checkpoint", message)


def _judge_history(
    one: SignedCheckpoint, other: SignedCheckpoint, proof: bytes | None, inquiry: _Inquiry
) -> None:
    findings = inquiry.findings
    if one.size > other.size:
        one, other = other, one
    has_times = one.time_s is not None and other.time_s is not None
    if one.size < other.size and has_times and (one.time_s or 0) > (other.time_s or 0):
        findings.add(
            "LOG_INCONSISTENT", "new", "the log shrank",
            expected=f"at least size {other.size} at {one.time_s} s", found=f"size {one.size}",
        )  # fmt: skip
        return
    if one.size == other.size:
        if one.root != other.root:
            message = f"two roots were signed for size {one.size}"
            findings.add("LOG_INCONSISTENT", "new", message)
        return
    if one.size == 0:
        return
    if proof is None:
        findings.add("LOG_PROOF_MISSING", "consistency", "is needed between two sizes")
        return
    try:
        answer = parse_consistency_proof(proof)
        path = answer.hashes()
    except LogFormatError as fault:
        inquiry.refuse(fault, "consistency")
        return
    if (answer.old_size, answer.new_size) != (one.size, other.size):
        message = "is about other sizes than the checkpoints"
        findings.add(
            "LOG_MALFORMED", "consistency", message,
            expected=f"{one.size} to {other.size}", found=f"{answer.old_size} to {answer.new_size}",
        )  # fmt: skip
    elif not verify_consistency(one.size, other.size, one.root, other.root, path):
        findings.add(
            "LOG_NOT_CONSISTENT", "consistency",
            f"does not show that size {other.size} begins with size {one.size}",
        )  # fmt: skip
