# SPDX-License-Identifier: Apache-2.0
"""The fuzz target runs without atheris, and notices a verifier that is fooled."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.fuzz import fuzz_verify
from tests.material import OTHER_KEY, PUBLIC, chain_of, lines, signed, statement, wire

from tallystick.verify.report import Report, Verdict
from tallystick.verify.verification import verify_chain

TARGET = Path(fuzz_verify.__file__)


def test_a_short_run_finds_nothing(tmp_path: Path) -> None:
    """The documented command works from anywhere, and every law holds for a while."""
    done = subprocess.run(
        [sys.executable, str(TARGET), "--runs", "400", "--seed", "1"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "fuzz: 400 runs, nothing found\n"


def test_seeds_are_what_the_verifier_accepts() -> None:
    """Fuzzing begins at inputs that are verified: there is something to break."""
    verified = [seed for seed in fuzz_verify.SEEDS if verify_chain(seed, PUBLIC)]
    assert len(verified) >= 8
    for seed in fuzz_verify.SEEDS:
        fuzz_verify.one_input(seed)


def test_mutations_are_repeatable_and_various() -> None:
    """One seed gives one sequence of inputs, and they differ."""
    dice, again = random.Random(5), random.Random(5)
    made = [fuzz_verify.mutated(dice) for _ in range(200)]
    assert made == [fuzz_verify.mutated(again) for _ in range(200)]
    assert len(set(made)) > 150


@pytest.mark.parametrize(
    "data",
    [wire(signed(statement(), OTHER_KEY)), lines(chain_of(2, key=OTHER_KEY)), b"{}"],
    ids=["receipt", "chain", "nothing"],
)
def test_a_verifier_that_is_fooled_is_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], data: bytes
) -> None:
    """Were forgeries verified, the target would stop and print the input."""

    def gullible(entry: Any) -> Any:
        def answer(raw: bytes, key: object, **options: Any) -> Report:
            report: Report = entry(raw, key, **options)
            return Report(verdict=Verdict.VERIFIED, findings=(), chains=report.chains, receipts=1)

        return answer

    for name in ("verify_receipt", "verify_chain"):
        monkeypatch.setattr(fuzz_verify, name, gullible(getattr(fuzz_verify, name)))
    monkeypatch.setattr(fuzz_verify, "SEEDS", [])
    monkeypatch.setattr(fuzz_verify, "mutated", lambda dice: data)
    with pytest.raises((AssertionError, KeyError)):
        fuzz_verify.run(1, 0)
    assert repr(data) in capsys.readouterr().err
