# SPDX-License-Identifier: Apache-2.0
"""`tally disclose`: opens what receipts hold sealed, for whoever has the forensic key."""

from __future__ import annotations

import click

from tallystick.cli.arguments import paths_argument

_EPILOG = """\
\b
Each line of output is one JSON object:
  receipt  the receipt's id
  member   parameters_disclosure or response_disclosure
  value    what was sealed
  hash     matches, differs or absent: compared with the signed hash beside the envelope

\b
Examples
  tally disclose run.jsonl --key forensic.key
  tally disclose run.jsonl --key forensic.key | jq .value

\b
Exit codes
  0  everything that is sealed was opened, and no hash differs
  1  refused: an envelope that this key does not open or that was altered, a hash that
     differs, or something that is no receipt
  2  usage, also a key file that can't be used
  3  could not: nothing is sealed, it is sealed to another key by its own label, or the
     input is unreadable
"""


@click.command(
    "disclose", short_help="Open what receipts hold sealed, with a forensic key.", epilog=_EPILOG
)
@paths_argument
@click.option(
    "--key",
    "key_path",
    required=True,
    metavar="FILE",
    help="The private forensic key: a file that only you can read.",
)
def command(paths: tuple[str, ...], key_path: str) -> None:
    """Open the disclosures of receipts with a forensic key; `-` is standard input.

    Signatures are not checked: use `tally verify` for that.
    """
    from tallystick.cli.disclosure import open_envelopes

    open_envelopes(paths, key_path)
