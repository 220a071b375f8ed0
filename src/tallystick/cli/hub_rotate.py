# SPDX-License-Identifier: Apache-2.0
"""`tally hub rotate`: another key speaks for a solver."""

from __future__ import annotations

from typing import Any

import click

from tallystick.cli.hub_options import own_solver, sending, session, solver_word
from tallystick.cli.output import Exit, Stop, say

_CODES = """\
\b
Exit codes: 0 done, 1 the contract refuses or a cap is reached, 2 usage, 3 not done now.
"""


@click.command(
    "rotate",
    short_help="Let another key follow.",
    epilog="\b\nExamples\n  tally hub rotate --to 'keystore:next.json?password-file=evm.password'\n"
    "  tally hub rotate --finish\n  tally hub rotate --finish --solver 0x…\n"
    f"  tally hub rotate --cancel\n\n{_CODES}",
)
@sending
@click.option("--to", metavar="KEY", help="The next key, a file or a URI: it signs its consent.")
@click.option("--finish", is_flag=True, help="Let it follow, two days after it was asked for.")
@click.option("--cancel", is_flag=True, help="Take the request back.")
@click.option("--solver", metavar="ID", help="Whose rotation anyone may finish [the signer's].")
def rotate(to: str | None, finish: bool, cancel: bool, solver: str | None, **options: Any) -> None:
    """Ask for another operator key, and two days later --finish. What the old one signed stays."""
    from tallystick.cli.signers import named_evm_signer
    from tallystick.onchain import rotating

    if [to is not None, finish, cancel].count(True) != 1:
        raise click.UsageError("give one of --to, --finish and --cancel.")
    if solver is not None and not finish:
        raise click.UsageError("--solver goes with --finish.")
    whose = None if solver is None else solver_word(solver)
    with session(options) as opened:
        contracts = opened.contracts
        solver_id = own_solver(opened) if whose is None else whose
        name = opened.account.fresh(f"0x{solver_id.hex()}")
        if cancel:
            opened.do(rotating.cancellation(contracts, solver_id, name), "taken back")
        elif finish:
            opened.do(rotating.completion(contracts, solver_id, name), "rotated")
            if not opened.is_dry:
                say(f"operator  {contracts.solver(solver_id).operator}")
        else:
            following = named_evm_signer(str(to))
            if following.get_address() == opened.account.address:
                raise Stop(Exit.USAGE, "that key speaks for the solver already")
            wish = rotating.rotation(contracts, solver_id, following, name)
            opened.do(wish, f"asked for {following.get_address()}")
