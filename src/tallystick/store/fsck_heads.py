# SPDX-License-Identifier: Apache-2.0
"""The part of fsck that looks at what was signed, and the report that all parts write."""

from __future__ import annotations

from tallystick.crypto.note import VerifierKey, parse_note
from tallystick.errors import RefusedInput
from tallystick.limits import FSCK_FAULTS_MAX
from tallystick.model.checkpoint import open_checkpoint, parse_checkpoint
from tallystick.store.fsck_rows import CheckpointRow, typed_rows
from tallystick.store.sql import Access


class TooManyFaults(Exception):
    """Enough was found: the rest would be the same."""


class StoreReport:
    """The faults, up to a bound, and how much was recomputed."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.entries = 0
        self.checkpoints = 0

    def expect(self, is_true: bool, fault: str) -> None:
        """Note a fault unless it is as it should be."""
        if not is_true:
            self.faults.append(fault)
            if len(self.faults) >= FSCK_FAULTS_MAX:
                raise TooManyFaults


def check_repeats(access: Access, found: StoreReport) -> None:
    """No tenant has one receipt at two places."""
    for (first,) in access.rows(
        "SELECT min(idx) FROM entry GROUP BY tenant, digest HAVING count(*) > 1 LIMIT 100"
    ):
        found.expect(is_true=False, fault=f"entry {first}: its receipt is stored again")


def check_checkpoints(
    access: Access, found: StoreReport, keys: tuple[VerifierKey, VerifierKey] | None
) -> None:
    """Checkpoints only go forward, and each note speaks of its own."""
    number = time_s = size = 0
    origins: set[str] = set()
    while rows := typed_rows(
        access,
        "checkpoint",
        CheckpointRow,
        "SELECT c.number, c.time_s, c.size, h.root, c.note FROM checkpoint c "
        "LEFT JOIN head h ON h.size = c.size WHERE c.number > ? ORDER BY c.number LIMIT 1000",
        (number,),
    ):
        for one, one_s, one_size, root, note in rows:
            name = f"checkpoint {one}"
            found.expect(one == number + 1, f"{name}: the one before it is {number}")
            found.expect(one_s >= time_s and one_size >= size, f"{name}: goes back")
            found.expect(root is not None, f"{name}: has no head")
            if note is not None and root is not None:
                fault = _note_fault(note, one_s, (one_size, root), keys=keys, origins=origins)
                found.expect(not fault, f"{name}: {fault}")
            number, time_s, size = one, one_s, one_size
            found.checkpoints += 1
    (count,) = access.rows("SELECT count(*) FROM checkpoint")[0]
    found.expect(
        count == found.checkpoints, f"checkpoint: {count} rows, {found.checkpoints} are numbered"
    )
    (waiting,) = access.rows(
        "SELECT count(*) FROM checkpoint WHERE note IS NULL AND number < ?", (number,)
    )[0]
    found.expect(waiting == 0, f"checkpoint: {waiting} without a note, not only the last")
    found.expect(len(origins) <= 1, "checkpoint: notes of more than one origin")


def _note_fault(
    note: bytes,
    time_s: int,
    head: tuple[int, bytes],
    *,
    keys: tuple[VerifierKey, VerifierKey] | None,
    origins: set[str],
) -> str:
    """Return what is wrong with a released note, or nothing."""
    try:
        text, _ = parse_note(note)
        said = parse_checkpoint(text)
        if keys is not None:
            signed = open_checkpoint(note, *keys)
            if signed.time_s != time_s:
                return "its note is signed for another time"
    except RefusedInput as fault:
        return f"its note is not one: {fault}"
    origins.add(said.origin)
    return "" if (said.size, said.root) == head else "its note speaks of another head"
