# SPDX-License-Identifier: Apache-2.0
"""Runners are found by name: ours first, then what other packages bring."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tallystick.errors import RunnerError
from tallystick.solver.command import CommandRunner
from tallystick.solver.python_runner import PythonRunner
from tallystick.solver.runner import make_runner, runner_names
from tallystick.solver.safe_report import SafeReportRunner

_PLUGIN = """
class Runner:
    name = "brewing"
    def __init__(self, settings):
        self.settings = settings
    def run(self, work, records):
        raise NotImplementedError

def wrong(settings):
    return object()
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a package that brings runners."""
    (tmp_path / "brewery.py").write_text(_PLUGIN)
    info = tmp_path / "brewery-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: brewery\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[tallystick.runners]\nbrew = brewery:Runner\nwrong = brewery:wrong\n"
        "gone = brewery:absent\ncommand = brewery:Runner\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "brewery", raising=False)


def test_ours_are_built_in() -> None:
    """The three runners of the issue are there without any package."""
    assert isinstance(make_runner("command", {"argv": ["true"]}), CommandRunner)
    assert isinstance(make_runner("python", {"callable": "json:loads"}), PythonRunner)
    assert isinstance(make_runner("safe-report", {}), SafeReportRunner)
    assert {"command", "python", "safe-report"} <= set(runner_names())


@pytest.mark.usefixtures("plugin")
def test_an_entry_point_brings_a_runner() -> None:
    """Another package's runner gets the settings of its job type."""
    assert "brew" in runner_names()
    found = make_runner("brew", {"hops": 3})
    assert found.name == "brewing"
    assert vars(found) == {"settings": {"hops": 3}}


@pytest.mark.usefixtures("plugin")
def test_no_package_replaces_ours() -> None:
    """An entry point named like one of ours is not asked."""
    assert isinstance(make_runner("command", {"argv": ["true"]}), CommandRunner)


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize(
    ("name", "told"),
    [("none", "there is no runner 'none'"), ("wrong", "no runner"), ("gone", "can't be loaded")],
)
def test_what_is_no_runner_is_told(name: str, told: str) -> None:
    """A name without a runner, a factory that gives none, and one that is not there."""
    with pytest.raises(RunnerError, match=told):
        make_runner(name, {})
