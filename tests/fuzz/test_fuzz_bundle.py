# SPDX-License-Identifier: Apache-2.0
"""The fuzz target of bundles runs without atheris, and notices a judge that is fooled."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from tests.fuzz import fuzz_bundle

from tallystick.verify.evidence import EvidenceReport, verify_evidence
from tallystick.verify.manifest_signers import Signers
from tallystick.verify.report import Verdict

TARGET = Path(fuzz_bundle.__file__)


def test_a_short_run_finds_nothing(tmp_path: Path) -> None:
    """The documented command works from anywhere, and every law holds for a while."""
    done = subprocess.run(
        [sys.executable, str(TARGET), "--runs", "500", "--seed", "1"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "fuzz: 500 runs, nothing found\n"


def test_a_judge_that_is_fooled_is_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Were a bundle of strangers verified, the target would stop and print it."""

    def gullible(data: bytes, signers: Signers) -> EvidenceReport:
        report = verify_evidence(data, signers)
        return msgspec.structs.replace(report, verdict=Verdict.VERIFIED)

    monkeypatch.setattr(fuzz_bundle, "verify_evidence", gullible)
    monkeypatch.setattr(fuzz_bundle, "SEEDS", [])
    monkeypatch.setattr(fuzz_bundle, "mutated", lambda dice: b"anything")
    with pytest.raises(AssertionError):
        fuzz_bundle.run(1, 0)
    assert repr(b"anything") in capsys.readouterr().err
