# SPDX-License-Identifier: Apache-2.0
"""`tally evidence make`: a folder as a signed bundle, which says that it is no more than that."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any, Final

import click

from tallystick.cli.arguments import INPUT_FOLDER, new_bundle_option
from tallystick.cli.output import Exit, Stop, count, say

_EPILOG: Final = """\
\b
Examples
  tally evidence make results --out results.tally --key signing.key
  tally evidence make results --out results.tally --key awskms:alias/evidence
  tally evidence make results --out list.tally --key signing.key --detached

\b
Exit codes
  0  written
  1  refused: a run's directory, evidence already, or a file that no manifest takes in
  2  usage, also a key that can't be used and a FILE that is there already
  3  could not be read, signed or written
"""


@click.command("make", short_help="Make a signed bundle of a folder.", epilog=_EPILOG)
@click.argument("folder", metavar="DIR", type=INPUT_FOLDER)
@new_bundle_option
@click.option(
    "--key",
    metavar="KEY",
    help="The Ed25519 key that signs: its PEM file, or a signer's URI (awskms:… and so on).",
)
@click.option(
    "--evm-key",
    metavar="KEY",
    help="An EVM account's key that signs, too: keystore:… or another signer's URI.",
)
@click.option("--detached", is_flag=True, help="Put the list alone into the bundle, not the files.")
def command(folder: str, **options: Any) -> None:
    """Make a bundle of all files in DIR, and sign it.

    Nobody asked for these files, decided on them or saw how they came to be: the bundle says so,
    and can't be posted. What a run left has evidence of its own, so the directory of a run is
    refused, and so is one that holds a manifest already.
    """
    if options["key"] is None and options["evm_key"] is None:
        raise click.UsageError("who vouches for it? Give a key with --key or --evm-key.")
    if _lies_in(options["out"], folder):
        raise click.UsageError(
            "--out lies in DIR: the bundle would be a file that it does not list."
        )
    from tallystick.cli.evidence_files import bar
    from tallystick.cli.signers import named_evm_signer, named_signer
    from tallystick.durable.file import shown
    from tallystick.errors import PathTakenError
    from tallystick.solver.bundling import make_directory_bundle

    key, evm_key = options["key"], options["evm_key"]
    signer = None if key is None else named_signer(key)
    evm_signer = None if evm_key is None else named_evm_signer(evm_key)
    now = datetime.now(UTC)  # noqa: TID251  # the clock comes in
    moment = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    try:
        with bar(0) as progress:
            made = make_directory_bundle(
                folder,
                options["out"],
                signer,
                created_at=moment,
                evm_signer=evm_signer,
                artifacts=not options["detached"],
                progress=progress,
            )
    except PathTakenError as fault:
        raise Stop(Exit.USAGE, str(fault)) from None
    manifest = made.manifest
    say(f"{shown(options['out'])}  {count(manifest.artifact_count, 'artefact')}, {made.size} bytes")
    say(f"  manifest  sha256:{made.manifest_sha256}")
    say(f"  root      {manifest.artifacts_root}")


def _lies_in(out: str, folder: str) -> bool:
    place = os.path.realpath(os.path.dirname(os.path.abspath(out)))
    return f"{place}/".startswith(f"{os.path.realpath(folder)}/")
