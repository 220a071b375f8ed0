# SPDX-License-Identifier: Apache-2.0
"""`tally evidence`: bundles of evidence, made, checked, looked into and taken apart."""

from __future__ import annotations

import click

from tallystick.cli import (
    evidence_extract,
    evidence_log,
    evidence_make,
    evidence_prove,
    evidence_show,
    evidence_verify,
)
from tallystick.cli.groups import VerbGroup

_EPILOG = """\
\b
Examples
  tally evidence verify run.tally --key solver.pub
  tally evidence show run.tally
  tally evidence prove run.tally artifacts/report.md --out report.proof
  tally evidence extract run.tally --out run
  tally evidence make results --out results.tally --key signing.key
  tally evidence log run.tally --vkey log.vkey --collector URL --out logged.tally

\b
Exit codes: see `tally evidence VERB --help`.
"""


@click.group(
    "evidence",
    cls=VerbGroup,
    short_help="Check what a run left, and make bundles of files.",
    epilog=_EPILOG,
)
def command() -> None:
    """Check what a run left, and make bundles of files.

    A bundle (.tally) holds a signed manifest, the files that it lists, and what led to them. It is
    checked with public keys alone. Bundles of runs are made by `tally solver`.
    """


command.add_command(evidence_verify.command)
command.add_command(evidence_show.command)
command.add_command(evidence_prove.command)
command.add_command(evidence_extract.command)
command.add_command(evidence_make.command)
command.add_command(evidence_log.command)
