# SPDX-License-Identifier: Apache-2.0
"""The service's answers: what is taken, what is refused, and who sees what."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests import material
from tests.command import tally
from tests.daemons import wait_until
from tests.solver_service import JSON, Solving
from tests.solving import asked, body, intent

from tallystick.solver.states import STATES

_LATER = "2999-01-01T00:00:00Z"


def test_an_intent_comes_to_its_bundle(tmp_path: Path) -> None:
    """Taken with 202, run, told of, and handed out as a bundle that verifies."""
    with Solving(tmp_path) as service:
        wanted = intent(jobType="WORK", expiresAt=_LATER).intent_id
        answer = service.post(body(jobType="WORK", expiresAt=_LATER))
        assert answer.status == 202
        assert answer.json == {"intentId": wanted, "state": "queued"}
        assert answer.headers["location"] == f"/intents/{wanted}"
        (run,) = service.done(wanted)["runs"]
        assert (run["status"], run["allowed"], run["jobType"]) == ("SUCCESS", True, "WORK")
        assert service.ask("GET", f"/runs/{run['runId']}").json == run
        bundle = service.ask("GET", f"/runs/{run['runId']}/bundle")
        assert bundle.headers["content-type"] == "application/x-tar"
        head = service.ask("HEAD", f"/runs/{run['runId']}/bundle")
        assert head.headers["content-length"] == str(len(bundle.body))
        assert head.body == b""
    (tmp_path / "b.tally").write_bytes(bundle.body)
    (tmp_path / "k.pub").write_text(material.KEY.public_key)
    answered = tally(
        "evidence", "verify", str(tmp_path / "b.tally"), "--key", str(tmp_path / "k.pub")
    )
    assert answered.code == 0, answered


def test_an_intent_is_taken_once(tmp_path: Path) -> None:
    """A second post is 409 and makes no run, while it waits or runs and after."""
    with Solving(tmp_path, concurrency="1") as service:
        given = body(jobType="WORK", expiresAt=_LATER)
        intent_id = service.post(given).json["intentId"]
        for _ in range(5):
            again = service.post(given)
            assert again.problem == "already-accepted"
            assert again.json["intentId"] == intent_id
            assert again.json["state"] in STATES or again.json["state"] == "queued"
        (run,) = service.done(intent_id)["runs"]
        known = service.post(given)
        assert known.problem == "already-accepted"
        assert (known.json["state"], run["state"]) == ("done", "done")
        assert service.meter('tally_solver_intents_total{outcome="already_accepted"}') == 6


@pytest.mark.parametrize(
    ("data", "problem", "code"),
    [
        (b"", "empty-body", None),
        (b'{"a":1,"a":2}', "malformed-json", "MALFORMED_DUPLICATE_KEY"),
        (b"[]", "malformed-intent", "INTENT_SHAPE"),
        (json.dumps({**asked(), "extra": 1}).encode(), "malformed-intent", "INTENT_UNKNOWN_FIELD"),
        (json.dumps({**asked(), "meta": None}).encode(), "malformed-intent", "INTENT_NULL"),
        (b'{"inputs":' + b"[" * 100 + b"]" * 100 + b"}", "malformed-json", "MALFORMED_DEPTH"),
    ],
)
def test_what_is_no_intent_is_refused(
    tmp_path: Path, data: bytes, problem: str, code: str | None
) -> None:
    """The same strict parser as on the command line, with its codes; nothing is kept."""
    with Solving(tmp_path) as service:
        answer = service.post(data)
        assert answer.problem == problem
        assert answer.json.get("code") == code
        assert service.meter('tally_solver_intents_total{outcome="malformed"}') == (data != b"")
    assert not list((service.home / "queue").iterdir())


def test_requests_are_bounded_in_kind(tmp_path: Path) -> None:
    """Media types, methods and addresses that nothing takes."""
    with Solving(tmp_path) as service:
        assert service.ask("POST", "/intents", b"{}").problem == "wrong-media-type"
        assert service.ask("GET", "/intents").problem == "wrong-method"
        assert service.ask("POST", "/healthz", b"").problem == "wrong-method"
        for path in ("/", "/intents/x", "/runs/" + "A" * 64, "/runs/../x", "/other"):
            assert service.ask("GET", path).problem == "not-found"
        unknown = "ab" * 32
        for path in (f"/intents/{unknown}", f"/runs/{unknown}", f"/runs/{unknown}/bundle"):
            assert service.ask("GET", path).problem == "not-found"
        assert service.ask("GET", "/healthz").json == {"status": "ok"}
        assert service.ask("GET", "/readyz").json == {"status": "ready"}
        assert service.ask("HEAD", "/readyz").body == b""


def test_too_much_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body over its limit is 413 before it is read."""
    monkeypatch.setattr("tallystick.solver.intake.INTENT_BYTES_MAX", 1000)
    with Solving(tmp_path) as service:
        assert service.post(b"x" * 1001).problem == "too-large"


