# SPDX-License-Identifier: Apache-2.0
"""One intent from its bytes to a signed bundle: received, decided, run, hashed, signed, done.

Each state is durable before the next step begins. Nothing here starts a program before `running`
is on stable storage, and a run that has that state is never started again: at most once by intent.
A refusal is a run without an execution; it has receipts, a manifest and a bundle like any other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import msgspec

from tallystick import __version__
from tallystick.chain.issue import timestamp
from tallystick.errors import ArtifactRefused, RefusedInput, RunError, UnreadableError
from tallystick.limits import DETAIL_BYTES_MAX
from tallystick.model.decision import Decision
from tallystick.model.intent import Intent, parse_intent
from tallystick.model.manifest import fit_text, parse_manifest
from tallystick.solver.attempts import has_run, next_attempt
from tallystick.solver.bundling import sign_manifest, write_bundle
from tallystick.solver.evidence import create_evidence_bundle, scan_run
from tallystick.solver.gate import evaluate_policy
from tallystick.solver.home import held
from tallystick.solver.journals import Journal, open_journal
from tallystick.solver.lineage import next_place, written_manifest
from tallystick.solver.posting import Post
from tallystick.solver.runner import Facts, Ran, Work
from tallystick.solver.setup import Solver
from tallystick.solver.states import RunStates
from tallystick.solver.workspace import Workspace

Progress = Callable[[int, int], None]


class RunOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an intent."""

    run_id: str
    intent_id: str
    job_type: str
    decision: Decision
    status: str  # SUCCESS, FAILED or REFUSED
    error: str | None
    manifest_sha256: str
    bundle: str
    post: Post | None = None  # where runs are posted


class Run:
    """One run while a process holds its lock."""

    def __init__(self, solver: Solver, intent: Intent, run_id: str) -> None:
        self.solver = solver
        self.intent = intent
        self.run_id = run_id
        self.space = Workspace(solver.home.run(run_id))
        self.states = RunStates(self.space.path, solver.clock)
        self._latest = max((step.at for step in self.states.steps), default="")

    def advance(self, state: Any, *, at: str | None = None, **facts: Any) -> None:
        """Note a state, and tell of it."""
        self.states.advance(state, at=at or self.now(), **facts)
        self.solver.on_state(self.run_id, state)

    def now(self) -> str:
        """Return this moment in the protocol's spelling, and none before one that was told.

        A clock that was set back must not make evidence whose times contradict each other.
        """
        self._latest = max(self._latest, timestamp(self.solver.clock()))
        return self._latest


def run_intent(
    solver: Solver, data: bytes, *, tenant: str | None = None, progress: Progress | None = None
) -> RunOutcome:
    """Decide on an intent, run it if it may, and leave the signed bundle; return what became.

    `tenant` is whose credential brought it to a service: who else may ask for it there.
    """
    intent = parse_intent(data)
    with ExitStack() as stack:
        with held(f"{solver.home.attempts(intent.intent_id)}.lock", "the intent", wait=True):
            run = _received(solver, intent, data, tenant, stack)
            journal, decision = decide(run)
            if decision.allowed:
                run.advance("running", runner=solver.runners[intent.jobType].name)
        ran = _execute(run, journal) if decision.allowed else _refused(decision)
        return finish(run, journal, decision, ran, progress=progress)


def decide(run: Run) -> tuple[Journal, Decision]:
    """Put an intent before the gate; the caller holds the intent's lock."""
    solver, intent = run.solver, run.intent
    known = (intent.intent_id,) if has_run(solver.home, intent.intent_id) else ()
    now = run.now()
    decision = evaluate_policy(intent, solver.policy, now, already_run=known)
    journal = open_journal(solver, intent, run.run_id, run.space.path)
    journal.decided(intent, decision)
    run.advance("decided", at=now, **decision.to_dict())
    return journal, decision


def finish(
    run: Run,
    journal: Journal,
    decision: Decision,
    ran: Mapping[str, Any],
    *,
    progress: Progress | None = None,
    status: Any = "complete",
) -> RunOutcome:
    """Close the chain, hash what is there, and sign: the end of every run, however it went."""
    journal.close(status)
    finished = run.now() if run.states.has_reached("running") else None
    run.space.settle()
    summary, environment = ran["summary"], ran["environment"]

    def make(told: Mapping[str, Any]) -> str:
        # Hashed before the place is claimed: a large run does not hold up the others.
        scanned = scan_run(run.space.path, progress=progress)
        with next_place(run.solver.home, run.run_id, run.solver.clock, not_before=run.now()) as (
            place,
            confirm,
        ):
            run.solver.on_state(run.run_id, "claimed")
            files = create_evidence_bundle(
                run.space.path,
                run.intent.intent_id,
                run.run_id,
                run.intent.jobType,
                decision,
                told,
                run.solver.git_commit,
                intent_hash=run.intent.intent_hash,
                policy_hash=run.solver.policy.policy_hash,
                decided_at=run.states.at("decided") or run.now(),
                started_at=run.states.at("running"),
                finished_at=finished,
                created_at=place.at,
                chain=journal.binding(),
                environment=environment,
                previous_manifest=place.previous,
                number=place.number,
                scanned=scanned,
            )
            run.solver.on_state(run.run_id, "manifest")
            confirm(files.manifest_sha256)
        return files.manifest_sha256

    try:
        digest = make(summary)
    except (RefusedInput, UnreadableError) as fault:
        # What can't be hashed as it is makes no evidence; that it was so, does.
        run.space.withhold()
        why = f"its artefacts are refused: {fault}"
        if summary.get("error"):
            why = f"{summary['error']}; {why}"
        summary = {**summary, "status": "FAILED", "error": why, "withheld": True}
        digest = make(summary)
    run.advance("evidenced", manifest=digest, status=summary["status"], error=summary.get("error"))
    return seal(run, decision)


