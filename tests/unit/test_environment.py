# SPDX-License-Identifier: Apache-2.0
"""The environment is an argument, and the process's own one where none is given."""

from __future__ import annotations

import pytest

from tallystick import config
from tallystick.environment import read


def test_given_or_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A given mapping is asked alone; without one, the process's environment is."""
    monkeypatch.setenv("TALLY_TESTED", "own")
    assert read("TALLY_TESTED") == "own"
    assert read("TALLY_TESTED", {"TALLY_TESTED": "given"}) == "given"
    assert read("TALLY_TESTED", {}) is None
    assert config.read is read
