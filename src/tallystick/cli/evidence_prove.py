# SPDX-License-Identifier: Apache-2.0
"""`tally evidence prove`: that one artefact is in a manifest, without the others."""

from __future__ import annotations

from typing import Final

import click

from tallystick.cli.arguments import INPUT_FILE, to_standard_output
from tallystick.cli.output import Exit, Stop, say, say_bytes

_EPILOG: Final = """\
\b
Examples
  tally evidence prove run.tally artifacts/report.md --out report.proof
  tally evidence verify report.proof --key solver.pub --artifacts report.md

\b
Exit codes: 0 written, 1 no bundle, or no such artefact, 2 usage, 3 unreadable.
"""


@click.command("prove", short_help="Prove one artefact without the others.", epilog=_EPILOG)
@click.argument("file", metavar="FILE", type=INPUT_FILE)
@click.argument("path", metavar="PATH")
@click.option(
    "--out",
    metavar="FILE",
    callback=to_standard_output,
    help="Write the proof here, to a new file.",
)
def command(file: str, path: str, out: str | None) -> None:
    """Write the proof that PATH is in the manifest of a bundle: its entry, its place in the tree,
    and the signed manifest. Who gets it learns nothing of other artefacts but their number.

    The manifest itself is in the proof. Where it lists all artefacts, so does the proof.
    """
    from tallystick.cli.evidence_files import head_of, opened_bundle
    from tallystick.durable.whole import write_whole
    from tallystick.errors import PathTakenError
    from tallystick.model.artifact import ARTIFACTS
    from tallystick.model.artifact_proof import prove

    with opened_bundle(file) as stream:
        head = head_of(stream, file)
    wanted = path if path.startswith(ARTIFACTS) else ARTIFACTS + path
    proof = prove(head, wanted).encode()
    if out is None:
        say_bytes(proof)
        return
    try:
        write_whole(out, proof, 0o644)
    except PathTakenError as fault:
        raise Stop(Exit.USAGE, str(fault)) from None
    say(f"{out}  proves {wanted}")
