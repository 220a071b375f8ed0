# SPDX-License-Identifier: Apache-2.0
"""Solvers for tests: fixed keys, a clock that steps by a millisecond, ids from a counter."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any, Final

import msgspec
from tests import material

from tallystick.crypto.multibase import b64u_encode, did_key_encode
from tallystick.keys.local import LocalSigner
from tallystick.model.decision import Decision
from tallystick.model.intent import Intent, intent_of, signing_bytes, with_signature
from tallystick.model.policy import Policy, policy_of
from tallystick.solver.home import SolverHome
from tallystick.solver.runner import Ran, Records, Runner, Work
from tallystick.solver.safe_report import SafeReportRunner
from tallystick.solver.setup import Solver

NOW: Final = "2026-03-04T05:06:07.000Z"
NOW_NS: Final = 1_772_600_767 * 10**9
ALICE: Final = did_key_encode(material.PUBLIC)
PRIVATE: Final = material.KEY.private_key

Members = dict[str, Any]


def asked(**changes: Any) -> Members:
    """Return an intent's JSON value; a change to None leaves a member out."""
    members = {
        "intentVersion": "1.0.0",
        "requester": ALICE,
        "createdAt": "2026-03-04T05:00:00Z",
        "expiresAt": "2026-03-05T00:00:00Z",
        "jobType": "SAFE_REPORT",
        "inputs": {"subject": "soil", "data": {"ph": 6.5}},
        **changes,
    }
    return {name: value for name, value in members.items() if value is not None}


def body(**changes: Any) -> bytes:
    """Return the bytes of an intent."""
    return json.dumps(asked(**changes)).encode()


def intent(**changes: Any) -> Intent:
    """Return an intent."""
    return intent_of(asked(**changes))


def signed(**changes: Any) -> Members:
    """Return an intent's JSON value with the signature of Alice."""
    value = asked(**changes)
    signature = material.KEY.signing_key().sign(signing_bytes(intent_of(value)))
    return with_signature(value, "ed25519", b64u_encode(signature))


def policy(**changes: Any) -> Policy:
    """Return a policy; a change to None leaves a member out."""
    members = {"jobTypeAllowlist": ["SAFE_REPORT"], "maxArtifactMb": 5, **changes}
    return policy_of({name: value for name, value in members.items() if value is not None})


def codes(decision: Decision) -> list[str]:
    """Return the codes of a decision's reasons."""
    return [reason.code for reason in decision.reasons]


class Scripted:
    """A runner that does what a function of the test says."""

    name = "scripted"

    def __init__(self, work: Any) -> None:
        self._work = work
        self.calls = 0

    def run(self, work: Work, records: Records, /) -> Ran:
        """Call the function, in an action that is recorded."""
        self.calls += 1
        with records.action("system.code.execute", target={"system": "local", "resource": "test"}):
            found = self._work(work)
        return found if isinstance(found, Ran) else Ran(status="SUCCESS")


def solver(folder: Path, runners: Mapping[str, Runner] | None = None, **changes: Any) -> Solver:
    """Return a solver whose home is in a folder."""
    times, numbers = count(NOW_NS, 10**6), count(1)
    home = SolverHome(folder / "home")
    home.make()
    members: Members = {
        "home": home,
        "signer": LocalSigner(material.KEY),
        "issuer": "did:example:solver",
        "policy": policy(jobTypeAllowlist=["SAFE_REPORT", *(runners or {})]),
        "runners": {"SAFE_REPORT": SafeReportRunner({}), **(runners or {})},
        "clock": lambda: next(times),
        "ids": lambda: material.uuid(next(numbers)),
        **changes,
    }
    return Solver(**members)


def configured(folder: Path, toml: str = "") -> Path:
    """Make a solver's home with a key and its settings, as the command line finds it."""
    home = folder / "tally-solver"
    home.mkdir(mode=0o700)
    key = home / "signing.key"
    key.write_text(PRIVATE, encoding="ascii")
    key.chmod(0o600)
    (home / "signing.key.pub").write_text(material.KEY.public_key, encoding="ascii")
    (home / "solver.toml").write_text(toml, encoding="utf-8")
    return home


def manifest_of(run_dir: str | Path) -> Members:
    """Return a run's manifest as JSON, after its hash was compared."""
    evidence = Path(run_dir) / "evidence"
    data = (evidence / "manifest.json").read_bytes()
    assert data.endswith(b"\n")
    assert (evidence / "manifest.sha256").read_text() == sha256(data[:-1]).hexdigest() + "\n"
    found: Members = msgspec.json.decode(data)
    return found


def receipts_of(run_dir: str | Path) -> list[Members]:
    """Return a run's receipts as JSON."""
    lines = (Path(run_dir) / "receipts.jsonl").read_bytes().splitlines()
    return [msgspec.json.decode(line) for line in lines]
