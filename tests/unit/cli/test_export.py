# SPDX-License-Identifier: Apache-2.0
"""`tally export`: bytes out of files and collectors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.command import tally
from tests.material import chain_of, lines, wire
from tests.served import NDJSON, Served


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
