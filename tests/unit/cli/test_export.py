# SPDX-License-Identifier: Apache-2.0
"""`tally export`: bytes out of files and collectors."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.command import tally
from tests.ledgers import Home
from tests.material import chain_of, lines, wire
from tests.served import NDJSON, Served
from tests.stored import another_day, fill


def test_bytes_stay_and_lines_are_lines(place: Path) -> None:
    """A pretty receipt comes out in one line that says the same; others byte for byte."""
    chain = chain_of(2)
    Path("one.json").write_text(json.dumps(chain[0], indent=1))
    Path("two.jsonl").write_bytes(wire(chain[1]))
    answer = tally("export", "one.json", "two.jsonl")
    assert answer.code == 0
    first, second = answer.out.splitlines()
    assert json.loads(first) == chain[0]
    assert second.encode() == wire(chain[1])


def test_a_chain_can_be_chosen(place: Path) -> None:
    """By the id that each receipt states; what states none is of no chain."""
    one, two = chain_of(3, chain_id="one"), chain_of(2, chain_id="two")
    Path("all.jsonl").write_bytes(lines(one) + b"{}\n" + lines(two))
    answer = tally("export", "all.jsonl", "--chain", "two", "--out", "two.jsonl")
    assert answer.code == 0
    assert answer.err == "2 receipts to two.jsonl\n"
    assert Path("two.jsonl").read_bytes() == lines(two)


def test_what_was_exported_from_a_collector_is_what_went_in(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the token of the environment; a wrong one is told, with exit code 3."""
    chain = chain_of(40)
    token = tally("collector", "token", "add", "--tenant", "a", "--tokens", "collector.tokens").out
    with Served(place) as served:
        headers = {**NDJSON, "Authorization": f"Bearer {token.strip()}"}
        served.ask("POST", "/receipts/batch", lines(chain), headers)
        assert tally("export", served.url).code == 3
        monkeypatch.setenv("AGENTRECEIPTS_COLLECTOR_TOKEN", token.strip())
        assert tally("export", served.url).out.encode() == lines(chain)
        Path("issuer.pub").write_bytes(Path("agent.pub").read_bytes())
        verified = tally("verify", served.url, "--key", "issuer.pub", "--json")
        assert json.loads(verified.out)["receipts"] == 40


def test_a_place_that_can_not_be_written_is_told(place: Path) -> None:
    """With exit code 3."""
    answer = tally("export", "run.jsonl", "--out", "no/where")
    assert (answer.code, answer.out) == (3, "")
    assert "no/where could not be written" in answer.err


def test_what_is_no_receipt_is_told_and_not_counted(place: Path) -> None:
    """A line that is no JSON, or says nothing of an action, stays out; the others are written."""
    whole = Path("run.jsonl").read_bytes()
    for line in (b"broken\n", b"{}\n"):
        Path("odd.jsonl").write_bytes(whole + line)
        answer = tally("export", "odd.jsonl", "--out", "out.jsonl")
        assert (answer.code, answer.out, answer.err.count("\n")) == (1, "", 1)
        assert "odd.jsonl:receipt[3]" in answer.err
        assert Path("out.jsonl").read_bytes() == whole
        Path("out.jsonl").unlink()
    Path("odd.jsonl").write_bytes(whole + b"broken\n")
    # Of which chain it was, nobody can tell.
    assert tally("export", "odd.jsonl", "--chain", "run-1").code == 1


@pytest.mark.parametrize("paths", [("nowhere",), ("run.jsonl", "nowhere"), ("empty.jsonl",)])
def test_a_failed_export_leaves_no_file(place: Path, paths: tuple[str, ...]) -> None:
    """So that the same command can be given again when what was missing is there."""
    before = sorted(place.iterdir())
    more = ("--out", "out.jsonl", "--proof", "out.proof")
    assert tally("export", *paths, *more).code == 3
    assert sorted(place.iterdir()) == before


def test_both_names_are_looked_at_before_anything_is_written(place: Path) -> None:
    """A proof that is there already, or a key that is none, leaves no lines without a proof."""
    before = sorted(place.iterdir())
    told = tally("export", "run.jsonl", "--out", "out.jsonl", "--proof", "run.json")
    assert (told.code, told.out) == (2, "")
    assert "run.json is there already and was not touched" in told.err
    assert sorted(place.iterdir()) == before


