# SPDX-License-Identifier: Apache-2.0
"""`tally show --receipt`: one receipt with all that it says."""

from __future__ import annotations

from pathlib import Path

from tests.command import tally
from tests.ledgers import Home
from tests.stored import AGENT, ROOT, fill
from tests.unit.cli.test_ledger_input import edit


def test_by_id_and_by_place(place: Path) -> None:
    """An id is enough; a number needs its chain where there are several."""
    home = fill(place / "d")
    db = str(home.db)
    first = home.receipts()[0]
    by_id = tally("show", "--store", db, "--receipt", first["id"])
    assert by_id.code == 0
    for part in (first["id"], "peer_credential.uid", "session_id", "not verified"):
        assert part in by_id.out
    assert tally("show", "--store", db, "--receipt", "1", "--chain", ROOT).out == by_id.out
    assert tally("show", "--store", db, "--receipt", "1").code == 2
    raw = tally("show", "--store", db, "--receipt", "1", "--chain", AGENT, "--json").out
    assert raw.strip() in home.bodies()
    for missing in ("99", "urn:receipt:nobody"):
        assert tally("show", "--store", db, "--receipt", missing, "--chain", ROOT).code == 3
    assert tally("show", "run.jsonl", "--receipt", "1").code == 2


def test_an_empty_store_has_no_receipt(place: Path) -> None:
    """It is not said to have several chains."""
    (place / "e").mkdir()
    Home(place / "e").open().close()
    answer = tally("show", "--store", str(place / "e" / "receipts.db"), "--receipt", "1")
    assert (answer.code, answer.err) == (3, "tally: the store has no receipt 1\n")


def test_columns_that_lie_are_told(place: Path) -> None:
    """A receipt whose columns say something else is shown, with exit code 1."""
    home = fill(place / "d")
    edit(home.db, "UPDATE receipts SET tool_name = 'nice' WHERE tool_name = 'Bash'")
    bash = next(
        one["id"]
        for one in home.receipts()
        if one["credentialSubject"]["action"].get("tool_name") == "Bash"
    )
    answer = tally("show", "--store", str(home.db), "--receipt", bash)
    assert answer.code == 1
    assert "tool_name" in answer.err