def test_a_full_queue_says_so(tmp_path: Path) -> None:
    """503 with Retry-After, and readiness says the same; nothing that was taken is lost."""
    with Solving(tmp_path, concurrency="1", queue="1") as service:
        ids, refused = [], 0
        for number in range(6):
            answer = service.post(body(jobType="WORK", nonce=str(number), expiresAt=_LATER))
            if answer.status == 202:
                ids.append(answer.json["intentId"])
            else:
                assert answer.problem == "busy"
                assert answer.headers["retry-after"]
                refused += 1
        assert refused
        assert service.ask("GET", "/readyz").status in (200, 503)
        for one in ids:
            service.done(one)
        assert service.meter('tally_solver_intents_total{outcome="no_room"}') == refused


def test_tenants_do_not_see_each_other(tmp_path: Path) -> None:
    """Tokens decide who may hand in, who may read, and what of."""
    service = Solving(tmp_path)
    acme, other = service.token("acme"), service.token("other")
    reader, writer = service.token("acme", "read"), service.token("acme", "write")
    with service:
        given = body(expiresAt=_LATER)
        assert service.post(given).problem == "not-authorised"
        assert service.post(given, {"Authorization": "Bearer tally_x"}).problem == "not-authorised"
        assert service.post(given, reader).problem == "not-allowed"
        intent_id = service.post(given, writer).json["intentId"]
        (run,) = service.done(intent_id, acme)["runs"]
        for path in (
            f"/intents/{intent_id}",
            f"/runs/{run['runId']}",
            f"/runs/{run['runId']}/bundle",
        ):
            assert service.ask("GET", path, headers=reader).status == 200
            assert service.ask("GET", path, headers=other).problem == "not-found"
            assert service.ask("GET", path, headers=writer).problem == "not-allowed"
            assert service.ask("GET", path).problem == "not-authorised"
        known = [service.post(given, one).json for one in (writer, other)]
        assert [one.get("state") for one in known] == ["done", None]
        assert all("runs" not in one for one in known)
        assert service.ask("GET", "/metrics").problem == "not-authorised"
        assert service.ask("GET", "/metrics", headers=reader).status == 200


def test_a_refusal_is_told_with_its_reasons(tmp_path: Path) -> None:
    """What the gate refuses has a run with all reasons, and moves the metrics."""
    with Solving(tmp_path) as service:
        answer = service.post(body(jobType="MINE", expiresAt="2026-01-01T00:00:00Z"), JSON)
        (run,) = service.done(answer.json["intentId"])["runs"]
        assert run["status"] == "REFUSED"
        assert len(run["reasons"]) == 2
        runs = 'tally_solver_runs_total{job_type="other",status="REFUSED"}'
        wait_until(lambda: service.meter(runs) == 1)  # behind the run's own end, and counted last
        assert service.meter('tally_solver_reasons_total{code="JOB_TYPE_NOT_ALLOWED"}') == 1
        assert service.meter('tally_solver_decisions_total{decision="refused"}') == 1
        assert service.meter("tally_solver_running") == 0
        assert service.meter("tally_up") == 1
