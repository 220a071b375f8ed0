# SPDX-License-Identifier: Apache-2.0
"""What files of a log show. Most cases are vectors: `tests/vectors/test_log_vectors.py`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.honest_log import SHEET_NOTE, HonestLog
from tests.logs import LOG_KEY, ORIGIN, lookup

from tallystick.crypto.merkle import consistency
from tallystick.crypto.multibase import b64_encode
from tallystick.crypto.note import sign_note
from tallystick.model.log_entry import receipt_digest, receipt_id_hash
from tallystick.model.log_proof import LogProof
from tallystick.verify.log import LogReport, verify_checkpoints, verify_logged
from tallystick.verify.report import VerificationError

LOG = LOG_KEY.verifier
START_MS = 1_700_000_000_000
RECEIPT = {"id": "urn:receipt:1", "proof": {"proofValue": "u"}}
BYTES = json.dumps(RECEIPT).encode()


def logged() -> tuple[HonestLog, bytes]:
    """Return a log of 6 entries with the receipt at 3, and its checkpoint."""
    log = HonestLog()
    log.place(START_MS, 3)
    log.place_receipt(START_MS, receipt_digest(RECEIPT), receipt_id_hash("urn:receipt:1"))
    log.place(START_MS, 2)
    return log, log.sign(START_MS)


def test_a_report_names_the_place() -> None:
    """Origin, index, time and size, also as a dict; it is a report like any other."""
    log, note = logged()
    report = verify_logged(
        BYTES, LOG, proof=log.proof(3, note, 6), promise=log.promise(3), sheet=SHEET_NOTE
    )
    assert isinstance(report, LogReport)
    assert report.ensure() is report
    assert (report.origin, report.index, report.time_ms, report.size) == (ORIGIN, 3, START_MS, 6)
    assert report.to_dict() == {
        "verdict": "verified",
        "origin": ORIGIN,
        "index": 3,
        "time_ms": START_MS,
        "size": 6,
        "findings": [],
        "receipts": 1,
        "unlisted": 0,
    }
    with pytest.raises(VerificationError, match="LOG_PROOF_MISSING"):
        verify_logged(BYTES, LOG).ensure()


def test_every_place_of_a_promise() -> None:
    """A promise is kept by any later checkpoint, and by no proof of another entry."""
    log, note = logged()
    for index in range(6):
        report = verify_logged(
            BYTES, LOG, proof=log.proof(index, note, 6), promise=log.promise(3), sheet=SHEET_NOTE
        )
        assert report.verified is (index == 3)


def test_receipts_that_no_collector_takes() -> None:
    """A receipt that is no strict JSON object with an id is a finding, and nothing is raised."""
    log, note = logged()
    for data in (b"", b"[]", b"{}", b'{"id":1}', b'{"id":"a"} x', b"\xff", b'{"id":1e400}'):
        report = verify_logged(data, LOG, proof=log.proof(3, note, 6))
        assert str(report.verdict) == "refused", data


def test_a_promise_is_of_one_place() -> None:
    """The same entry elsewhere in the tree doesn't keep it."""
    log, _ = logged()
    log.add(log.entries[3])
    note = log.sign(START_MS)
    promised = {"promise": log.promise(3), "sheet": SHEET_NOTE}
    assert verify_logged(BYTES, LOG, proof=log.proof(6, note, 7)).index == 6
    report = verify_logged(BYTES, LOG, proof=log.proof(6, note, 7), **promised)
    assert report.codes() == ["LOG_NOT_INCLUDED"]
    assert report.index == 3  # as promised


def test_a_proof_need_not_state_its_entry() -> None:
    """A promise says when it was; a path that leads elsewhere is then all that is wrong."""
    log, note = logged()
    promised = {"promise": log.promise(3), "sheet": SHEET_NOTE}
    bare = LogProof(index=3, path=log.path(3, 6), note=note)
    assert verify_logged(BYTES, LOG, proof=bare.encode(), **promised).verified
    wrong = LogProof(index=3, path=log.path(2, 6), note=note)
    report = verify_logged(BYTES, LOG, proof=wrong.encode(), **promised)
    assert report.codes() == ["LOG_NOT_INCLUDED"]


@pytest.mark.parametrize(
    ("sizes", "codes"),
    [
        (((4, 10), (6, 20)), []),
        (((4, 10), (6, 10)), []),
        (((6, 20), (4, 10)), []),
        (((6, 20), (6, 10)), []),
        (((6, 10), (4, 20)), ["LOG_INCONSISTENT"]),
        (((4, None), (6, 10)), []),
        (((4, 10), (6, None)), []),
    ],
)
def test_a_log_that_grows_has_not_shrunk(
    sizes: tuple[tuple[int, int | None], ...], codes: list[str]
) -> None:
    """Only where the smaller one is the later one, by times that both of them have."""
    log, _ = logged()
    notes = [
        sign_note(log.text(size), [LOG_KEY]) if time_s is None else log.sign_size(size, time_s)
        for size, time_s in sizes
    ]
    path = [b64_encode(one) for one in consistency(lookup(log.leaves), 4, 6)]
    answer = json.dumps({"from": 4, "to": 6, "path": path}).encode()
    report = verify_checkpoints(notes[0], notes[1], LOG, proof=answer, sheet=SHEET_NOTE)
    assert report.codes() == codes


@given(st.data())
def test_nothing_is_raised(data: st.DataObject) -> None:
    """Whatever the files hold, there is a report, and only the true ones verify."""
    log, note = logged()
    path = [b64_encode(one) for one in consistency(lookup(log.leaves), 4, 6)]
    true: dict[str, bytes] = {
        "proof": log.proof(3, note, 6),
        "promise": log.promise(3),
        "sheet": SHEET_NOTE,
        "checkpoint": note,
    }
    files: dict[str, Any] = dict(true)
    name = data.draw(st.sampled_from(sorted(files)))
    files[name] = data.draw(
        st.none() | st.binary(max_size=50) | st.sampled_from(sorted(true.values()))
    )
    report = verify_logged(data.draw(st.sampled_from([BYTES, b"", b"{}"])), LOG, **files)
    if report.verified:
        assert report.index == 3
    answer = json.dumps({"from": 4, "to": 6, "path": path}).encode()
    wrong = data.draw(st.binary(max_size=50) | st.sampled_from([answer, answer[1:], note]))
    notes = [data.draw(st.sampled_from([note, SHEET_NOTE, b"", log.sign_size(4, 9)]))]
    compared = verify_checkpoints(notes[0], note, LOG, proof=wrong, sheet=files["sheet"])
    if compared.verified:
        assert notes[0] == note or wrong == answer
