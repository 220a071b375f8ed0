# SPDX-License-Identifier: Apache-2.0
"""What several verbs take, declared once."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, BinaryIO, Final

import click

from tallystick.errors import UnreadableError
from tallystick.limits import WORKERS_MAX

# Standard input where something is read, standard output where something is written.
STDIN: Final = "-"
# Set by completion scripts alone: asks for words instead of work.
COMPLETE_VARIABLE: Final = "_TALLY_COMPLETE"
# Whether something may be read is found out by reading it: click, asked, would call it wrong usage.
INPUT_FILE: Final = click.Path(allow_dash=True, readable=False)
INPUT_FOLDER: Final = click.Path(exists=True, file_okay=False, readable=False)


def standard_input() -> BinaryIO:
    """Return standard input, or raise where whoever called has closed it."""
    if sys.stdin is None:
        raise UnreadableError("standard input is closed")
    return sys.stdin.buffer


def read_standard_input(size: int) -> bytes:
    """Return up to so many bytes of standard input, or raise where it can't be read."""
    from tallystick.durable.file import reason_of

    try:
        return standard_input().read(size)
    except OSError as error:
        why = f"standard input could not be read: {reason_of(error)}"
        raise UnreadableError(why) from error


def refuse_dashes(*given: str | None) -> None:
    """Refuse standard input where it is named twice: the second would find nothing there."""
    if given.count(STDIN) > 1:
        raise click.UsageError("`-` is standard input, which is there once only.")


def log_key_option(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb its `--vkey`, which `log_files.log_key_from` reads."""
    return click.option(
        "--vkey",
        required=True,
        metavar="KEY|FILE",
        help="The log's public key, as `name+id+base64` or a file of it. Nothing else is trusted.",
    )(verb)


def new_bundle_option(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb its `--out`, a bundle that is not there yet."""
    return click.option(
        "--out",
        required=True,
        metavar="FILE",
        callback=refuse_dash,
        help="The bundle to write; must be new.",
    )(verb)


def paths_argument(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb its PATH… argument."""
    return _paths(verb, required=True)


def paths_or_store(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb PATH… and `--store`, of which one is needed: `inputs.paths_of` joins them."""
    verb = click.option(
        "--store",
        metavar="PATH",
        callback=_check_filled,
        help="A daemon's store, with what was imported beside it.",
    )(verb)
    return _paths(verb, required=False)


def _paths(verb: Callable[..., Any], *, required: bool) -> Callable[..., Any]:
    return click.argument(
        "paths",
        metavar="PATH...",
        nargs=-1,
        required=required,
        callback=_check_paths,
        type=INPUT_FILE,
    )(verb)


def workers_option(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb that verifies its `--workers`."""
    return click.option(
        "--workers",
        type=click.IntRange(1, WORKERS_MAX),
        default=1,
        metavar="N",
        show_default=True,
        help="Processes that check signatures, with this one. The verdict is the same for any "
        "number.",
    )(verb)


def to_standard_output(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> str | None:
    """Read `-` as no file at all, where a verb that is given none writes to standard output."""
    return None if value == STDIN else value


def refuse_dash(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> str | None:
    """Refuse `-` where a verb writes a file or a folder and nothing else: none is named so."""
    if value == STDIN:
        raise click.BadParameter("`-` is no standard output here; a file of that name is `./-`.")
    return value


def as_utf8(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Return a text as the UTF-8 that its bytes are, whatever the locale takes them for."""
    if value is None:
        return None
    try:
        return value.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeDecodeError:
        raise click.BadParameter("is not UTF-8.") from None


def _check_filled(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> str | None:
    if value == "":
        raise click.BadParameter("is empty.")
    return value


def _check_paths(
    _context: click.Context, _parameter: click.Parameter, paths: tuple[str, ...]
) -> tuple[str, ...]:
    if paths.count(STDIN) > 1:
        raise click.BadParameter("`-` is standard input, which is there once only.")
    if "" in paths:
        raise click.BadParameter("an empty path names no file.")
    return paths
