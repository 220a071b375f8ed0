# SPDX-License-Identifier: Apache-2.0
"""The settings of a daemon for its verbs, and how they fail over them."""

from __future__ import annotations

from typing import Any

from tallystick.cli.output import Exit, Stop


def daemon_settings(config: str | None, flags: dict[str, Any]) -> Any:
    """Return the settings and where each comes from, or end with exit code 2 or 3."""
    from tallystick.daemon.settings import load_settings
    from tallystick.errors import SettingError, UnreadableError

    try:
        return load_settings(flags, file=config)
    except SettingError as fault:
        raise Stop(Exit.USAGE, str(fault)) from None
    except UnreadableError as fault:
        raise Stop(Exit.UNCHECKED, str(fault)) from None
