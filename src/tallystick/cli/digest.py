# SPDX-License-Identifier: Apache-2.0
"""`tally hash`: what the next receipt, or a witness, calls each receipt."""

from __future__ import annotations

import click

from tallystick.cli.arguments import paths_argument

_EPILOG = """\
\b
Examples
  tally hash receipt.json
  tally verify run.jsonl --key agent.pub --expect-head "$(tally hash copy.jsonl | tail -n 1)"

\b
Exit codes: 0 done, 1 something is no receipt, 2 usage, 3 unreadable or empty.
"""


@click.command("hash", short_help="Print the hash of each receipt.", epilog=_EPILOG)
@paths_argument
def command(paths: tuple[str, ...]) -> None:
    """Print the hash of each receipt, one a line, in order.

    It is SHA-256 over the RFC 8785 form without the proof, as previous_receipt_hash has it. Stops
    at the first thing that is no receipt, so that line N is always receipt N. Verifies nothing.
    """
    from tallystick.cli.inputs import Damage, examined_receipts
    from tallystick.cli.output import Exit, Stop, say

    damage, is_empty = Damage(), True
    for where, examined in examined_receipts(paths):
        if damage.found_in(examined, where):
            break
        is_empty = False
        say(examined.digest)
    damage.stop()
    if is_empty:
        raise Stop(Exit.UNCHECKED, "there is no receipt in the input")
