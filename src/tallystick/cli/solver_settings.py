# SPDX-License-Identifier: Apache-2.0
"""The settings of a solver for its verbs, and how verbs fail over them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

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
    from tallystick.cli.signers import named_evm_signer, named_signer
    from tallystick.solver.setup import open_solver

    return open_solver(settings, signer_of=named_signer, evm_signer_of=named_evm_signer)


def home_of(config: str | None, flags: dict[str, Any]) -> Any:
    """Return the home that the settings name; nothing is made, and no key is read."""
    from tallystick.durable.file import shown
    from tallystick.solver.home import SolverHome

    home = SolverHome(settings_of(config, flags).home)
    if not os.path.isdir(home.path):
        raise Stop(
            Exit.UNCHECKED, f"{shown(home.path)} is no solver's home: there is no such folder"
        )
    return home


def run_beginning(_context: Any, _parameter: Any, text: str | None) -> str | None:
    """Return how a run's id begins, or refuse what begins none."""
    if text is not None and not re.fullmatch(r"[0-9a-f]{4,64}", text):
        raise click.BadParameter("a run is named by 4 to 64 hexadecimal digits of its id.")
    return text


@contextmanager
def unusable() -> Iterator[None]:
    """Turn what can't be used into exit codes: settings and keys 2, what is away or busy 3.

    A PIN that is not taken is of the first kind: tried again and again, it would lock the token.
    """
    from tallystick.errors import (
        EmitError,
        KeyFileError,
        MissingExtraError,
        NodeError,
        PinRefused,
        PostingError,
        RevertError,
        RunBusyError,
        SettingError,
        SigningError,
    )

    try:
        yield
    except RevertError as fault:
        raise Stop(Exit.REFUSED, str(fault)) from None
    except (KeyFileError, PinRefused, PostingError, SettingError) as fault:
        raise Stop(Exit.USAGE, str(fault)) from None
    except (EmitError, MissingExtraError, NodeError, RunBusyError, SigningError) as fault:
        raise Stop(Exit.UNCHECKED, str(fault)) from None
