# SPDX-License-Identifier: Apache-2.0
"""Posting runs: once each, whatever crashes; never two outcomes for one intent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.chains import FAST, SOLVER, Chain, embedded, signer_of
from tests.posts import make_bundle
from tests.solving import body, intent, solver

from tallystick.errors import NodeError, PostingError, RunError
from tallystick.onchain.contracts import PostStatus
from tallystick.onchain.embedded import EmbeddedNode
from tallystick.serve.metrics import Meters
from tallystick.solver.lineage import written_manifest
from tallystick.solver.meters import METERS
from tallystick.solver.posting import Poster, SignedPost, open_chain
from tallystick.solver.resume import resume_run, unfinished
from tallystick.solver.run import run_intent
from tallystick.solver.setup import Solver
from tallystick.solver.states import RunStates
from tallystick.solver.waiting import Waitlist
from tallystick.solver.workers import Workers


class Shared:
    """The chain that a test has open already, handed to whoever asks for a node."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain

    def __call__(self) -> Any:
        """Return the node as one that is not closed by who asked for it."""
        from tallystick.onchain.node import Node

        return Node(self.chain.node.web3, "the test's chain")


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    with embedded(tmp_path / "chain") as made:
        (tmp_path / "contracts.json").write_bytes(msgspec.json.encode(made.deployment))
        yield made


def _solver(folder: Path, open_node: Any) -> Solver:
    base = solver(folder)
    poster = Poster(
        base.home,
        signer_of(SOLVER),
        open_node,
        onchain_home=str(folder / "chain"),
        contracts=str(folder / "contracts.json"),
        terms=FAST,
    )
    return msgspec.structs.replace(base, poster=poster)


def _states(made: Solver, run_id: str) -> list[str]:
    return [step.state for step in RunStates(made.home.run(run_id), lambda: 0).steps]


def _posts(chain: Chain) -> list[bytes]:
    return [one for _, one in chain.contracts.posts(1, chain.node.head()[0])]


def test_a_run_is_posted_and_final(tmp_path: Path, chain: Chain) -> None:
    """Signed, posted, and final once the window is over; a further call changes nothing."""
    made = _solver(tmp_path, Shared(chain))
    found = run_intent(made, body())
    assert found.post is not None
    assert found.post.status == "pending"
    assert 0 < found.post.seconds_left <= 3601
    assert _states(made, found.run_id)[-2:] == ["signed", "posted"]
    assert unfinished(made.home) == [found.run_id]
    assert resume_run(made, found.run_id).post is not None  # too early: it stays as it is
    assert _states(made, found.run_id)[-1] == "posted"

    chain.pass_time(found.post.seconds_left + 60)
    ended = resume_run(made, found.run_id)
    assert ended.post is not None
    assert ended.post.status == "finalized"
    assert _states(made, found.run_id)[-3:] == ["posted", "final", "done"]
    assert unfinished(made.home) == []
    assert resume_run(made, found.run_id) == ended
    (post_id,) = _posts(chain)
    assert f"0x{post_id.hex()}" == ended.post.post_id
    assert chain.contracts.post(post_id).status is PostStatus.FINALIZED


def test_what_failed_is_not_posted(tmp_path: Path, chain: Chain) -> None:
    """A refusal has its bundle, and the intent keeps its one post for a run that succeeds."""
    made = _solver(tmp_path, Shared(chain))
    assert run_intent(made, body(jobType="NONE")).post is None
    run_intent(made, body())
    again = run_intent(made, body())  # a replay
    assert (again.status, again.post) == ("REFUSED", None)
    assert len(_posts(chain)) == 1


def test_no_second_outcome_is_signed(tmp_path: Path, chain: Chain) -> None:
    """What was signed for an intent is on disk; another outcome of it is refused unsigned."""
    made = _solver(tmp_path, Shared(chain))
    _, evidence = make_bundle(tmp_path)
    _, other = make_bundle(tmp_path, "other", run_id="1" * 64)
    assert made.poster is not None
    first = written_manifest(str(tmp_path / "run"))
    second = written_manifest(str(tmp_path / "other"))
    assert first is not None
    assert second is not None
    made.poster.post(first)
    with pytest.raises(RunError, match="a post with other evidence"):
        made.poster.post(second)
    (kept,) = (made.home.path / Path("posts")).iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    noted = msgspec.json.decode(kept.read_bytes(), type=SignedPost)
    assert noted.evidence.hex() == evidence.manifest_sha256
    # As if the transaction had not come through: what is on disk binds all the same.
    foreign = msgspec.structs.replace(noted, evidence=bytes.fromhex(other.manifest_sha256))
    for path in (tmp_path / "chain").glob("sent-*"):
        path.unlink()
    with embedded(tmp_path / "fresh") as fresh:
        (tmp_path / "contracts.json").write_bytes(msgspec.json.encode(fresh.deployment))
        name = kept.name.replace(chain.deployment.receipts[2:].lower(), "x")
        assert name != kept.name
        at = fresh.deployment.receipts[2:].lower()
        path = kept.with_name(kept.name.replace(chain.deployment.receipts[2:].lower(), at))
        path.write_bytes(msgspec.json.encode(foreign))
        later = _solver(tmp_path, Shared(fresh))
        assert later.poster is not None
        with pytest.raises(RunError, match="another outcome was signed"):
            later.poster.post(first)
        assert _posts(fresh) == []
        path.write_bytes(b"{}")
        with pytest.raises(RunError, match="holds no signed post"):
            later.poster.post(first)


