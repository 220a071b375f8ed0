# SPDX-License-Identifier: Apache-2.0
"""`tally log judge`: whether evidence convicts a log; anybody may ask, offline."""

from __future__ import annotations

import json
from typing import Final

import click

from tallystick.cli.arguments import INPUT_FILE
from tallystick.cli.output import Exit, Stop, say
from tallystick.limits import FRAUD_BYTES_MAX

_EPILOG: Final = """\
\b
Examples
  tally log judge evidence.json --vkey log.vkey
  curl -s https://example.com/evidence.json | tally log judge - --vkey log.vkey

\b
Exit codes
  0  proven: whoever holds the log's key has contradicted themselves
  1  not proven; also evidence that is malformed
  2  usage, also a key that can't be used
  3  could not be read
"""


@click.command("judge", short_help="Say whether evidence convicts a log.", epilog=_EPILOG)
@click.argument("file", metavar="FILE", type=INPUT_FILE)
@click.option(
    "--vkey",
    required=True,
    metavar="KEY|FILE",
    help="The log's public key, as `name+id+base64` or a file of it; never out of the evidence.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the judgement as one JSON object.")
def command(file: str, vkey: str, *, as_json: bool) -> None:
    """Say whether the evidence in FILE proves that a log broke its word; `-` is standard input.

    Only what the log's own keys signed counts, and every doubt favours the log.
    """
    from tallystick.cli.log_files import log_key_from, read_file
    from tallystick.verify.fraud import judge

    key = log_key_from(vkey)
    judgement = judge(read_file(file, FRAUD_BYTES_MAX), key)
    told = {"outcome": judgement.outcome, "kind": judgement.kind, "reason": judgement.reason}
    if as_json:
        say(json.dumps({**told, "origin": key.name}, separators=(",", ":")))
    elif judgement.is_proven:
        say(("proven", "bad"), f": {judgement.kind} by {key.name}: {judgement.reason}")
    else:
        say(("not proven", "unsure"), f": {judgement.reason}")
    if not judgement.is_proven:
        malformed = "the evidence is malformed; " if judgement.outcome == "malformed" else ""
        raise Stop(Exit.REFUSED, f"{malformed}nothing is proven against {key.name}")
