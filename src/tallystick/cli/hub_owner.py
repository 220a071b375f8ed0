# SPDX-License-Identifier: Apache-2.0
"""`tally hub owner`: what the owner of the contracts may do, which is little."""

from __future__ import annotations

from typing import Any

import click

from tallystick.cli.groups import VerbGroup
from tallystick.cli.hub_options import address, reading, sending, session
from tallystick.cli.output import say

_CODES = """\
\b
Exit codes: 0 done, 1 the contract refuses or a cap is reached, 2 usage, 3 not done now.
"""


def _epilog(*examples: str) -> str:
    lines = "\n".join(f"  tally hub owner {one} --rpc embedded" for one in examples)
    return f"\b\nExamples\n{lines}\n\n{_CODES}"


@click.group(
    "owner",
    cls=VerbGroup,
    short_help="Govern the contracts.",
    epilog=_epilog("show", "window 2h", "pause", "resume", "offer 0x…"),
)
def govern() -> None:
    """Govern the contracts, as far as anybody can: pause, window, and who comes next.

    No owner reaches a bond, or moves a post that is there. Arbitrators are admitted and dismissed
    with `tally hub panel`.
    """


@govern.command("show", short_help="Show who owns the contracts.", epilog=_epilog("show"))
@reading
def show(**options: Any) -> None:
    """Show owner, heir, window, and whether the clock stands still."""
    from tallystick.onchain.owning import ownership

    with session(options) as opened:
        found = ownership(opened.contracts)
        say(f"owner   {found.owner}")
        say(f"heir    {found.heir or '-'}")
        say(f"window  {found.window} s")
        say(f"clock   {'paused' if found.paused else 'running'}")


@govern.command("pause", short_help="Stop the clock.", epilog=_epilog("pause"))
@sending
def pause(**options: Any) -> None:
    """Stop the clock and everything but `claim`; for a week at most, and not again for a month."""
    from tallystick.onchain import owning

    with session(options) as opened:
        opened.do(owning.pause(opened.contracts, opened.account.fresh("owner")), "paused")


@govern.command("resume", short_help="Let the clock run on.", epilog=_epilog("resume"))
@sending
def resume(**options: Any) -> None:
    """Let the clock run on. After a week it does so by itself."""
    from tallystick.onchain import owning

    with session(options) as opened:
        opened.do(owning.resumption(opened.contracts, opened.account.fresh("owner")), "resumed")


@govern.command("window", short_help="Choose a window.", epilog=_epilog("window 2h"))
@sending
@click.argument("duration", metavar="DURATION")
def window(duration: str, **options: Any) -> None:
    """Let later posts be open for DURATION, 15m to 1d. Posts that are there keep theirs."""
    from tallystick.onchain import owning
    from tallystick.onchain.amount import parse_duration

    with session(options) as opened:
        seconds = parse_duration(duration)
        wish = owning.window(opened.contracts, seconds, opened.account.fresh("owner"))
        opened.do(wish, f"later posts are open for {seconds} s")


@govern.command("offer", short_help="Offer the contracts.", epilog=_epilog("offer 0x…"))
@sending
@click.argument("heir", metavar="ADDRESS")
def offer(heir: str, **options: Any) -> None:
    """Offer the contracts to ADDRESS, who must accept; 0x and forty zeros take an offer back."""
    from tallystick.onchain import owning

    to = address(heir)
    with session(options) as opened:
        wish = owning.offering(opened.contracts, to, opened.account.fresh("owner"))
        opened.do(wish, f"offered to {to}")


@govern.command("accept", short_help="Take the contracts over.", epilog=_epilog("accept"))
@sending
def accept(**options: Any) -> None:
    """Take the contracts over that were offered to the signer."""
    from tallystick.onchain import owning

    with session(options) as opened:
        wish = owning.acceptance(opened.contracts, opened.account.fresh("owner"))
        opened.do(wish, f"owned by {opened.account.address}")
