# SPDX-License-Identifier: Apache-2.0
"""The Python runner: a function of the operator's, in a process of its own."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.solving import intent

from tallystick.errors import RunnerError
from tallystick.solver.python_runner import PythonRunner
from tallystick.solver.runner import Ran, Work

_MODULE = """
import os

class Jobs:
    @staticmethod
    def double(inputs):
        open("note.txt", "w").write(os.environ["TALLY_RUN_ID"][:2])
        return {"twice": inputs["n"] * 2}

def fail(inputs):
    raise ValueError("no")

def nan(inputs):
    return float("nan")
"""


class _Records:
    def action(self, action: str, **members: Any) -> Any:
        assert action == "system.code.execute"
        return nullcontext(SimpleNamespace())


def _run(folder: Path, place: str) -> Ran:
    (folder / "lib").mkdir()
    (folder / "lib" / "jobs_of_test.py").write_text(_MODULE)
    work = Work(
        intent=intent(inputs={"n": 21}),
        run_id="ab" * 32,
        artifacts=str((folder / "artifacts").resolve()),
        bytes_max=100_000,
    )
    Path(work.artifacts).mkdir()
    settings = {"callable": f"jobs_of_test:{place}", "path": [str(folder / "lib")]}
    return PythonRunner(settings).run(work, _Records())


def test_what_a_function_returns_is_an_artefact(tmp_path: Path) -> None:
    """The function gets the inputs, and its result lies there as JSON beside what it wrote."""
    ran = _run(tmp_path, "Jobs.double")
    assert ran.status == "SUCCESS", (tmp_path / "artifacts" / "stderr.txt").read_text()
    assert json.loads((tmp_path / "artifacts" / "result.json").read_bytes()) == {"twice": 42}
    assert (tmp_path / "artifacts" / "note.txt").read_text() == "ab"
    assert ran.facts["callable"] == "jobs_of_test:Jobs.double"


@pytest.mark.parametrize("place", ["fail", "nan", "absent"])
def test_a_function_that_fails_is_a_failure(tmp_path: Path, place: str) -> None:
    """An exception, a value that JSON does not have, and a name that is not there."""
    ran = _run(tmp_path, place)
    assert (ran.status, ran.error) == ("FAILED", "the program ended with exit code 1")
    assert not (tmp_path / "artifacts" / "result.json").exists()
    assert b"Traceback" in (tmp_path / "artifacts" / "stderr.txt").read_bytes()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"callable": "os.system"},
        {"callable": "os:system('x')"},
        {"callable": "a:b", "path": "x"},
        {"callable": "a:b", "path": [""]},
        {"callable": "a:b", "argv": ["x"]},
        {"callable": "a:b", "unknown": 1},
    ],
)
def test_settings_are_strict(settings: dict[str, Any]) -> None:
    """What names no function is refused."""
    with pytest.raises(RunnerError):
        PythonRunner(settings)
