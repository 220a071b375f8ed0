# SPDX-License-Identifier: Apache-2.0
"""A run's bundle and a collector's log, as processes: intent, bundle, proof, verdict elsewhere."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.command import environment, process
from tests.solving import asked, configured
from tests.systems.test_collector_process import Process

from tallystick.crypto.canonical import canonicalize
from tallystick.serve.tokens import add_token
from tallystick.solver.bundling import write_bundle


def tally(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run one command as a process."""
    return subprocess.run(
        process(*arguments),
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def bundle_in(told: str) -> str:
    """Return the path of the bundle that a run names."""
    return told.split("bundle")[1].split(maxsplit=1)[0]


def test_a_bundle_is_logged_and_checked_elsewhere(tmp_path: Path) -> None:
    """By the verb and by the setting, under a token; then without a collector, by files alone."""
    home = configured(tmp_path)
    token, _ = add_token(tmp_path / "collector.tokens", "acme", made_at="now", access="write")
    collector = Process(tmp_path)
    key = tally(tmp_path, "collector", "keys", "show").stdout.split("\n")[0]
    (tmp_path / "log.vkey").write_text(key + "\n")
    ask = ("--collector", collector.url, "--vkey", "log.vkey")
    for name, nonce in (("one", "1"), ("two", "2")):
        value = asked(expiresAt=None, nonce=nonce)
        (tmp_path / f"{name}.json").write_bytes(canonicalize(value))
    try:
        plain = bundle_in(tally(tmp_path, "solver", "run", "one.json").stdout)
        verb = ("evidence", "log", plain, *ask, "--out", "one.tally")
        refused = tally(tmp_path, *verb)
        assert (refused.returncode, "401" in refused.stderr) == (3, True), refused.stderr
        assert not (tmp_path / "one.tally").exists()
        done = tally(tmp_path, *verb, AGENTRECEIPTS_COLLECTOR_TOKEN=token)
        assert done.returncode == 0, done.stderr
        ran = tally(
            tmp_path, "solver", "run", "two.json", *ask, AGENTRECEIPTS_COLLECTOR_TOKEN=token
        )
        assert ran.returncode == 0, ran.stderr
    finally:
        assert collector.end() == 0
    os.rename(bundle_in(ran.stdout), tmp_path / "two.tally")
    public = str(home / "signing.key.pub")
    for name in ("one.tally", "two.tally"):
        verdict = tally(tmp_path, "evidence", "verify", name, "--key", public, "--vkey", "log.vkey")
        assert verdict.returncode == 0, verdict.stdout
        assert "evidence_log_unseen" not in verdict.stdout
    other = tally(tmp_path, "evidence", "verify", plain, "--key", public, "--vkey", "log.vkey")
    assert (other.returncode, "LOG_PROOF_MISSING" in other.stdout) == (3, True)
    assert not any(token in one for one in (done.stdout, done.stderr, ran.stdout, ran.stderr))


def test_a_stranger_logs_what_they_were_given(tmp_path: Path) -> None:
    """No key of the solver's is needed, and no artefacts: the list alone is a bundle, too."""
    configured(tmp_path)
    (tmp_path / "one.json").write_bytes(canonicalize(asked(expiresAt=None)))
    run_dir = Path(bundle_in(tally(tmp_path, "solver", "run", "one.json").stdout)).parent
    write_bundle(run_dir, tmp_path / "given.tally", artifacts=False)
    collector = Process(tmp_path)
    try:
        key = tally(tmp_path, "collector", "keys", "show").stdout.split("\n")[0]
        ask = ("--collector", collector.url, "--vkey", key, "--out", "out.tally")
        done = tally(tmp_path, "evidence", "log", "given.tally", *ask)
        assert done.returncode == 0, done.stderr
    finally:
        assert collector.end() == 0
    public = str(tmp_path / "tally-solver" / "signing.key.pub")
    beside = ("--artifacts", str(run_dir / "artifacts"))
    verify = ("evidence", "verify", "out.tally", "--key", public, "--vkey", key, *beside)
    verdict = tally(tmp_path, *verify)
    assert verdict.returncode == 0, verdict.stdout
