# SPDX-License-Identifier: Apache-2.0
"""`tally hub deploy` and `advance`: contracts on a chain, and time on the embedded one."""

from __future__ import annotations

from typing import Any

import click

from tallystick.cli.hub_options import address, reading, sending, session
from tallystick.cli.moments import told_s
from tallystick.cli.output import Exit, Stop, say

_DEPLOY_EPILOG = """\
\b
Examples
  tally hub deploy --rpc embedded --signer 'keystore:evm.json?password-file=evm.password'
  tally hub deploy --rpc https://node.example --chain-id 1 --signer awskms:alias/owner

\b
Exit codes: 0 done, 1 refused, 2 usage, 3 the node could not do it now.
"""


@click.command("deploy", short_help="Put the contracts on a chain.", epilog=_DEPLOY_EPILOG)
@sending
@click.option("--treasury", metavar="ADDRESS", help="Who gets the treasury's share [the signer].")
def deploy(treasury: str | None, **options: Any) -> None:
    """Put registry, receipts and disputes on chain, wire them, and write their addresses down.

    A second time with the same signer and treasury it goes on where it stopped, or shows what is
    there already. On a node it wants --chain-id: nothing else says which chain is meant.
    """
    from tallystick.onchain.account import Wish
    from tallystick.onchain.artifact import CONTRACTS, REGISTRY
    from tallystick.onchain.codec import constructor_data
    from tallystick.onchain.deployment import deploy as put
    from tallystick.onchain.deployment import keep_deployment
    from tallystick.onchain.embedded import EmbeddedNode

    with session(options) as opened:
        if opened.node.pinned is None and not isinstance(opened.node, EmbeddedNode):
            raise Stop(Exit.USAGE, "which chain is meant? Give --chain-id, or TALLY_EVM_CHAIN_ID")
        to = address(treasury) if treasury else opened.account.address
        if opened.is_dry:
            data = constructor_data(REGISTRY, to)
            opened.do(Wish(name=f"deploy:{REGISTRY}:{to}", to=None, data=data), "")
            say(f"and then {', '.join(CONTRACTS[1:])}, and one transaction that wires them")
            return
        made = put(opened.account, to, say)
        say(f"written to {keep_deployment(opened.home, made)}")


_ADVANCE_EPILOG = """\
\b
Examples
  tally hub advance 1h --rpc embedded

\b
Exit codes: 0 done, 2 usage, also on a real chain.
"""


@click.command("advance", short_help="Let time pass on the embedded chain.", epilog=_ADVANCE_EPILOG)
@reading
@click.argument("duration", metavar="DURATION")
def advance(duration: str, **options: Any) -> None:
    """Let 90s, 10m, 1h or 7d pass on the embedded chain, at once."""
    from tallystick.onchain.amount import parse_duration
    from tallystick.onchain.embedded import EmbeddedNode

    with session(options) as opened:
        if not isinstance(opened.node, EmbeddedNode):
            raise Stop(Exit.USAGE, "time passes by itself on that chain")
        moment = opened.node.advance(parse_duration(duration))
        say(f"the chain's time is {told_s(moment)}")
