# SPDX-License-Identifier: Apache-2.0
"""The settings of a collector as options, and exit codes for what can't be used."""

from __future__ import annotations

import pytest

from tallystick.cli.output import Exit, Stop
from tallystick.cli.settings import settings_of, unusable
from tallystick.errors import (
    Error,
    KeyFileError,
    LogRolledBackError,
    MissingExtraError,
    SettingError,
    StoreCorruptError,
    StoreError,
    StoreLockedError,
)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (SettingError("x"), Exit.USAGE),
        (LogRolledBackError("x"), Exit.REFUSED),
        (StoreCorruptError("x"), Exit.REFUSED),
        (StoreError("x"), Exit.UNCHECKED),
        (StoreLockedError("x"), Exit.UNCHECKED),
        (KeyFileError("x"), Exit.UNCHECKED),
        (MissingExtraError("x"), Exit.UNCHECKED),
    ],
)
def test_each_fault_has_its_code(fault: Error, code: Exit) -> None:
    """Refused is what contradicts itself; unchecked is what could not be asked."""
    with pytest.raises(Stop) as caught, unusable():
        raise fault
    assert (caught.value.code, caught.value.line) == (code, "x")


def test_settings_that_contradict_are_usage() -> None:
    """With the words of the setting."""
    with pytest.raises(Stop, match="HOST:PORT") as caught:
        settings_of(None, {"addr": "x"})
    assert caught.value.code == Exit.USAGE
    settings, origins = settings_of(None, {"db": "y.db"})
    assert (settings.db, origins["db"]) == ("y.db", "--db")
