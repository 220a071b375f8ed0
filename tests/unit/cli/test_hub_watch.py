# SPDX-License-Identifier: Apache-2.0
"""`tally hub watch`: it spends nothing that nobody allowed."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.chains import REQUESTER, embedded
from tests.command import tally
from tests.posts import committed, make_bundle
from tests.systems.http_service import Answer, HttpService, Request

from tallystick.cli.hub_watch import _go_on, watch
from tallystick.errors import NodeError, PostingError
from tallystick.onchain.contracts import Contracts, Posted
from tallystick.onchain.deployment import keep_deployment
from tallystick.onchain.solving import Offer

NOT_ASKED = "the bundle's location is none of https"


def test_spending_wants_a_cap() -> None:
    """--prove and --ask without --spend are refused; --respond wants the bundles."""
    node = ("--rpc", "embedded", "--home", "chain", "--once")
    for options in (("--prove",), ("--ask",), ("--prove", "--spend", "0 ether")):
        answer = tally("hub", "watch", *options, *node)
        assert answer.code == 2
        assert "--spend" in answer.err
    assert tally("hub", "watch", "--respond", *node).code == 2


class Shelf(HttpService):
    """Serves one bundle."""

    bundle = b""

    def answer(self, request: Request) -> Answer:
        return Answer(200, self.bundle) if request.path == "/run.tally" else Answer(404, b"")


def test_a_bundle_comes_from_where_its_post_says(tmp_path: Path) -> None:
    """Fetched and judged, from this network only where that is allowed; a dry run without a signer
    follows nobody's questions.
    """
    path, made = make_bundle(tmp_path)
    with Shelf() as shelf:
        shelf.bundle = path.read_bytes()
        with embedded(tmp_path / "chain") as chain:
            offer = Offer(requester=REQUESTER.address, location=f"{shelf.url}/run.tally")
            receipt_id = "0x" + chain.post(committed(chain, made), offer).hex()
            contracts = keep_deployment(tmp_path, chain.deployment)
        node = ("--rpc", "embedded", "--home", str(tmp_path / "chain"), "--contracts", contracts)
        look = ("hub", "watch", "--once", *node)
        asking = ("--ask", "--spend", "1 ether", "--dry-run")
        assert tally(*look, *asking).out == f"{receipt_id}  {NOT_ASKED} -> waiting for it\n"
        assert shelf.requests == []
        told = tally(*look, "--allow-private").out
        assert told.startswith(f"{receipt_id}  unchecked: EVIDENCE_RECEIPTS_ABSENT")
        assert len(shelf.requests) == 1


def test_folders_are_there() -> None:
    """A folder of bundles or signed posts that is not there is told of before a chain is asked."""
    for option in ("--bundles", "--signed"):
        answer = tally("hub", "watch", option, "nowhere", "--rpc", "http://127.0.0.1:1", "--once")
        assert answer.code == 2
        assert "nowhere" in answer.err


def test_a_node_that_fails_ends_a_round_only(capsys: pytest.CaptureFixture[str]) -> None:
    """Who ended a watch by it could lie in peace. With --once there is no next round."""
    fault = NodeError("the node is busy", is_transient=True)
    _go_on(fault, {"once": False})
    assert capsys.readouterr().err == "tally: this round: the node is busy\n"
    with pytest.raises(NodeError):
        _go_on(fault, {"once": True})


def test_a_round_that_can_not_be_told_ends_no_watch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A node that shows a post and then none of its members is told of, and asked again."""

    class Enough(Exception):
        """The test has seen two rounds."""

    def pause(_seconds: float) -> None:
        if len(rounds) == 2:
            raise Enough

    def hiding(_self: Contracts, _receipt_id: bytes) -> Posted:
        rounds.append("looked")
        raise PostingError("there is no such post")

    rounds: list[str] = []
    with embedded(tmp_path / "chain") as chain:
        chain.post(chain.commitment())
        contracts = keep_deployment(tmp_path, chain.deployment)
    node = ("--rpc", "embedded", "--home", str(tmp_path / "chain"), "--contracts", contracts)
    monkeypatch.setattr(Contracts, "posted", hiding)
    monkeypatch.setattr("time.sleep", pause)
    with pytest.raises(Enough):
        watch.main([*node, "--every", "1"], standalone_mode=False)
    assert capsys.readouterr().err == 2 * "tally: this round: there is no such post\n"


def test_blocks_that_are_left_are_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where a round did not get to the head: exit code 3, or one line and a next round."""

    class Enough(Exception):
        """The test has seen a round."""

    def pause(_seconds: float) -> None:
        raise Enough

    with embedded(tmp_path / "chain") as chain:
        contracts = keep_deployment(tmp_path, chain.deployment)
    node = ("--rpc", "embedded", "--home", str(tmp_path / "chain"), "--contracts", contracts)
    assert tally("hub", "watch", "--once", *node).code == 0
    next((tmp_path / "chain").glob("watch-*.json")).unlink()
    monkeypatch.setattr("tallystick.watch.hub.WATCHED_BLOCKS_MAX", 1)
    answer = tally("hub", "watch", "--once", *node)
    assert answer.code == 3
    assert "not looked at yet; the next round goes on from there" in answer.err
    monkeypatch.setattr("time.sleep", pause)
    with pytest.raises(Enough):
        watch.main([*node], standalone_mode=False)
    assert "tally: this round: " in capsys.readouterr().err