def test_an_export_is_as_readable_as_the_umask_says(place: Path) -> None:
    """As of any file that one makes."""
    before = os.umask(0o027)
    try:
        assert tally("export", "run.jsonl", "--out", "out.jsonl").code == 0
    finally:
        os.umask(before)
    assert Path("out.jsonl").stat().st_mode & 0o777 == 0o640


def two_days(place: Path) -> Home:
    """Make a store of two days and two keys, and export it with its proof."""
    home = fill(place / "d")
    ledger = home.open()
    ledger.rotate()
    ledger.close()
    another_day(home)
    told = ("--out", "all.jsonl", "--proof", "all.proof", "--key", str(home.public))
    assert tally("export", "--store", str(home.db), *told).code == 0
    return home


def judged(path: str, *more: str) -> tuple[int, list[str]]:
    """Return exit code and deciding codes of exported lines under the newest key alone."""
    answer = tally("verify", path, "--key", "stranger/newest.pub", "--json", *more)
    codes = [one["code"] for one in json.loads(answer.out)["findings"]]
    return answer.code, sorted({code for code in codes if code.isupper()})


def test_a_stranger_checks_an_export_offline(place: Path) -> None:
    """With the lines, the proof and the newest public key: no store, no earlier key, no network."""
    home = two_days(place)
    Path("stranger").mkdir()
    Path("stranger/newest.pub").write_bytes(home.public.read_bytes())
    proof = ("--proof", "all.proof")
    assert judged("all.jsonl", *proof) == (0, [])
    # Without the proof the earlier key is unknown; and nothing says that anything is missing.
    assert judged("all.jsonl") == (1, ["SIGNATURE_INVALID"])
    lines = Path("all.jsonl").read_bytes().splitlines(keepends=True)
    Path("cut.jsonl").write_bytes(b"".join(lines[:-1]))
    assert judged("cut.jsonl", *proof) == (1, ["EXPECTED_HEAD", "EXPECTED_LENGTH"])
    first = [one for one in lines if json.loads(one)["issuanceDate"] < "2026-03-11"]
    Path("first.jsonl").write_bytes(b"".join(first))
    assert judged("first.jsonl", *proof) == (1, ["CHAIN_UNKNOWN"])
    Path("last.jsonl").write_bytes(b"".join(one for one in lines if one not in first))
    assert judged("last.jsonl", *proof) == (1, ["CHAIN_MISSING", "CHAIN_UNKNOWN"])


def test_a_proof_can_not_vouch_for_another_key(place: Path) -> None:
    """Keys that stand in it count with their hand-over alone: who writes one adds nothing."""
    home = two_days(place)
    Path("stranger").mkdir()
    Path("stranger/newest.pub").write_bytes(home.public.read_bytes())
    told = json.loads(Path("all.proof").read_text())
    assert len(told["keys"]) == len(told["hand_overs"]) == 1
    told["hand_overs"] = []
    Path("less.proof").write_text(json.dumps(told))
    assert judged("all.jsonl", "--proof", "less.proof")[1] == ["SIGNATURE_INVALID"]
    told = json.loads(Path("all.proof").read_text())
    told["hand_overs"][0]["behind"] = told["hand_overs"][0]["outgoing"]
    told["keys"].append("no key")
    Path("other.proof").write_text(json.dumps(told))
    assert judged("all.jsonl", "--proof", "other.proof")[1] == ["SIGNATURE_INVALID"]
    for bad, code in (("run.jsonl", 2), ("nowhere", 3)):
        answer = tally("verify", "all.jsonl", "--key", str(home.public), "--proof", bad)
        assert (answer.code, answer.out) == (code, "")
        assert answer.err.count("\n") == 1


def test_what_was_imported_is_exported_and_not_missed(place: Path) -> None:
    """Chains from elsewhere have their heads in the proof, and need nothing around them."""
    home = fill(place / "d")
    assert tally("import-chain", "run.jsonl", "--store", str(home.db)).code == 0
    told = ("--out", "all.jsonl", "--proof", "all.proof")
    assert tally("export", "--store", str(home.db), *told).code == 0
    chains = json.loads(Path("all.proof").read_text())["chains"]
    assert {one["chain_id"]: one["stored"] for one in chains} == {
        "2026-03-10": True,
        "2026-03-10/agent/a1": True,
        "run-1": False,
    }
    keys = ("--key", str(home.public), "--key", "agent.pub")
    assert tally("verify", "all.jsonl", "--proof", "all.proof", *keys).code == 0
