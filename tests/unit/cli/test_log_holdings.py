# SPDX-License-Identifier: Apache-2.0
"""`tally verify --log`: what a collector or a file holds beyond the receipts that are given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests import material
from tests.collectors import Running, serving
from tests.command import tally

from tallystick.cli.log_holdings import holdings_of


def given(folder: Path, count: int, chain_id: str = material.CHAIN) -> str:
    """Write the beginning of a chain, and return its path."""
    chain = material.chain_of(count, chain_id=chain_id)
    path = folder / f"{count}.jsonl"
    path.write_bytes(b"".join(material.wire(one) + b"\n" for one in chain))
    return str(path)


def stored(running: Running, count: int, chain_id: str = material.CHAIN) -> None:
    """Post the beginning of a chain."""
    for one in material.chain_of(count, chain_id=chain_id):
        assert running.post(material.wire(one))[0] == 201


def key_in(folder: Path) -> str:
    """Write the issuer's public key, and return its path."""
    path = folder / "key.pub"
    path.write_text(material.KEY.public_key)
    return str(path)


@pytest.mark.parametrize("ending", ["", "/", "/log"])
def test_a_cut_chain_is_refused(tmp_path: Path, ending: str) -> None:
    """The collector holds later receipts of the chain: what is given is not all there is."""
    with serving(tmp_path) as running:
        stored(running, 5)
        done = tally(
            "verify", given(tmp_path, 3), "--key", key_in(tmp_path), "--log", running.url + ending
        )
    assert done.code == 1
    assert "LOG_HOLDS_MORE" in done.out
    assert "up to 5" in done.out


def test_a_whole_chain_is_verified(tmp_path: Path) -> None:
    """Where the collector holds no more, nothing is wrong; other chains there are not asked for."""
    with serving(tmp_path) as running:
        stored(running, 3)
        stored(running, 4, "chain:other/with a slash")
        paths = [given(tmp_path, 3), "--key", key_in(tmp_path), "--log", running.url]
        done = tally("verify", *paths, "--json")
    assert done.code == 0
    assert json.loads(done.out)["findings"] == []


def test_a_chain_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A chain of which the collector has nothing is no lie of the chain: an advisory."""
    with serving(tmp_path) as running:
        done = tally("verify", given(tmp_path, 3), "--key", key_in(tmp_path), "--log", running.url)
    assert done.code == 0
    assert "log_lacks" in done.out


def test_a_collector_that_does_not_answer_leaves_it_open(tmp_path: Path) -> None:
    """Nobody to ask is neither yes nor no."""
    with serving(tmp_path) as running:
        url = running.url
    done = tally("verify", given(tmp_path, 3), "--key", key_in(tmp_path), "--log", url)
    assert done.code == 3
    assert "LOG_UNREADABLE" in done.out


def test_a_file_does_as_well(tmp_path: Path) -> None:
    """What was exported before is compared without asking anybody."""
    done = tally(
        "verify", given(tmp_path, 3), "--key", key_in(tmp_path), "--log", given(tmp_path, 4)
    )
    assert done.code == 1
    assert "LOG_HOLDS_MORE" in done.out


def test_without_a_log_nothing_is_compared() -> None:
    """No option, no comparison."""
    with holdings_of(None) as found:
        assert found is None
