# SPDX-License-Identifier: Apache-2.0
"""How verbs of the daemon fail over its settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from tallystick.cli.daemon_settings import daemon_settings
from tallystick.cli.output import Exit, Stop


def test_each_fault_has_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings that can't be are usage; a file that can't be read is unchecked."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with pytest.raises(Stop) as caught:
        daemon_settings(None, {"socket": "tcp://127.0.0.1:9"})
    assert caught.value.code == Exit.USAGE
    with pytest.raises(Stop) as caught:
        daemon_settings(str(tmp_path / "none"), {})
    assert caught.value.code == Exit.UNCHECKED
