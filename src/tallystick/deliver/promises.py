# SPDX-License-Identifier: Apache-2.0
"""Checks the promise in a collector's answer at birth, and keeps it until a proof replaces it.

A collector that gives promises answers 201, and 409 for what it has already, with the receipt's
`entry` and with its `promise`: its signed word that this entry will be in its log. A promise counts
when it is about exactly what was sent, signed by the key that the log's sheet names, due within the
sheet's delay, and taken at a time that our own clock confirms: an entry that is dated back is
refused while there is still somebody who knows better.

Kept promises are the answers themselves, one file each, in a folder that stands beside the
write-ahead log: `tally log monitor --promises` reads it. They are written without fsync. What a
power cut takes can be had again: a collector answers the same receipt with the same promise.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import sha256
from typing import Any, Final

import msgspec

from tallystick.crypto.nesting import is_shallow
from tallystick.durable.file import FilePath, make_directory, read_bounded, shown, write_replace
from tallystick.errors import (
    DurableError,
    LimitError,
    LogFormatError,
    MalformedInput,
    RefusedInput,
    UnreadableError,
)
from tallystick.limits import ANSWER_BODY_BYTES_MAX, EMIT_WAIT_MS_MAX, LOG_PROOF_BYTES_MAX
from tallystick.model.receipt import Receipt

_KEPT: Final = ".json"
_PROOF: Final = ".tlog-proof"


class LogTrust(msgspec.Struct, frozen=True):
    """Which log a collector's promises are of: its public key, and its sheet as it was published.

    `tolerance_ms` is how far the collector's clock may be from ours.
    """

    vkey: str
    sheet: bytes
    tolerance_ms: int = 60_000

    def __post_init__(self) -> None:
        self.opened()
        if not 0 <= self.tolerance_ms <= EMIT_WAIT_MS_MAX:
            raise RefusedInput(f"tolerance_ms must be between 0 and {EMIT_WAIT_MS_MAX}")

    def opened(self) -> tuple[Any, Any]:
        """Return the log key and the sheet that it signed, or raise `RefusedInput`."""
        from tallystick.crypto.note import VerifierKey  # only who asks for promises pays for it
        from tallystick.model.sheet import parse_sheet

        key = VerifierKey.parse(self.vkey.strip())
        return key, parse_sheet(self.sheet, key)


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the promises that were kept."""

    proven: int
    waiting: int
    # Files whose proof shows something else than was promised: evidence, and left as they are.
    broken: tuple[str, ...] = ()
    # Files that hold no promise any more: a power cut may leave one empty.
    spoiled: tuple[str, ...] = ()


class Doubt(msgspec.Struct, frozen=True):
    """Why an answer does not count as delivery, and whether it never will."""

    text: str
    is_final: bool = False


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    entry: str
    promise: str


class PromiseFolder:
    """Keeps answers with their promises, and the proofs that replace them. Safe from threads."""

    def __init__(self, path: FilePath, trust: LogTrust) -> None:
        """Take the folder, which is made when it is not there."""
        self._path = os.fspath(path)
        self._log_key, self._sheet = trust.opened()
        make_directory(path, 0o700)

    def keep(self, receipt_id: str, body: bytes) -> None:
        """Keep the answer that held the promise; the same receipt's is replaced."""
        write_replace(self._file(_name(receipt_id) + _KEPT), body, 0o600, fsync=lambda _: None)

    def waiting(self) -> Iterator[str]:
        """Yield the names of kept answers that no proof has replaced, in no order."""
        for name in os.listdir(self._path):
            if name.endswith(_KEPT) and not name.startswith("."):
                yield name

    def prove(self, receipt_id: str, proof: bytes) -> None:
        """Replace what was kept for a receipt by the proof, which the caller has checked."""
        if os.path.lexists(self._file(_name(receipt_id) + _KEPT)):
            self._replace(_name(receipt_id) + _KEPT, proof)

    def settle(self, fetch: Callable[[int], bytes | None]) -> Settled:
        """Replace promises by proofs. `fetch` gives the `.tlog-proof` of an index, or None."""
        proven = waiting = 0
        broken, spoiled = [], []
        for name in list(self.waiting()):
            try:
                body = read_bounded(self._file(name), ANSWER_BODY_BYTES_MAX)
                promise, entry = promise_in(body, self._sheet)
            except (LogFormatError, LimitError, UnreadableError):
                if os.path.lexists(self._file(name)):  # or another process has settled it
                    spoiled.append(self._file(name))
                continue
            proof = fetch(promise.index)
            if proof is None:
                waiting += 1
            elif _proves(proof, promise.index, entry, self._log_key, self._sheet):
                self._replace(name, proof)
                proven += 1
            else:
                broken.append(self._file(name))
        return Settled(proven=proven, waiting=waiting, broken=tuple(broken), spoiled=tuple(spoiled))

    def _replace(self, name: str, proof: bytes) -> None:
        # Stable before the promise goes: until then that is the only evidence.
        write_replace(self._file(name.removesuffix(_KEPT) + _PROOF), proof, 0o600)
        with suppress(FileNotFoundError):  # another process settles, too
            os.unlink(self._file(name))

    def _file(self, name: str) -> str:
        return os.path.join(self._path, name)

    def __repr__(self) -> str:
        return f"PromiseFolder({shown(self._path)!r})"


