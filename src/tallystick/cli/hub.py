# SPDX-License-Identifier: Apache-2.0
"""`tally hub`: posts with a bond behind them, on a chain."""

from __future__ import annotations

import click

from tallystick.cli import (
    hub_deploy,
    hub_dispute,
    hub_owner,
    hub_panel,
    hub_post,
    hub_relay,
    hub_rotate,
    hub_solver,
    hub_watch,
)
from tallystick.cli.groups import VerbGroup

_EPILOG = """\
\b
Examples
  export TALLY_RPC=embedded TALLY_EVM_SIGNER='keystore:evm.json?password-file=evm.password'
  tally hub deploy
  tally hub register
  tally hub bond '1 ether'
  tally hub post run.tally
  tally hub advance 1h
  tally hub finalize 0x…

\b
Exit codes: see `tally hub VERB --help`.
"""


@click.group("hub", cls=VerbGroup, short_help="Post bundles on a chain.", epilog=_EPILOG)
def command() -> None:
    """Post what runs left on a chain, with a bond behind it; challenge what others posted.

    A transaction is written down before it is sent: the same command again goes on where it stands,
    and never does it twice. With --rpc embedded the chain is a file in --home.
    """


command.add_command(hub_deploy.deploy)
command.add_command(hub_solver.register)
command.add_command(hub_solver.bond)
command.add_command(hub_solver.withdraw)
command.add_command(hub_rotate.rotate)
command.add_command(hub_post.post)
command.add_command(hub_relay.relay)
command.add_command(hub_post.show)
command.add_command(hub_dispute.challenge)
command.add_command(hub_dispute.respond)
command.add_command(hub_dispute.settle)
command.add_command(hub_panel.panel)
command.add_command(hub_dispute.resolve)
command.add_command(hub_post.finalize)
command.add_command(hub_solver.claim)
command.add_command(hub_watch.watch)
command.add_command(hub_owner.govern)
command.add_command(hub_deploy.advance)
