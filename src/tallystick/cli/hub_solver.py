# SPDX-License-Identifier: Apache-2.0
"""`tally hub register`, `bond`, `withdraw` and `claim`: a solver's standing and its money."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import click

from tallystick.cli.hub_options import address, own_solver, sending, session
from tallystick.cli.output import Exit, Stop, say

_CODES = """\
\b
Exit codes: 0 done, 1 the contract refuses or a cap is reached, 2 usage, 3 not done now.
"""


@click.command(
    "register",
    short_help="Become a solver.",
    epilog=f"\b\nExamples\n  tally hub register --rpc embedded --metadata about.json\n\n{_CODES}",
)
@sending
@click.option(
    "--metadata", metavar="FILE", help="What describes the solver; its SHA-256 goes on chain."
)
def register(metadata: str | None, **options: Any) -> None:
    """Register the signer's address as a solver's operator; it consents by a signature."""
    from tallystick.durable.file import read_bounded
    from tallystick.limits import RESPONSE_BYTES_MAX
    from tallystick.onchain.solving import registration

    data = b"" if metadata is None else read_bounded(metadata, RESPONSE_BYTES_MAX)
    digest = sha256(data).digest() if metadata is not None else bytes(32)
    with session(options) as opened:
        contracts = opened.contracts
        found = contracts.solver_of(opened.account.address)
        if found is None:
            wish = registration(contracts, opened.account.signer, digest)
            opened.do(wish, f"registered {opened.account.address}")
            found = contracts.solver_of(opened.account.address)
        if found is not None:
            say(f"solver  0x{found.hex()}")


@click.command(
    "bond",
    short_help="Add to the bond.",
    epilog=f"\b\nExamples\n  tally hub bond '1 ether' --rpc embedded\n\n{_CODES}",
)
@sending
@click.argument("amount")
def bond(amount: str, **options: Any) -> None:
    """Put AMOUNT (`0.5 ether`, `300 gwei`) into the solver's bond."""
    from tallystick.onchain.amount import parse_amount, shown_amount
    from tallystick.onchain.solving import deposit

    with session(options) as opened:
        wei = parse_amount(amount)
        solver_id = own_solver(opened)
        name = opened.account.fresh(f"{wei}")
        opened.do(deposit(opened.contracts, wei, name), f"deposited {shown_amount(wei)}")
        if not opened.is_dry:
            say(f"bond  {shown_amount(opened.contracts.solver(solver_id).bond)}")


@click.command(
    "withdraw",
    short_help="Take from the bond, after a week.",
    epilog=f"\b\nExamples\n  tally hub withdraw '1 ether' --rpc embedded\n"
    f"  tally hub withdraw --finish --rpc embedded\n"
    f"  tally hub withdraw --cancel --rpc embedded\n\n{_CODES}",
)
@sending
@click.argument("amount", required=False)
@click.option("--finish", is_flag=True, help="Take out what was asked for a week ago.")
@click.option("--cancel", is_flag=True, help="Take the request back, one that expired too.")
def withdraw(amount: str | None, finish: bool, cancel: bool, **options: Any) -> None:
    """Ask for AMOUNT of the bond; a week later, and within another one, --finish makes it
    claimable.
    """
    from tallystick.onchain.amount import parse_amount, shown_amount
    from tallystick.onchain.solving import withdrawal, withdrawal_back

    if [amount is not None, finish, cancel].count(True) != 1:
        raise click.UsageError("give an AMOUNT to ask for, --finish or --cancel.")
    with session(options) as opened:
        contracts = opened.contracts
        wei = None if amount is None else parse_amount(amount)
        solver_id = own_solver(opened)
        if cancel:
            wish = withdrawal_back(contracts, solver_id, opened.account.fresh("own"))
            opened.do(wish, "taken back")
            return
        wish = withdrawal(contracts, solver_id, wei, opened.account.fresh(f"{wei}"))
        done = "withdrawn; `tally hub claim` pays it out"
        opened.do(wish, done if wei is None else f"asked for {shown_amount(wei)}")


@click.command(
    "claim",
    short_help="Be paid what is yours.",
    epilog="\b\nExamples\n  tally hub claim --rpc embedded\n"
    f"  tally hub claim 0x… --rpc embedded\n\n{_CODES}",
)
@sending
@click.argument("account", required=False)
def claim(account: str | None, **options: Any) -> None:
    """Pay out what the contracts hold for ACCOUNT [the signer]; anyone may ask for anyone."""
    from tallystick.onchain.amount import shown_amount
    from tallystick.onchain.artifact import REGISTRY
    from tallystick.onchain.solving import payout

    with session(options) as opened:
        to = address(account) if account else opened.account.address
        wei = opened.contracts.read(REGISTRY, "claimable", to)
        if wei == 0:
            raise Stop(Exit.REFUSED, f"nothing is claimable for {to}")
        wish = payout(opened.contracts, to, opened.account.fresh(to))
        opened.do(wish, f"paid {shown_amount(wei)} to {to}")
