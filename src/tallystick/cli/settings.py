# SPDX-License-Identifier: Apache-2.0
"""The settings of a service as options of commands, and how commands fail over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from tallystick.cli.output import Exit, Stop
from tallystick.config import COLLECTOR, Variable


def setting_options(
    *names: str, table: Sequence[Variable] = COLLECTOR
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the options of these settings of a table, or of all of them."""
    chosen = [one for one in table if not names or one.name in names]

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for setting in reversed(chosen):
            function = _option(setting)(function)
        return click.option(
            "--config", "config", metavar="FILE", help="A TOML file that sets the same."
        )(function)

    return decorate


def _option(setting: Variable) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    purpose = setting.purpose.replace("`", "")
    if setting.kind == "flag":
        return click.option(setting.flag, setting.name, is_flag=True, default=None, help=purpose)
    shown = f"{purpose} [{setting.environment}"
    shown += f"; {setting.default}]" if setting.default else "]"
    return click.option(setting.flag, setting.name, metavar=setting.kind.upper(), help=shown)


def settings_of(config: str | None, flags: dict[str, Any]) -> Any:
    """Return the settings and where each comes from, or end with exit code 2."""
    from tallystick.collector.settings import load_settings
    from tallystick.errors import SettingError

    try:
        return load_settings(flags, file=config)
    except SettingError as fault:
        raise Stop(Exit.USAGE, str(fault)) from None


@contextmanager
def unusable() -> Iterator[None]:
    """Turn what can't be used into exit codes: settings 2, a store that lies 1, the rest 3.

    A PIN that is not taken counts as a setting: who starts us anew every few seconds, as long as
    that may help, would have the token locked.
    """
    from tallystick.errors import (
        KeyFileError,
        LogRolledBackError,
        MissingExtraError,
        PinRefused,
        SettingError,
        SigningError,
        StoreCorruptError,
        StoreError,
    )

    try:
        yield
    except (PinRefused, SettingError) as fault:
        raise Stop(Exit.USAGE, str(fault)) from None
    except (LogRolledBackError, StoreCorruptError) as fault:
        raise Stop(Exit.REFUSED, str(fault)) from None
    except (KeyFileError, MissingExtraError, SigningError, StoreError) as fault:
        raise Stop(Exit.UNCHECKED, str(fault)) from None
