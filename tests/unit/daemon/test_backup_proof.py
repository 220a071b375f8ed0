# SPDX-License-Identifier: Apache-2.0
"""The proof of a copy is what `tally export --proof` writes of the same store."""

from __future__ import annotations

from pathlib import Path

from tests.command import tally
from tests.ledgers import DAY_MS
from tests.material import chain_of, lines
from tests.stored import fill

from tallystick.daemon.backup_proof import proof_of
from tallystick.daemon.publishing import archived
from tallystick.store.imported import keep_chain


def test_it_is_the_proof_of_an_export(tmp_path: Path) -> None:
    """To the byte: with chains that are open, imported ones, hand-overs and earlier keys."""
    home = fill(tmp_path / "home")
    home.now_ms += DAY_MS
    ledger = home.open()
    ledger.rotate()
    ledger.commit([home.frame(agent_id="b"), home.frame()])
    path, _ = keep_chain(str(home.db), "run-1", lines(chain_of(3, chain_id="run-1")).splitlines())
    proof = proof_of(home.db, [path], archived(home.public))
    assert proof is not None
    out, told = tmp_path / "out", tmp_path / "proof"
    answer = tally(
        "export", "--store", str(home.db), "--out", str(out), "--proof", str(told),
        "--key", str(home.public),
    )  # fmt: skip
    assert answer.code == 0
    assert proof.encoded() == told.read_bytes()
    assert not all(one.closed for one in proof.chains)
    assert {one.stored for one in proof.chains} == {True, False}
    assert proof.keys
    ledger.close()


def test_what_was_imported_may_be_anything(tmp_path: Path) -> None:
    """Lines that are no receipts count as lines, and make no chain."""
    home = fill(tmp_path / "home")
    odd = tmp_path / "odd.jsonl"
    odd.write_bytes(b'{}\nno json\n{"credentialSubject":{"chain":{}}}\n\xff\n')
    proof = proof_of(home.db, [odd], [])
    assert proof is not None
    assert (proof.receipts, len(proof.chains)) == (8 + 4, 2)


def test_what_is_no_ledger_has_none(tmp_path: Path) -> None:
    """Whoever verifies it says why."""
    (tmp_path / "x").write_bytes(b"SQLite format 3\0")
    assert proof_of(tmp_path / "x", [], []) is None
