# SPDX-License-Identifier: Apache-2.0
"""A run that a daemon records: a real daemon, a chain of the run's own, and the bound head."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests import material
from tests.daemons import DaemonHome
from tests.solving import Scripted, asked, intent, manifest_of, policy, receipts_of, solver

from tallystick.chain.payload import payload_hash
from tallystick.errors import EmitError, RunError
from tallystick.model.decision import evaluate
from tallystick.model.run_decision import DECIDE
from tallystick.solver.daemon_journal import (
    ACKNOWLEDGED,
    CONTINUE,
    END,
    DaemonJournal,
    Heard,
    ToldActions,
)
from tallystick.solver.records import append_fact, last_fact, read_facts
from tallystick.solver.resume import resume_run
from tallystick.solver.run import run_intent
from tallystick.solver.runner import Ran, Work
from tallystick.solver.setup import Solver
from tallystick.verify.evidence import EvidenceReport, verify_evidence
from tallystick.verify.manifest_signers import Signers
from tallystick.verify.trust import trust_of

_RUN = "cd" * 32


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonHome]:
    """A daemon that runs for all of these tests."""
    one = DaemonHome(tmp_path_factory.mktemp("d") / "daemon")
    with one.daemon("--chain-id", "root"):
        yield one


def told(folder: Path, home: DaemonHome, *, store: bool = True, **changes: Any) -> Solver:
    """Return a solver whose runs are recorded by the daemon; its clock is the machine's."""
    return solver(
        folder,
        clock=time.time_ns,
        daemon=home.socket,
        store=str(home.db) if store else "",
        **changes,
    )


def fresh(**changes: Any) -> bytes:
    """Return an intent that nobody has run: the daemon is shared by all tests."""
    return msgspec.json.encode(asked(nonce=os.urandom(8).hex(), expiresAt=None, **changes))


def judged(bundle: str, home: DaemonHome) -> EvidenceReport:
    """Verify a bundle with the solver's key and the daemon's."""
    trust = trust_of([material.PUBLIC, home.public.read_text()])
    return verify_evidence(Path(bundle).read_bytes(), Signers(trust=trust))


def test_a_run_has_its_own_chain_in_the_daemon(tmp_path: Path, home: DaemonHome) -> None:
    """The bundle holds the receipts as the store has them, up to the head that is bound."""
    made = told(tmp_path, home)
    outcome = run_intent(made, fresh())
    run_dir = made.home.run(outcome.run_id)
    bound, receipts = manifest_of(run_dir)["receiptChain"], receipts_of(run_dir)
    assert outcome.status == "SUCCESS"
    assert bound["chainId"] == f"root/agent/{outcome.run_id}"
    assert bound["length"] == len(receipts) == 6
    types = [one["credentialSubject"]["action"]["type"] for one in receipts]
    created = ["filesystem.file.create"] * 4
    assert types == ["dev.tallystick.intent.decide", *created, END]
    states = [one["credentialSubject"]["outcome"]["status"] for one in receipts]
    assert states == ["success", "pending", "success", "pending", "success", "success"]
    report = judged(outcome.bundle, home)
    assert report.verdict == "verified", report.to_dict()
    assert report.receipts == 6


def test_without_the_store_the_head_is_bound(tmp_path: Path, home: DaemonHome) -> None:
    """What is not in the bundle is not said to be verified; the daemon's own store has it."""
    made = told(tmp_path, home, store=False)
    outcome = run_intent(made, fresh())
    bound = manifest_of(made.home.run(outcome.run_id))["receiptChain"]
    where = f"chain_id = '{bound['chainId']}' AND sequence = {bound['length']}"
    assert home.rows("receipt_hash", where) == [(bound["head"],)]
    report = judged(outcome.bundle, home)
    assert (report.verdict, report.receipts) == ("unchecked", 0)
    assert "EVIDENCE_RECEIPTS_ABSENT" in report.codes()


