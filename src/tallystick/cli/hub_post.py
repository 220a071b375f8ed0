# SPDX-License-Identifier: Apache-2.0
"""`tally hub post`, `finalize` and `show`: a bundle on chain, until it is final."""

from __future__ import annotations

from typing import Any

import click

from tallystick.cli.arguments import refuse_dash
from tallystick.cli.hub_options import (
    SEPOLIA,
    SEPOLIA_CHAIN,
    address,
    own_solver,
    reading,
    sending,
    session,
    solver_word,
    word,
)
from tallystick.cli.moments import told_s
from tallystick.cli.output import Exit, Stop, count, say

_ADDRESS_DIGITS = 40
_CODES = """\
\b
Exit codes: 0 done, 1 the contract refuses or a cap is reached, 2 usage, 3 not done now.
"""


@click.command(
    "post",
    short_help="Commit to a bundle, with the bond behind it.",
    epilog="\b\nExamples\n  tally hub post run.tally --rpc embedded\n"
    "  tally hub post run.tally --requester 0x… --location https://e.example/run.tally \\\n"
    "      --volume '2 ether' --rpc https://node.example\n"
    "  tally hub post run.tally --settle-within 2h --rpc embedded\n"
    f"  tally hub post run.tally --signed post.json --rpc embedded\n\n{_CODES}",
)
@sending
@click.argument("bundle", metavar="BUNDLE")
@click.option("--volume", metavar="AMOUNT", help="What is at stake for the requester [0 ether].")
@click.option("--requester", metavar="ADDRESS", help="For whom: a typed post, which names it.")
@click.option("--location", metavar="URL", help="Where the bundle can be had; for a typed post.")
@click.option(
    "--settle-within", metavar="DURATION", help="Promise: by then a settlement is proven [none]."
)
@click.option(
    "--signed",
    metavar="FILE",
    callback=refuse_dash,
    help="Write the signed post to FILE, and send nothing.",
)
def post(bundle: str, signed: str | None, **options: Any) -> None:
    """Post what a run's bundle commits to. A second time it shows the post that is there.

    With --settle-within 2h, `tally hub settle` must show a `settlement.json` among the artefacts
    in time; otherwise anyone takes the stake.
    """
    from tallystick.cli.evidence_files import head_of, opened_bundle
    from tallystick.errors import StatementError
    from tallystick.model.post import commitment_of
    from tallystick.onchain.amount import parse_duration
    from tallystick.onchain.signed_post import keep_signed, sign_post
    from tallystick.onchain.solving import posting

    with opened_bundle(bundle) as stream:
        head = head_of(stream, bundle)
    with session(options) as opened:
        contracts = opened.contracts
        solver_id = own_solver(opened)
        offer = _offer(options)
        now = opened.node.head()[1]
        within = options["settle_within"]
        try:
            commitment = commitment_of(
                head.manifest,
                bytes.fromhex(head.sha256),
                solver_id=solver_id,
                created_at=now,
                expiry=now + parse_duration(within) if within else 0,
            )
        except StatementError as fault:
            raise Stop(Exit.USAGE, str(fault)) from None
        if signed is not None:
            if not opened.is_dry:
                made = sign_post(contracts, opened.account.signer, commitment, offer)
                keep_signed(signed, made)
            say(f"{'would write' if opened.is_dry else 'signed, not sent:'} {signed}")
            return
        there = contracts.posted_for(solver_id, commitment.intent_hash)
        if there is None:
            receipt_id, wish = posting(contracts, opened.account.signer, commitment, offer)
            opened.do(wish, "posted")
            there = contracts.posted_for(solver_id, commitment.intent_hash)
            if opened.is_dry:
                say(f"post  0x{receipt_id.hex()}")
        if there is None:
            return
        # Also after posting: what was under way for this intent may have been another bundle's.
        if contracts.posted(there).commitment.evidence_hash != commitment.evidence_hash:
            raise Stop(Exit.REFUSED, f"that intent has a post with other evidence: 0x{there.hex()}")
        say(f"post  0x{there.hex()}")


def _offer(options: dict[str, Any]) -> Any:
    from tallystick.onchain.amount import parse_amount
    from tallystick.onchain.solving import Offer

    return Offer(
        volume=parse_amount(options["volume"]) if options["volume"] else 0,
        requester=address(options["requester"]) if options["requester"] else None,
        location=options["location"] or "",
    )


@click.command(
    "finalize",
    short_help="Make a post final.",
    epilog=f"\b\nExamples\n  tally hub finalize 0x… --rpc embedded\n\n{_CODES}",
)
@sending
@click.argument("post_id", metavar="POST")
def finalize(post_id: str, **options: Any) -> None:
    """Make POST final: its window is over, and no dispute is open. Anyone may."""
    from tallystick.onchain.solving import finalization

    receipt_id = word(post_id, "a post's id")
    with session(options) as opened:
        opened.do(finalization(opened.contracts, receipt_id), "final")


