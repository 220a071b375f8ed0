# SPDX-License-Identifier: Apache-2.0
"""A run's bundle and the log of a collector's process: logged, and checked when that is gone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.command import Answer, tally
from tests.solving import asked, configured
from tests.systems.test_collector_process import Process

from tallystick.crypto.canonical import canonicalize
from tallystick.serve.tokens import add_token
from tallystick.solver.bundling import write_bundle

PUBLIC = "tally-solver/signing.key.pub"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder with a solver's home, without a token."""
    configured(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AGENTRECEIPTS_COLLECTOR_TOKEN", raising=False)


def ran(nonce: str, *settings: str) -> tuple[Answer, Path]:
    """Run an intent; return the answer, and where the bundle is."""
    Path("intent.json").write_bytes(canonicalize(asked(expiresAt=None, nonce=nonce)))
    answer = tally("solver", "run", "intent.json", "--json", *settings)
    assert answer.code == 0, answer.err
    return answer, Path(json.loads(answer.out)["bundle"])


def key_of_log() -> str:
    """Return the log's public key, as its operator publishes it."""
    return tally("collector", "keys", "show").out.split("\n")[0]


def test_a_bundle_is_logged_and_checked_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the verb and by the setting, under a token; then without a collector, by files alone."""
    token, _ = add_token("collector.tokens", "acme", made_at="now", access="write")
    _, plain = ran("1")
    collector = Process(Path())
    try:
        Path("log.vkey").write_text(key_of_log() + "\n")
        ask = ("--collector", collector.url, "--vkey", "log.vkey")
        refused = tally("evidence", "log", str(plain), *ask, "--out", "one.tally")
        assert (refused.code, "401" in refused.err) == (3, True), refused.err
        assert not Path("one.tally").exists()
        monkeypatch.setenv("AGENTRECEIPTS_COLLECTOR_TOKEN", token)
        done = tally("evidence", "log", str(plain), *ask, "--out", "one.tally")
        assert done.code == 0, done.err
        by_setting, bundle = ran("2", *ask)
    finally:
        assert collector.end() == 0
    shutil.copy(bundle, "two.tally")
    keys = ("--key", PUBLIC, "--vkey", "log.vkey")
    for name in ("one.tally", "two.tally"):
        verdict = tally("evidence", "verify", name, *keys)
        assert verdict.code == 0, verdict.out
    before = tally("evidence", "verify", str(plain), *keys)
    assert (before.code, "LOG_PROOF_MISSING" in before.out) == (3, True)
    told = (done.out, done.err, by_setting.out, by_setting.err, collector.log.read_text())
    assert not any(token in one for one in told)


def test_a_stranger_logs_what_they_were_given() -> None:
    """No key of the solver's is needed, and no artefacts: the list alone is a bundle, too."""
    run_dir = ran("1")[1].parent
    write_bundle(run_dir, "given.tally", artifacts=False)
    collector = Process(Path())
    try:
        vkey = key_of_log()
        ask = ("--collector", collector.url, "--vkey", vkey, "--out", "out.tally")
        done = tally("evidence", "log", "given.tally", *ask)
        assert done.code == 0, done.err
    finally:
        assert collector.end() == 0
    beside = ("--artifacts", str(run_dir / "artifacts"))
    verdict = tally("evidence", "verify", "out.tally", "--key", PUBLIC, "--vkey", vkey, *beside)
    assert verdict.code == 0, verdict.out
