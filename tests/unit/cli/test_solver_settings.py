# SPDX-License-Identifier: Apache-2.0
"""How verbs of a solver fail: each fault its exit code."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.solving import configured

from tallystick.cli.output import Exit, Stop
from tallystick.cli.solver_settings import home_of, ready_solver, settings_of, unusable
from tallystick.errors import KeyFileError, PinRefused, RunBusyError, SettingError, SigningError


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (SettingError("x"), Exit.USAGE),
        (KeyFileError("x"), Exit.USAGE),
        (RunBusyError("x"), Exit.UNCHECKED),
        (SigningError("x"), Exit.UNCHECKED),
        (PinRefused("x"), Exit.USAGE),
    ],
)
def test_faults_have_codes(fault: Exception, code: Exit) -> None:
    """Settings and keys are usage; what can't be used now is 3."""
    with pytest.raises(Stop) as caught, unusable():
        raise fault
    assert caught.value.code == code


def test_settings_and_home(tmp_path: Path) -> None:
    """The home needs no key; a solver does."""
    home = configured(tmp_path)
    assert home_of(None, {"home": str(home)}).path == str(home)
    assert ready_solver(settings_of(None, {"home": str(home)})).home.path == str(home)
    with pytest.raises(Stop) as caught:
        settings_of(str(home / "solver.toml"), {"concurrency": "x"})
    assert caught.value.code == Exit.USAGE
