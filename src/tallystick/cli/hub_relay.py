# SPDX-License-Identifier: Apache-2.0
"""`tally hub relay`: a post that one signed, and another sends."""

from __future__ import annotations

from typing import Any, Final

import click

from tallystick.cli.hub_options import exits, sending, session
from tallystick.cli.output import Exit, Stop, say

_HOW: Final = "`tally hub challenge POST --equivocates FILE`"


@click.command(
    "relay",
    short_help="Send a post that another signed.",
    epilog="\b\nExamples\n  tally hub relay post.json --rpc embedded\n"
    "  tally hub relay post.json --dry-run --rpc https://node.example\n\n\b\n"
    "Exit codes: 0 done, 1 the contract refuses or a cap is reached, 2 usage, 3 not done now.\n",
)
@sending
@click.argument("file", metavar="FILE")
def relay(file: str, **options: Any) -> None:
    """Send the post in FILE, which `tally hub post --requester 0x… --signed FILE` wrote.

    Anyone may, and pays the gas; the bond behind it is the solver's. It must be in a block within
    ten minutes of its signing. A second time it shows the post that is there.
    """
    from tallystick.onchain.signed_post import read_signed, relaying
    from tallystick.watch.equivocation import is_equivocation

    with exits():
        signed = read_signed(file)
    with session(options) as opened:
        contracts = opened.contracts
        receipt_id, wish = relaying(contracts, signed)
        told = signed.commitment
        there = contracts.posted_for(told.solver_id, told.intent_hash)
        if there is None:
            opened.do(wish, "posted")
        elif there != receipt_id:
            why = f"that intent has another post: 0x{there.hex()}"
            if is_equivocation(contracts, contracts.posted(there), signed):
                why += f"; what its solver signed here proves it wrong: {_HOW}"
            raise Stop(Exit.REFUSED, why)
        say(f"post  0x{receipt_id.hex()}")
