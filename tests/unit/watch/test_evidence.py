# SPDX-License-Identifier: Apache-2.0
"""Evidence counts only where the judge calls it proven: an honest log is never accused."""

from __future__ import annotations

import pytest
from tests import logs
from tests.served_log import KEYS, SHEET, VKEY, ServedLog

from tallystick.errors import UnreadableError
from tallystick.verify.fraud import judge
from tallystick.watch.evidence import Prosecutor, served_beginning, served_leaf
from tallystick.watch.served import ServedTree
from tallystick.watch.spoken import Spoken, heard
from tallystick.watch.watched import promise_in_answer

PROSECUTOR = Prosecutor(KEYS.sheet, VKEY)


def said(log: ServedLog) -> Spoken:
    """Return what a log says now."""
    return heard(log.release(), VKEY, SHEET)


def test_an_honest_log_is_not_accused() -> None:
    """Whatever is made of the parts of an honest log, no evidence comes of it."""
    log = ServedLog().fill(5)
    old = said(log)
    answers = log.passes(1).take("a", "b")
    new = said(log)
    promise, other = (promise_in_answer(one, SHEET) for one in answers)
    root, path = served_beginning(5, new, log)
    leaf, leaf_path = served_leaf(5, new, ServedTree(log, 7))
    entries = [(5, log.entries[5])]
    assert PROSECUTOR.contradiction("fork/same-size", old, new) is None
    assert PROSECUTOR.contradiction("fork/same-size", new, new) is None
    assert PROSECUTOR.contradiction("rollback", old, new) is None
    assert PROSECUTOR.contradiction("rollback", new, old) is None
    assert PROSECUTOR.other_beginning(old, new, root, path) is None
    assert PROSECUTOR.other_beginning(old, new, bytes(32), path) is None
    assert PROSECUTOR.broken_position(promise.file, promise.leaf, new, (5, leaf, leaf_path)) is None
    assert PROSECUTOR.broken_position(promise.file, leaf[::-1], new, (5, leaf, leaf_path)) is None
    assert PROSECUTOR.overdue(promise.file, old) is None
    assert PROSECUTOR.overdue(promise.file, new) is None
    assert PROSECUTOR.double_promise((promise.file, leaf), (other.file, other.leaf)) is None
    for kind in ("backdated", "postdated", "disorder"):
        for notes in ([new], [old, new]):
            assert PROSECUTOR.wrong_times(kind, notes, entries, [leaf_path]) is None


def test_evidence_stands_alone() -> None:
    """The file names its kind, holds the sheet, and convinces with the log's key alone."""
    log = ServedLog().fill(5)
    old = said(log)
    log.entries[2] = log.entry("another")
    fraud = PROSECUTOR.contradiction("fork/same-size", old, said(log))
    assert fraud is not None
    assert judge(fraud.evidence, VKEY).is_proven
    assert not judge(fraud.evidence, logs.PROMISE_KEY.verifier).is_proven
    assert fraud.kind == judge(fraud.evidence, VKEY).kind


def test_tiles_that_lead_nowhere_are_no_evidence() -> None:
    """What does not lead to the signed root is an error before it is an accusation."""
    log = ServedLog().fill(5)
    spoken = said(log)
    log.entries[2] = log.entry("another")
    with pytest.raises(UnreadableError, match="do not lead"):
        served_beginning(3, spoken, log)
    with pytest.raises(UnreadableError, match="do not lead"):
        served_leaf(1, spoken, ServedTree(log, 5))
