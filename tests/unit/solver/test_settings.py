# SPDX-License-Identifier: Apache-2.0
"""Settings: where they come from, and what contradicts itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.solving import ALICE

from tallystick.errors import SettingError
from tallystick.limits import SOLVER_CONCURRENCY_MAX, SOLVER_QUEUE_MAX
from tallystick.solver.settings import SolverSettings, load_settings, make_runners, read_list


def _load(folder: Path, toml: str = "", /, **environ: str) -> SolverSettings:
    (folder / "solver.toml").write_text(toml, encoding="utf-8")
    return load_settings({"home": str(folder)}, environ=environ)


def test_defaults_are_the_sources(tmp_path: Path) -> None:
    """Without any setting, one job type and five megabytes are allowed, to anybody."""
    found = _load(tmp_path)
    assert found.policy.jobTypeAllowlist == ("SAFE_REPORT",)
    assert found.policy.requesterAllowlist is None
    assert found.policy.maxArtifactMb == 5
    assert found.policy.maxHorizonSeconds is None
    assert not found.policy.requireSignature
    assert found.key == str(tmp_path / "signing.key")
    assert found.tokens == str(tmp_path / "tokens")
    assert found.issuer == ""
    assert list(make_runners(found)) == ["SAFE_REPORT"]


def test_environment_beats_the_file(tmp_path: Path) -> None:
    """The source's variables are read as it wrote them."""
    found = _load(
        tmp_path,
        'policy_max_artifact_mb = 7\npolicy_jobtype_allowlist = ["SAFE_REPORT"]\n'
        'policy_max_horizon = "1h30m"\npolicy_require_signature = true\n',
        POLICY_JOBTYPE_ALLOWLIST="SAFE_REPORT",
        POLICY_REQUESTER_ALLOWLIST="alice,bob",
        POLICY_MAX_ARTIFACT_MB="9",
    )
    assert found.policy.requesterAllowlist == ("alice", "bob")
    assert found.policy.maxArtifactMb == 9
    assert found.policy.maxHorizonSeconds == 5400
    assert found.policy.requireSignature


def test_requesters_and_jobs_are_tables(tmp_path: Path) -> None:
    """Names get their keys, and job types their runners."""
    found = _load(
        tmp_path,
        f'policy_jobtype_allowlist = ["BUILD"]\n[requesters]\nalice = "{ALICE}"\n'
        '[jobs.BUILD]\nrunner = "command"\nargv = ["true"]\n',
    )
    assert found.policy.requesterKeys == {"alice": ALICE}
    assert set(make_runners(found)) == {"SAFE_REPORT", "BUILD"}


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ("unknown = 1", "unknown"),
        ("policy_max_artifact_mb = true", "whole number"),
        ('policy_max_artifact_mb = "5 MB"', "whole number"),
        ("policy_max_artifact_mb = 0", "maxArtifactMb"),
        ('policy_require_signature = "yes"', "true or false"),
        ('policy_max_horizon = "soon"', "duration"),
        ('policy_max_horizon = "10ms"', "1s at least"),
        ('policy_jobtype_allowlist = "A, B"', "space around"),
        ('policy_jobtype_allowlist = ["A", 1]', "list of names"),
        ('policy_jobtype_allowlist = ["SAFE_REPORT", "SAFE_REPORT"]', "twice"),
        ('policy_jobtype_allowlist = ["a b"]', "jobTypeAllowlist"),
        ('[requesters]\nalice = "nobody"', "did:key"),
        ("requesters = 1", "requesterKeys"),
        ("jobs = []", "tables"),
        ("concurrency = 0", "concurrency"),
        (f"concurrency = {SOLVER_CONCURRENCY_MAX + 1}", "concurrency"),
        (f"queue = {SOLVER_QUEUE_MAX + 1}", "queue"),
        ('drain_timeout = "2h"', "drain_timeout"),
        ('log_format = "xml"', "log_format"),
        ('log_level = "loud"', "log_level"),
        ('tls_key = "k"', "tls_cert"),
    ],
)
def test_what_can_not_be_meant_is_refused(tmp_path: Path, toml: str, told: str) -> None:
    """Types are strict, and no setting is guessed."""
    with pytest.raises(SettingError, match=told):
        _load(tmp_path, toml)


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ('policy_jobtype_allowlist = ["MINE"]', "no \\[jobs.MINE\\]"),
        ("[jobs.X]\nargv = ['true']", "names no runner"),
        ('[jobs.X]\nrunner = "none"', "there is no runner"),
        ('[jobs.X]\nrunner = "command"', "argv"),
    ],
)
def test_a_job_type_needs_what_runs_it(tmp_path: Path, toml: str, told: str) -> None:
    """What can't be run is told at the start, and not when an intent comes."""
    settings = _load(tmp_path, toml)
    with pytest.raises(SettingError, match=told):
        make_runners(settings)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [("", None), ("a", ("a",)), ("a,b", ("a", "b")), ([], ()), (["a", "b"], ("a", "b"))],
)
def test_lists_are_commas_or_arrays(given: Any, wanted: Any) -> None:
    """Nothing set is not the same as an empty list."""
    assert read_list(given) == wanted


@pytest.mark.parametrize("given", ["a,", ",a", "a,,b", " a", "a\n", ["a", ""], 5, True, {}])
def test_lists_are_strict(given: Any) -> None:
    """An empty name, a space or another type is refused."""
    with pytest.raises(ValueError, match=r"must be a list|holds"):
        read_list(given)


def test_the_home_may_stand_in_the_file(tmp_path: Path) -> None:
    """A file that is named says where the home is, unless a flag does."""
    file = tmp_path / "other.toml"
    file.write_text(f'home = "{tmp_path / "there"}"\nissuer = "did:web:a"\n')
    found = load_settings({}, file=file, environ={})
    assert found.home == str(tmp_path / "there")
    assert found.issuer == "did:web:a"
    with pytest.raises(SettingError, match="home"):
        load_settings({"home": ""}, environ={"TALLY_SOLVER_HOME": ""}, file=_empty(tmp_path))


def _empty(folder: Path) -> Path:
    path = folder / "empty.toml"
    path.write_text('home = ""')
    return path


def test_a_store_without_its_daemon_does_not_start(tmp_path: Path) -> None:
    """A store is read behind a daemon's acknowledgements; alone it means nothing."""
    with pytest.raises(SettingError, match="no daemon is named"):
        load_settings({"home": str(tmp_path), "store": "/x/receipts.db"}, environ={})
    both = {"AGENTRECEIPTS_SOCKET": "/x/events.sock", "TALLY_SOLVER_STORE": "/x/receipts.db"}
    found = load_settings({"home": str(tmp_path)}, environ=both)
    assert (found.daemon, found.store) == ("/x/events.sock", "/x/receipts.db")


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ('collector = "https://c.example"', "go together"),
        ('vkey = "log.vkey"', "go together"),
        (
            'collector = "https://c.example"\nvkey = "log.vkey"\ndaemon = "events.sock"',
            "collector needs the receipts",
        ),
    ],
)
def test_a_log_needs_its_key_and_the_receipts(tmp_path: Path, toml: str, told: str) -> None:
    """A collector whose word nobody could check, or that would get nothing, does not start."""
    file = tmp_path / "solver.toml"
    file.write_text(toml)
    with pytest.raises(SettingError, match=told):
        load_settings({}, file=file, environ={})
