# SPDX-License-Identifier: Apache-2.0
"""`tally evidence extract`: a bundle as a folder, or nothing at all."""

from __future__ import annotations

from typing import Final

import click

from tallystick.cli.arguments import INPUT_FILE, refuse_dash
from tallystick.cli.output import Exit, Stop, count, say

_EPILOG: Final = """\
\b
Examples
  tally evidence extract run.tally --out run
  tally evidence extract - --out run < run.tally

\b
Exit codes
  0  written
  1  refused: no bundle, or one whose files are not those of its manifest
  2  usage, also a DIR that is there already
  3  could not be read or written
"""


@click.command("extract", short_help="Unpack a bundle into a new folder.", epilog=_EPILOG)
@click.argument("file", metavar="FILE", type=INPUT_FILE)
@click.option(
    "--out",
    required=True,
    metavar="DIR",
    callback=refuse_dash,
    help="The folder to make; must be new.",
)
def command(file: str, out: str) -> None:
    """Unpack a bundle into the new folder DIR, and hold its files against the manifest's list.

    No signature is checked: `tally evidence verify` does that.
    """
    from tallystick.cli.evidence_files import bar, naming, opened_bundle, size_of
    from tallystick.durable.file import shown
    from tallystick.errors import PathTakenError
    from tallystick.solver.extracting import extract_bundle

    try:
        with (
            opened_bundle(file) as stream,
            naming(file),
            bar(size_of(file), stream) as progress,
        ):
            head = extract_bundle(stream, out, progress=progress)
    except PathTakenError as fault:
        raise Stop(Exit.USAGE, str(fault)) from None
    artifacts = "" if head.first is not None else "; the artefacts are not in the bundle"
    say(f"{shown(out)}  {count(len(head.entries), 'artefact')} as listed{artifacts}")
    say("extracted, not verified: `tally evidence verify` checks who signed")