def seal(run: Run, decision: Decision) -> RunOutcome:
    """Sign and pack what has its manifest; each step that is done already is not done again."""
    noted = run.states.facts("evidenced")
    if run.states.state == "evidenced":
        sign_manifest(run.space.path, run.solver.signer, evm_signer=run.solver.evm_signer)
        run.advance("signed")
    if run.states.state == "signed":
        # It is put in its place in one step: what is there is whole, and was made of the same.
        if not os.path.lexists(run.space.bundle):
            _bundle(run)
        run.solver.on_state(run.run_id, "bundled")
        if run.solver.poster is None or noted["status"] != "SUCCESS":
            run.advance("done")
    post = _posted(run)
    if run.states.state == "final":
        run.advance("done")
    return RunOutcome(
        run_id=run.run_id,
        intent_id=run.intent.intent_id,
        job_type=run.intent.jobType,
        decision=decision,
        status=noted["status"],
        error=noted.get("error"),
        manifest_sha256=noted["manifest"],
        bundle=run.space.bundle,
        post=post,
    )


def _posted(run: Run) -> Post | None:
    """Post a run that is signed, and see whether its post is final; each is done once."""
    poster, state = run.solver.poster, run.states.state
    if state in ("signed", "posted"):
        if poster is None:
            raise RunError("it was posted on a chain, and the settings name none: rpc is missing")
        manifest = written_manifest(run.space.path)
        assert manifest is not None  # it is signed
        if state == "signed":
            made = poster.post(manifest)
            run.advance("posted", post_id=made.post_id, chain_id=made.chain_id)
            if made.seconds_left:
                return made
        found = poster.bring(manifest)
        if found.is_open:
            return found
        run.advance("final", **msgspec.structs.asdict(found))
    noted = run.states.facts("final")
    return msgspec.convert(noted, Post) if noted else None


def _bundle(run: Run) -> None:
    space, log = run.space, _logged(run)
    try:
        write_bundle(space.path, space.bundle, log=log)
    except (ArtifactRefused, UnreadableError):
        # What was signed is handed on in any case, with the list of artefacts and without them:
        # a program that goes on and alters what it left must not make its run vanish.
        write_bundle(space.path, space.bundle, artifacts=False, log=log)


def _logged(run: Run) -> Mapping[str, bytes] | None:
    """Return what a log says of the run's receipts, where the settings name one."""
    if run.solver.log is None:
        return None
    manifest = written_manifest(run.space.path)
    assert manifest is not None  # it is signed
    return run.solver.log.members(
        parse_manifest(manifest), run.space.path, is_cancelled=run.solver.is_cancelled
    )


def told(
    status: str, error: str | None, facts: Facts, *, runner: str | None, sandbox: Facts
) -> dict[str, Any]:
    """Return what the manifest says of an execution."""
    # Last, and whether there was an error or not: no fact of a runner's passes for one of these.
    summary: dict[str, Any] = {**_fitted(facts), "status": status, "error": error}
    environment = {"toolVersion": __version__, "runner": runner, "sandbox": _fitted(sandbox)}
    return {"summary": summary, "environment": environment}


def _received(
    solver: Solver, intent: Intent, data: bytes, tenant: str | None, stack: ExitStack
) -> Run:
    """Make a run's directory, and hold its lock before anybody can take it for one cut off."""
    now = timestamp(solver.clock())
    run_id = next_attempt(solver.home, intent.intent_id, now)
    run = Run(solver, intent, run_id)
    run.space.make()
    stack.enter_context(held(run.space.lock, "the run"))
    run.space.keep(data, solver.policy.to_json())
    whose = {} if tenant is None else {"tenant": tenant}
    run.advance("received", at=now, intent_id=intent.intent_id, job_type=intent.jobType, **whose)
    return run


def _execute(run: Run, journal: Journal) -> dict[str, Any]:
    runner = run.solver.runners[run.intent.jobType]
    most = run.solver.policy.max_bytes
    work = Work(
        intent=run.intent,
        run_id=run.run_id,
        artifacts=os.path.realpath(run.space.artifacts),
        hidden=run.solver.hidden,
        bytes_max=most,
        is_cancelled=run.solver.is_cancelled,
    )
    try:
        ran = runner.run(work, journal.records)
    except Exception as fault:  # noqa: BLE001  # a runner of others may raise anything: a failure
        ran = Ran(status="FAILED", error=f"the runner raised {type(fault).__name__}: {fault}")
    error = ran.error
    size = run.space.artifact_bytes()
    if size > most:
        error = f"artefacts have {size} bytes, over max {most}" + (f"; {error}" if error else "")
        run.space.withhold()
        return told(
            "FAILED", error, ran.facts | {"withheld": True}, runner=runner.name, sandbox=ran.sandbox
        )
    return told(ran.status, error, ran.facts, runner=runner.name, sandbox=ran.sandbox)


def _refused(decision: Decision) -> dict[str, Any]:
    return told("REFUSED", f"refused: {decision}", {}, runner=None, sandbox={})


def _fitted(facts: Facts) -> Facts:
    return {
        name: fit_text(value, DETAIL_BYTES_MAX) if isinstance(value, str) else value
        for name, value in facts.items()
    }
