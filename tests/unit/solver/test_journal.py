# SPDX-License-Identifier: Apache-2.0
"""A run's receipts: one chain, which a later process goes on with."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from tests import material
from tests.solving import NOW, intent, policy, receipts_of, solver

from tallystick.chain.payload import payload_hash
from tallystick.errors import RunError
from tallystick.model.decision import evaluate
from tallystick.solver.journal import RunJournal
from tallystick.solver.workspace import RECEIPTS
from tallystick.verify.verification import verify_chain

_RUN = "ab" * 32


def _journal(folder: Path, count: int = 0) -> RunJournal:
    """Return the journal of one process after `count` others: ids never repeat."""
    (folder / f"s{count}").mkdir()
    numbers = iter(range(1000 * count + 1, 1000 * count + 1000))
    made = msgspec.structs.replace(
        solver(folder / f"s{count}"), ids=lambda: material.uuid(next(numbers))
    )
    return RunJournal(made, intent(), _RUN, str(folder))


def test_a_decision_is_a_receipt(tmp_path: Path) -> None:
    """It names intent and run by their hash, and holds the hash of the whole decision."""
    journal = _journal(tmp_path)
    decision = evaluate(intent(), policy(), NOW)
    journal.decided(intent(), decision)
    journal.close("complete")
    receipts = receipts_of(tmp_path)
    subject = receipts[0]["credentialSubject"]
    assert subject["action"]["type"] == "dev.tallystick.intent.decide"
    on = {"intentHash": intent().intent_hash, "runId": _RUN}
    assert subject["action"]["parameters_hash"] == payload_hash(on)
    assert subject["outcome"]["response_hash"] == payload_hash(decision.to_dict())
    assert subject["outcome"]["status"] == "success"
    assert subject["principal"]["id"] == intent().requester
    assert receipts[0]["issuer"]["session_id"] == _RUN
    assert journal.binding() == {
        "chainId": f"run_{_RUN}",
        "length": 2,
        "headHash": journal.chain.head.hash,
    }


@pytest.mark.parametrize("torn", [b"", b'{"@context":["https://www.w3.org/ns'])
def test_a_chain_goes_on_behind_its_last_receipt(tmp_path: Path, torn: bytes) -> None:
    """Also where a crash tore the next one off: that one was never acknowledged."""
    first = _journal(tmp_path)
    first.decided(intent(), evaluate(intent(), policy(), NOW))
    with open(tmp_path / RECEIPTS, "ab") as file:
        file.write(torn)
    second = _journal(tmp_path, 1)
    second.close("interrupted")
    receipts = receipts_of(tmp_path)
    assert [one["credentialSubject"]["chain"]["sequence"] for one in receipts] == [1, 2]
    assert receipts[-1]["credentialSubject"]["chain"]["status"] == "interrupted"
    report = verify_chain((tmp_path / RECEIPTS).read_bytes(), material.PUBLIC)
    assert report.verdict == "verified", report


def test_a_closed_chain_is_not_closed_again(tmp_path: Path) -> None:
    """Who finishes a run whose chain has its end adds nothing."""
    _journal(tmp_path).close("complete")
    again = _journal(tmp_path, 1)
    again.close("interrupted")
    assert len(receipts_of(tmp_path)) == 1
    assert again.binding()["length"] == 1


def test_a_foreign_line_is_told(tmp_path: Path) -> None:
    """A whole line that is no receipt is no crash: nothing is signed behind it."""
    _journal(tmp_path).decided(intent(), evaluate(intent(), policy(), NOW))
    with open(tmp_path / RECEIPTS, "ab") as file:
        file.write(b"{}\n")
    with pytest.raises(RunError, match="no receipt"):
        _journal(tmp_path, 1)


def test_receipts_are_their_owners(tmp_path: Path) -> None:
    """The file can be read by nobody else."""
    _journal(tmp_path).close("complete")
    assert os.stat(tmp_path / RECEIPTS).st_mode & 0o077 == 0
