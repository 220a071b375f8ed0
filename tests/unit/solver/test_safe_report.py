# SPDX-License-Identifier: Apache-2.0
"""The report: the same bytes for the same inputs, and nothing in it but text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.solving import intent

from tallystick.errors import RunnerError
from tallystick.solver.runner import Ran, Work
from tallystick.solver.safe_report import SafeReportRunner, escaped, make_markdown, make_report


class _Records:
    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def action(self, action: str, **members: Any) -> Any:
        self.told.append((action, members["target"]["resource"]))
        return self

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def _run(folder: Path, **inputs: Any) -> tuple[Ran, _Records]:
    records = _Records()
    work = Work(
        intent=intent(inputs=inputs), run_id="ab" * 32, artifacts=str(folder), bytes_max=1000
    )
    return SafeReportRunner({}).run(work, records), records


def test_two_files_are_left_and_recorded(tmp_path: Path) -> None:
    """The report lies there as JSON and as Markdown, each by an action of the chain."""
    ran, records = _run(tmp_path, subject="soil", data={"ph": 6.5, "n": 1})
    assert ran.status == "SUCCESS"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.json", "report.md"]
    assert records.told == [
        ("filesystem.file.create", "artifacts/report.json"),
        ("filesystem.file.create", "artifacts/report.md"),
    ]
    report = json.loads((tmp_path / "report.json").read_bytes())
    assert report["stats"] == {"keysCount": 2, "bytes": len(b'{"n":1,"ph":6.5}')}
    assert report["generatedBy"]["runId"] == "ab" * 32


def test_nothing_an_intent_says_becomes_markup() -> None:
    """Links, HTML, headings and line feeds of an intent stay text."""
    evil = "[x](http://e) <script>alert(1)</script>\n# head\x1b[2J | `a` ***"
    asked = intent(inputs={"subject": evil, "data": {evil: evil}})
    text = make_markdown(make_report(asked, "ab" * 32)).decode()
    for line in text.splitlines():
        body = line.removeprefix("# Report: ").removeprefix("- ")
        for mark in "<>[]()`*#|\x1b":
            assert mark not in body.replace("&#", ""), line
    assert len(text.splitlines()) == 7


def test_escaped_text_is_one_line_of_text() -> None:
    """Letters stay, marks and controls become references."""
    assert escaped("Äpfel 1") == "Äpfel 1"
    assert escaped("a\nb<c") == "a&#10;b&#60;c"


@pytest.mark.parametrize(
    "inputs",
    [{}, {"subject": "", "data": {}}, {"subject": 1, "data": {}}, {"subject": "a", "data": []},
     {"subject": "a", "data": {}, "more": 1}],
)  # fmt: skip
def test_other_inputs_are_a_failure(tmp_path: Path, inputs: dict[str, Any]) -> None:
    """What is no subject and data fails with a text, and leaves nothing."""
    ran, records = _run(tmp_path, **inputs)
    assert ran.status == "FAILED"
    assert ran.error is not None
    assert ran.error.startswith("inputs")
    assert records.told == []
    assert list(tmp_path.iterdir()) == []


def test_it_takes_no_settings() -> None:
    """A setting that would be ignored is refused."""
    with pytest.raises(RunnerError, match="takes no settings"):
        SafeReportRunner({"argv": []})
