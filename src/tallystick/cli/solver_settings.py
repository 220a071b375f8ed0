# SPDX-License-Identifier: Apache-2.0
"""The settings of a solver for its verbs, and how verbs fail over them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tallystick.cli.output import Exit, Stop


def settings_of(config: str | None, flags: dict[str, Any]) -> Any:
    """Return the settings, or end with exit code 2."""
    from tallystick.errors import SettingError
    from tallystick.solver.settings import load_settings

    try:
        return load_settings(flags, file=config)
    except SettingError as fault:
        raise Stop(Exit.USAGE, str(fault)) from None


def ready_solver(settings: Any) -> Any:
    """Return the solver of these settings."""
    from tallystick.solver.setup import open_solver

    return open_solver(settings)


def home_of(config: str | None, flags: dict[str, Any]) -> Any:
    """Return the home that the settings name; nothing is made, and no key is read."""
    from tallystick.solver.home import SolverHome

    return SolverHome(settings_of(config, flags).home)


@contextmanager
def unusable() -> Iterator[None]:
    """Turn what can't be used into exit codes: settings 2, keys and what is busy 3."""
    from tallystick.errors import (
        KeyFileError,
        MissingExtraError,
        RunBusyError,
        SettingError,
        SigningError,
    )

    try:
        yield
    except SettingError as fault:
        raise Stop(Exit.USAGE, str(fault)) from None
    except (KeyFileError, MissingExtraError, RunBusyError, SigningError) as fault:
        raise Stop(Exit.UNCHECKED, str(fault)) from None