@click.command(
    "show",
    short_help="Show a post, a solver, or the contracts.",
    epilog="\b\nExamples\n  tally hub show --rpc embedded\n  tally hub show 0x… --rpc embedded\n"
    f"  tally hub show --solver 1 --rpc embedded\n  tally hub show --network sepolia\n\n{_CODES}",
)
@reading
@click.argument("post_id", metavar="[POST]", required=False)
@click.option(
    "--network",
    type=click.Choice(["sepolia"]),
    help="The source's own contracts: where they are, read only.",
)
@click.option(
    "--solver",
    metavar="ID|ADDRESS",
    help="A solver by its id (a number, or as 0x and 64 digits), or its operator's address.",
)
def show(post_id: str | None, network: str | None, solver: str | None, **options: Any) -> None:
    """Show what the chain has of POST or of a solver; without either, where the contracts are.

    Times are UTC. Deadlines count on the contracts' clock, which stands still while those are
    paused.
    """
    if [post_id, network, solver].count(None) < 2:
        raise click.UsageError("give one of POST, --solver and --network.")
    if network is not None:
        _show_sepolia()
        return
    if solver is not None:
        _show_solver(solver, options)
        return
    receipt_id = None if post_id is None else word(post_id, "a post's id")
    with session(options) as opened:
        if receipt_id is None:
            _show_contracts(opened)
        else:
            _show_post(opened.contracts, receipt_id)


def _show_sepolia() -> None:
    say(f"chain  {SEPOLIA_CHAIN}")
    for name, place in SEPOLIA.items():
        say(f"{name}  {place}")
    say("That build is older than its own source: its postReceipt has the selector 0x9afe1fc5 and")
    say("takes no volume, ours and the source's have 0x0c1d4cc2. We read and post nothing there.")


def _show_solver(named: str, options: dict[str, Any]) -> None:
    from tallystick.onchain.amount import shown_amount
    from tallystick.onchain.artifact import REGISTRY

    is_address = len(named.removeprefix("0x")) == _ADDRESS_DIGITS
    found = None if is_address else solver_word(named)
    operator = address(named) if is_address else None
    with session(options) as opened:
        contracts = opened.contracts
        solver_id = contracts.solver_of(operator) if found is None else found
        if solver_id is None:
            raise Stop(Exit.USAGE, f"{operator} is no solver's operator")
        state, now = contracts.solver(solver_id), contracts.clock()
        asked, ready_at, expires_at = contracts.withdrawal(solver_id)
        say(f"solver      0x{solver_id.hex()}")
        say(f"operator    {state.operator}")
        jail = f" for {state.jailed_until - now} s" if state.jailed_until > now else ""
        say(f"status      {state.status.name.lower()}{jail}")
        say(f"bond        {shown_amount(state.bond)}")
        say(f"reserved    {shown_amount(state.reserved)}")
        say(f"claimable   {shown_amount(contracts.read(REGISTRY, 'claimable', state.operator))}")
        strikes = count(state.strikes, "strike")
        say(f"posts       {state.finalized} finalized, {state.lost} lost, {strikes}")
        if asked:
            told = (
                f"in {ready_at - now} s"
                if now < ready_at
                else f"for {expires_at - now} s more"
                if now <= expires_at
                else "no more: it expired"
            )
            say(f"asked back  {shown_amount(asked)}, to be taken {told}")


def _show_contracts(opened: Any) -> None:
    from tallystick.onchain.amount import shown_amount
    from tallystick.onchain.artifact import CONTRACTS, REGISTRY

    contracts = opened.contracts
    say(f"chain  {contracts.at.chain_id}")
    for name in CONTRACTS:
        say(f"{name}  {contracts.at.address(name)}")
    for name in ("totalBonded", "totalEscrowed", "totalClaimable"):
        say(f"{name}  {shown_amount(contracts.read(REGISTRY, name))}")


def _show_post(contracts: Any, receipt_id: bytes) -> None:
    from tallystick.onchain.amount import shown_amount
    from tallystick.onchain.contracts import MANIFEST_INDEX

    posted, state = contracts.posted(receipt_id), contracts.post(receipt_id)
    solver = contracts.solver(state.solver_id)
    clock = contracts.clock()
    left = state.deadline - clock
    say(f"status      {state.status.name.lower()}")
    say(f"solver      0x{state.solver_id.hex()}")
    say(f"operator    {solver.operator}")
    if posted.typed:
        say(f"requester   {posted.terms.requester}")
        say(f"location    {posted.location or '-'}")
    say(f"posted at   {told_s(state.posted_at)}")
    # Deadlines count on it: after a pause it is behind the chain's time.
    say(f"clock       {told_s(clock)}")
    window = f"open for {left} s, until" if left >= 0 else "over since"
    say(f"window      {window} {told_s(state.deadline)}")
    if state.promised:
        say(f"settlement  {'proven' if state.settled else f'promised by {told_s(state.expiry)}'}")
    say(f"volume      {shown_amount(state.declared_volume)}")
    say(f"stake       {shown_amount(state.stake)}")
    names = ("intent_hash", "constraints_hash", "route_hash", "outcome_hash", "evidence_hash")
    for name in names:
        say(f"{name.replace('_hash', ''):<11} 0x{getattr(posted.commitment, name).hex()}")
    for question in contracts.questions(receipt_id):
        asked = "manifest" if question.index == MANIFEST_INDEX else f"entry {question.index}"
        state_of = "open" if contracts.is_open(question.dispute_id) else "ended"
        say(f"dispute {question.dispute_id}   {asked}, {state_of}, due {told_s(question.due_at)}")
    for case in contracts.cases(receipt_id):
        state_of = "open" if contracts.is_open(case.dispute_id) else "ended"
        say(
            f"dispute {case.dispute_id}   panel, {state_of}, "
            f"evidence until {told_s(case.evidence_until)}, "
            f"votes until {told_s(case.commit_until)}, opened until {told_s(case.reveal_until)}"
        )
