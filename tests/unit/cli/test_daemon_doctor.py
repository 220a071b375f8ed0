# SPDX-License-Identifier: Apache-2.0
"""`tally daemon doctor` where nothing runs; see tests/systems/test_daemon_verbs.py for the rest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.command import tally


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let everything lie in a folder of the test."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))


def test_what_is_wrong_is_named() -> None:
    """Exit code 1, a table with what to do, and one line with the names."""
    done = tally("daemon", "doctor")
    assert done.code == 1
    assert "tally daemon init" in done.out
    assert "daemon, socket, key" in done.err


def test_checks_as_json() -> None:
    """Each check with its name, state and remedy; a round trip only where it is asked for."""
    names = [one["name"] for one in json.loads(tally("daemon", "doctor", "--json").out)["checks"]]
    assert "roundtrip" not in names
    done = tally("daemon", "doctor", "--json", "--roundtrip")
    assert json.loads(done.out)["checks"][-1]["name"] == "roundtrip"
