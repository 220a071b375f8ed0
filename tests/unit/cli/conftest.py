# SPDX-License-Identifier: Apache-2.0
"""Every test of the command line works among the files of the sessions."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.sessions.stage import stage


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stage the files in an empty directory, and work there."""
    stage(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    return tmp_path