class Promises:
    """What an emitter asks of each answer: whether it counts, and to keep what it promises."""

    def __init__(
        self,
        trust: LogTrust,
        folder: FilePath | None,
        *,
        is_required: bool,
        clock: Callable[[], int],
    ) -> None:
        self._trust = trust
        self._is_required = is_required
        self._clock = clock
        self._log_key, self._sheet = trust.opened()
        self._folder = None if folder is None else PromiseFolder(folder, trust)

    @property
    def folder(self) -> PromiseFolder | None:
        """Where promises are kept, if anywhere."""
        return self._folder

    def doubt(
        self, receipt: Receipt, sent: bytes, status: int, body: bytes, sent_ns: int
    ) -> Doubt | None:
        """Say why an answer does not count as delivery, or keep its promise and return None.

        `sent_ns` is when the receipt was sent, by our clock: an answer may be read much later, by
        one who was frozen meanwhile.
        """
        if not _has_promise(body):
            return Doubt("gives no promise, and one is required") if self._is_required else None
        try:
            promise, entry = promise_in(body, self._sheet)
        except LogFormatError as error:
            return Doubt(f"gives a promise that is none: {error}")
        said = promise.promise.time_ms
        doubt = self._unlike(receipt, sent, entry) or self._untimely(receipt, said, status, sent_ns)
        if doubt is None and self._folder is not None:
            try:
                self._folder.keep(receipt.id, body)
            except DurableError as error:
                return Doubt(f"gives a promise that could not be kept: {error}")
        return doubt

    def settled(self, receipt: Receipt, index: int, entry: bytes, proof: bytes) -> bool:
        """Whether a proof shows what was promised; then it replaces the promise that was kept."""
        if not _proves(proof, index, entry, self._log_key, self._sheet):
            return False
        if self._folder is not None:
            self._folder.prove(receipt.id, proof)
        return True

    def _unlike(self, receipt: Receipt, sent: bytes, data: bytes) -> Doubt | None:
        """Compare the entry with what was sent, which is the RFC 8785 form of the receipt."""
        from tallystick.model.log_entry import parse_entry, receipt_id_hash

        entry = parse_entry(data)
        if entry.digest == sha256(sent).digest() and entry.id_hash == receipt_id_hash(receipt.id):
            return None
        return Doubt("promises another receipt than was sent")

    def _untimely(self, receipt: Receipt, said: int, status: int, sent_ns: int) -> Doubt | None:
        """Hold the log's time against our clock: a new entry was taken since it was sent.

        An old one was taken since the receipt was issued. Where it says less than that, it always
        will: the log's clock or ours was wrong then, and nobody finds out whose.
        """
        slack, now = self._trust.tolerance_ms, self._clock() // 10**6
        is_new = status == 201
        since = sent_ns // 10**6 if is_new else _issued_ms(receipt)
        is_early = said < min(now, since) - slack
        if not is_early and said <= now + slack:
            return None
        what = "it was sent" if is_new else "the receipt was issued"
        return Doubt(
            f"promises an entry of {said} ms, where our clock says {now} ms, and {since} ms when "
            f"{what}",
            is_final=is_early and not is_new,
        )


def _proves(data: bytes, index: int, entry: bytes, log_key: Any, sheet: Any) -> bool:
    """Whether a `.tlog-proof` shows that an entry stands at its index, under the log's key."""
    from tallystick.model.checkpoint import open_checkpoint
    from tallystick.model.log_proof import parse_log_proof

    if len(data) > LOG_PROOF_BYTES_MAX:
        return False
    try:
        proof = parse_log_proof(data)
        signed = open_checkpoint(proof.note, log_key, sheet.time_key)
    except LogFormatError:
        return False
    return proof.index == index and proof.includes(entry, signed.checkpoint)


def promise_in(body: bytes, sheet: Any) -> tuple[Any, bytes]:
    """Return the promise in a collector's answer, checked against the entry beside it."""
    from tallystick.crypto.merkle import leaf_hash
    from tallystick.crypto.multibase import b64_decode
    from tallystick.crypto.strict import parse_json
    from tallystick.errors import EncodingError
    from tallystick.model.log_entry import parse_entry
    from tallystick.model.promise import open_promise

    try:
        answer = msgspec.convert(parse_json(body, ANSWER_BODY_BYTES_MAX), _Answer)
        data = b64_decode(answer.entry)
    except (MalformedInput, msgspec.ValidationError, EncodingError) as fault:
        raise LogFormatError(f"not the answer of a collector: {fault}") from None
    promise = open_promise(answer.promise.encode(), sheet)
    entry = parse_entry(data)
    if entry.time_ms != promise.promise.time_ms or not promise.holds(leaf_hash(data)):
        raise LogFormatError("promise of another entry")
    return promise, data


def _issued_ms(receipt: Receipt) -> int:
    """Return when a receipt says that it was issued, or 0 where it says nothing readable."""
    from tallystick.model.shapes import instant_ns

    try:
        since_1970 = instant_ns(receipt.issuanceDate) - instant_ns("1970-01-01T00:00:00Z")
    except (ValueError, TypeError, IndexError):
        return 0
    return max(0, since_1970 // 10**6)


def _has_promise(body: bytes) -> bool:
    """Whether an answer has a promise at all: others are of collectors that give none."""
    if not is_shallow(body):
        return False
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return False
    return isinstance(answer, dict) and bool(answer.get("promise"))


def _name(receipt_id: str) -> str:
    """Return a file's name for an id that may hold anything."""
    return sha256(receipt_id.encode("utf-8", "surrogatepass")).hexdigest()
