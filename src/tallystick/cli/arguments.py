# SPDX-License-Identifier: Apache-2.0
"""What several verbs take, declared once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import click

STDIN: Final = "-"
# Set by completion scripts alone: asks for words instead of work.
COMPLETE_VARIABLE: Final = "_TALLY_COMPLETE"


def paths_argument(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb its PATH… argument."""
    return click.argument(
        "paths",
        metavar="PATH...",
        nargs=-1,
        required=True,
        callback=_check_paths,
        type=click.Path(allow_dash=True),
    )(verb)


def _check_paths(
    _context: click.Context, _parameter: click.Parameter, paths: tuple[str, ...]
) -> tuple[str, ...]:
    if paths.count(STDIN) > 1:
        raise click.BadParameter("`-` is standard input, which is there once only.")
    if "" in paths:
        raise click.BadParameter("an empty path names no file.")
    return paths