def test_a_signature_that_is_too_old_is_given_anew(tmp_path: Path, chain: Chain) -> None:
    """A post that a node never took and that has run out is signed again, for the same outcome."""

    class Away(Shared):
        def __call__(self) -> Any:
            node = super().__call__()

            def send(raw: bytes) -> None:
                raise NodeError("away", is_transient=True)

            node.send = send
            return node

    with pytest.raises(NodeError, match="away"):
        run_intent(_solver(tmp_path, Away(chain)), body())
    for path in (tmp_path / "chain").glob("sent-*"):
        path.unlink()  # with it the transaction: only the signed post is left
    chain.pass_time(7200)
    made = _solver(tmp_path, Shared(chain))
    (run_id,) = unfinished(made.home)
    assert _states(made, run_id)[-1] == "signed"
    found = resume_run(made, run_id)
    assert found.post is not None
    assert found.post.status == "pending"
    assert len(_posts(chain)) == 1


_CHILD = """
import os, signal, sys
from pathlib import Path
from tests.solving import body
from tests.unit.solver.test_posting import _solver
from tallystick.onchain.embedded import EmbeddedNode
from tallystick.solver.run import run_intent

folder, when = Path(sys.argv[1]), sys.argv[2]

class Dying(EmbeddedNode):
    def send(self, raw):
        if when == "after":
            super().send(raw)
        os.kill(os.getpid(), signal.SIGKILL)

run_intent(_solver(folder, lambda: Dying(folder / "chain")), body())
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_around_sending_posts_once(tmp_path: Path, when: str) -> None:
    """kill -9 before or after the node has the transaction: the next call ends with one post."""
    with embedded(tmp_path / "chain") as chain:
        (tmp_path / "contracts.json").write_bytes(msgspec.json.encode(chain.deployment))
        deployment, solver_id = chain.deployment, chain.solver_id
    root = Path(__file__).resolve().parents[3]
    path = os.pathsep.join((str(root), *filter(None, sys.path)))
    child = subprocess.run(
        [sys.executable, "-c", _CHILD, str(tmp_path), when],
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr.decode()
    made = _solver(tmp_path, lambda: EmbeddedNode(tmp_path / "chain"))
    (run_id,) = unfinished(made.home)
    assert _states(made, run_id)[-1] == "signed"
    (kept,) = (made.home.path / Path("posts")).iterdir()
    signed_before = kept.read_bytes()
    found = resume_run(made, run_id)
    assert found.post is not None
    assert found.post.status == "pending"
    assert kept.read_bytes() == signed_before
    node = EmbeddedNode(tmp_path / "chain")
    try:
        chain = Chain(node, tmp_path / "chain", deployment, solver_id=solver_id)
        assert len(_posts(chain)) == 1
    finally:
        node.close()


def test_an_operator_that_is_none(tmp_path: Path, chain: Chain) -> None:
    """Who is not registered posts nothing, and the run waits with its bundle."""
    made = _solver(tmp_path, Shared(chain))
    assert made.poster is not None
    from tests.chains import REQUESTER

    stranger = Poster(
        made.home,
        signer_of(REQUESTER),
        Shared(chain),
        onchain_home=str(tmp_path / "chain"),
        contracts=str(tmp_path / "contracts.json"),
    )
    with pytest.raises(PostingError, match="no solver's operator"):
        run_intent(msgspec.structs.replace(made, poster=stranger), body())
    (run_id,) = unfinished(made.home)
    assert Path(made.home.run(run_id), "bundle.tally").exists()


def test_the_embedded_chain_is_one_process_alone(tmp_path: Path, chain: Chain) -> None:
    """Who comes second is told that it is in use, and may ask again."""
    with pytest.raises(NodeError, match="in use") as caught:
        open_chain("embedded", str(tmp_path / "chain"))
    assert caught.value.is_transient


def test_a_service_makes_posts_final_by_itself(tmp_path: Path, chain: Chain) -> None:
    """A worker posts and comes back when the window is over."""
    made = _solver(tmp_path, Shared(chain))

    def working() -> tuple[Waitlist, Workers]:
        line = Waitlist(made.home, 10, lambda: 0)
        return line, Workers(made, line, Meters(METERS), 1)

    def until(state: str) -> str:
        end = time.monotonic() + 20
        while True:
            for run_id in made.home.run_ids():
                if _states(made, run_id)[-1:] == [state]:
                    return run_id
            assert time.monotonic() < end
            time.sleep(0.05)

    line, workers = working()
    workers.start()
    line.accept(intent(), body(), "t")
    run_id = until("posted")
    end = time.monotonic() + 20
    while run_id not in workers._later:  # it is noted, for when the window is over
        assert time.monotonic() < end
        time.sleep(0.05)
    assert 3000 < workers._later[run_id] - time.monotonic() <= 3602
    workers._later[run_id] = 0.0
    chain.pass_time(3700)
    until("done")
    workers.drain(5000)
    assert _states(made, run_id)[-3:] == ["posted", "final", "done"]
    assert unfinished(made.home) == []
