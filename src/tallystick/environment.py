# SPDX-License-Identifier: Apache-2.0
"""The one reader of the environment; what may be read stands in the table of `config`.

A module of its own, because a process that sends one frame can't afford the table.
"""

from __future__ import annotations

import os
from _collections_abc import Mapping


def read(name: str, environ: Mapping[str, str] | None = None) -> str | None:
    """Return the text of one environment variable, or None where it is not set."""
    return (os.environ if environ is None else environ).get(name)


def process_environment() -> Mapping[str, str]:
    """Return the environment of this process, for what takes all of it as an argument."""
    return os.environ