@pytest.mark.parametrize("fault", ["missing", "another"])
def test_a_store_that_does_not_fit_gives_no_receipts(
    tmp_path: Path, home: DaemonHome, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A store that is not there, or another daemon's: said in the log, and the head stands."""
    other = tmp_path / "other.db"
    if fault == "another":
        second = DaemonHome(tmp_path / "second")
        with second.daemon() as one:
            assert one.stop() == 0
        other = second.db
    made = msgspec.structs.replace(told(tmp_path, home), store=str(other))
    outcome = run_intent(made, fresh())
    run_dir = made.home.run(outcome.run_id)
    assert outcome.status == "SUCCESS"
    assert not os.path.lexists(os.path.join(run_dir, "receipts.jsonl"))
    assert "has no receipts in its bundle" in caplog.text
    assert judged(outcome.bundle, home).verdict == "unchecked"


def test_a_refusal_is_told_with_its_reasons(tmp_path: Path, home: DaemonHome) -> None:
    """The daemon's receipt says that it was denied, and why."""
    made = told(tmp_path, home, policy=policy(jobTypeAllowlist=["OTHER"]))
    outcome = run_intent(made, fresh())
    first = receipts_of(made.home.run(outcome.run_id))[0]["credentialSubject"]
    assert outcome.status == "REFUSED"
    assert first["outcome"]["status"] == "failure"
    assert first["outcome"]["error"].startswith("refused: ")
    assert judged(outcome.bundle, home).verdict == "verified"


def test_what_fails_is_told_without_its_words(tmp_path: Path, home: DaemonHome) -> None:
    """An exception's class is told, and not what it says: that may hold secrets."""

    def fail(work: Work) -> Ran:
        raise ValueError(f"password of {work.run_id}")

    made = told(tmp_path, home, runners={"TEST": Scripted(fail)})
    outcome = run_intent(made, fresh(jobType="TEST"))
    texts = (Path(made.home.run(outcome.run_id)) / "receipts.jsonl").read_text()
    assert outcome.status == "FAILED"
    assert "ValueError" in texts
    assert "password of" not in texts


def test_without_the_daemon_nothing_runs(tmp_path: Path, home: DaemonHome) -> None:
    """No receipt, no run: the program is not started where nobody records it."""
    runner = Scripted(lambda _work: Ran(status="SUCCESS"))
    made = told(tmp_path, home, runners={"TEST": runner})
    away = msgspec.structs.replace(made, daemon=str(tmp_path / "no.sock"))
    with pytest.raises(EmitError):
        run_intent(away, fresh(jobType="TEST"))
    assert runner.calls == 0
    (run_id,) = made.home.run_ids()
    outcome = resume_run(made, run_id)
    assert (outcome.status, runner.calls) == ("FAILED", 0)
    assert judged(outcome.bundle, home).verdict == "verified"


def test_a_crash_goes_on_behind_the_acknowledged_head(tmp_path: Path, home: DaemonHome) -> None:
    """Another process ends the run's chain, and the whole of it is bound."""

    class Killed(BaseException):
        pass

    def die(work: Work) -> Ran:
        raise Killed

    made = told(tmp_path, home, runners={"TEST": Scripted(die)})
    with pytest.raises(Killed):
        run_intent(made, fresh(jobType="TEST"))
    (run_id,) = made.home.run_ids()
    outcome = resume_run(made, run_id)
    receipts = receipts_of(made.home.run(run_id))
    assert outcome.status == "FAILED"
    assert receipts[-1]["credentialSubject"]["outcome"]["error"] == "interrupted"
    assert judged(outcome.bundle, home).verdict == "verified"


def yesterday(run_id: str, folder: Path) -> None:
    """Have a run be told to the daemon of yesterday, as the run's directory says."""
    heard = Heard(
        at="x", chain_id=f"yesterday/agent/{run_id}", sequence=4, hash="sha256:" + "a" * 64
    )
    append_fact(folder / ACKNOWLEDGED, heard)


def types_in(run_dir: str | Path) -> list[str]:
    """Return the types of a run's receipts."""
    return [one["credentialSubject"]["action"]["type"] for one in receipts_of(run_dir)]


def test_another_chain_says_behind_which_it_goes_on(tmp_path: Path, home: DaemonHome) -> None:
    """After midnight the bound chain names the head of the old one, and states the decision."""
    made = told(tmp_path, home)
    yesterday(_RUN, tmp_path)
    decision = evaluate(intent(), policy(), "2026-03-04T05:06:07.000Z")
    journal = DaemonJournal(made, intent(), _RUN, str(tmp_path), decision=decision)
    journal.close("complete")
    assert journal.binding()["chainId"] == f"root/agent/{_RUN}"
    assert types_in(tmp_path) == [END, CONTINUE, DECIDE]
    _, link, decided = (one["credentialSubject"] for one in receipts_of(tmp_path))
    target = link["action"]["target"]["resource"]
    assert target == f"yesterday/agent/{_RUN}#4:sha256:{'a' * 64}"
    on = {"intentHash": intent().intent_hash, "runId": _RUN}
    assert decided["action"]["parameters_hash"] == payload_hash(on)
    assert decided["outcome"]["response_hash"] == payload_hash(decision.to_dict())


def test_a_new_chain_without_its_decision_is_not_bound(tmp_path: Path, home: DaemonHome) -> None:
    """Who does not know how a run was decided can't have the daemon say it again."""
    run_id = "1b" * 32
    yesterday(run_id, tmp_path)
    journal = DaemonJournal(told(tmp_path, home), intent(), run_id, str(tmp_path))
    with pytest.raises(RunError, match="how it was decided"):
        journal.close("complete")


def test_a_crash_before_the_link_is_made_up_for(tmp_path: Path, home: DaemonHome) -> None:
    """What a new chain still has to say is known to the process that finishes the run."""
    run_id, made = "2c" * 32, told(tmp_path, home)
    yesterday(run_id, tmp_path)
    cut_off = DaemonJournal(made, intent(), run_id, str(tmp_path))
    with pytest.raises(RunError, match="how it was decided"):
        cut_off.close("complete")  # its end is told, and no more
    decision = evaluate(intent(), policy(), "2026-03-04T05:06:07.000Z")
    again = DaemonJournal(made, intent(), run_id, str(tmp_path), decision=decision)
    again.close("interrupted")
    assert types_in(tmp_path) == [END, CONTINUE, DECIDE]
    last = last_fact(tmp_path / ACKNOWLEDGED, Heard)
    assert last is not None
    assert (last.is_end, last.behind) == (True, None)


@pytest.mark.parametrize("is_allowed", [True, False])
def test_a_run_over_midnight_is_verified(
    tmp_path: Path, home: DaemonHome, *, is_allowed: bool
) -> None:
    """The chain that is bound says of which run it speaks, although it began in another one."""

    def die(_run_id: str, state: str) -> None:
        if state == ("running" if is_allowed else "decided"):
            raise KeyboardInterrupt

    changes: dict[str, Any] = {} if is_allowed else {"policy": policy(jobTypeAllowlist=["OTHER"])}
    made = told(tmp_path, home, **changes)
    with pytest.raises(KeyboardInterrupt):
        run_intent(msgspec.structs.replace(made, on_state=die), fresh())
    (run_id,) = made.home.run_ids()
    run_dir = Path(made.home.run(run_id))
    (run_dir / ACKNOWLEDGED).unlink()
    yesterday(run_id, run_dir)
    outcome = resume_run(made, run_id)
    assert outcome.status == ("FAILED" if is_allowed else "REFUSED")
    assert types_in(run_dir)[-2:] == [CONTINUE, DECIDE]
    report = judged(outcome.bundle, home)
    assert report.verdict == "verified", report.to_dict()


def test_a_store_that_was_put_back_is_told(tmp_path: Path, home: DaemonHome) -> None:
    """A daemon that counts again what it has acknowledged is not believed."""
    run_id = "ef" * 32
    later = Heard(at="x", chain_id=f"root/agent/{run_id}", sequence=9, hash="sha256:" + "a" * 64)
    append_fact(tmp_path / ACKNOWLEDGED, later)
    journal = DaemonJournal(told(tmp_path, home), intent(), run_id, str(tmp_path))
    with pytest.raises(RunError, match="put back"):
        journal.close("complete")


def test_an_end_is_told_once(tmp_path: Path, home: DaemonHome) -> None:
    """Who finishes a run whose end is acknowledged tells nothing more."""
    run_id, made = "0a" * 32, told(tmp_path, home)
    first = DaemonJournal(made, intent(), run_id, str(tmp_path))
    with pytest.raises(RunError, match="acknowledged nothing"):
        first.binding()
    first.decided(intent(), evaluate(intent(), policy(), "2026-03-04T05:06:07.000Z"))
    first.close("complete")
    again = DaemonJournal(made, intent(), run_id, str(tmp_path))
    again.close("interrupted")
    assert again.binding() == first.binding()
    assert len(read_facts(tmp_path / ACKNOWLEDGED, Heard)) == 2
    found = last_fact(tmp_path / ACKNOWLEDGED, Heard)
    assert found is not None
    assert found.is_end


def test_a_payload_that_no_frame_holds_is_told_by_its_hash() -> None:
    """What a runner hands over may be larger than a frame: it is bound all the same."""
    frames: list[Any] = []
    with ToldActions(frames.append).action(
        "system.code.execute", parameters=["x" * 600_000]
    ) as one:
        one.result = {"bytes": 1}
    before, after = frames
    assert list(before["input"]) == ["hash"]
    assert (before["decision"], after["decision"], after["output"]) == (
        "pending",
        "allowed",
        {"bytes": 1},
    )
