# SPDX-License-Identifier: Apache-2.0
"""`tally hub panel`: who judges what is a matter of judgement, and how they vote."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import click

from tallystick.cli.groups import VerbGroup
from tallystick.cli.hub_options import address, reading, sending, session
from tallystick.cli.output import Exit, Stop, say

_CODES = """\
\b
Exit codes: 0 done, 1 the contract refuses or a cap is reached, 2 usage, 3 not done now.
"""
_DISPUTE = click.IntRange(1, (1 << 64) - 1)


def _epilog(*examples: str) -> str:
    lines = "\n".join(f"  tally hub panel {one} --rpc embedded" for one in examples)
    return f"\b\nExamples\n{lines}\n\n{_CODES}"


@click.group(
    "panel",
    cls=VerbGroup,
    short_help="Judge disputes.",
    epilog=_epilog("apply", "draw 1", "commit 1 --at-fault", "reveal 1", "show", "show 1", "leave"),
)
def panel() -> None:
    """Judge disputes that no function can decide: two of three arbitrators decide.

    `tally hub challenge POST --judge FILE` opens one. One day is for evidence; then the three
    commit to votes for four days, and open them for three.
    """


@panel.command("apply", short_help="Put down an arbitrator's stake.", epilog=_epilog("apply"))
@sending
def apply(**options: Any) -> None:
    """Apply as an arbitrator, with a stake of 0.1 ether. The owner of the contracts admits."""
    from tallystick.onchain.arbitrating import application

    with session(options) as opened:
        name = opened.account.fresh("apply")
        opened.do(application(opened.contracts, name), f"applied: {opened.account.address}")


@panel.command("admit", short_help="Let an applicant be drawn.", epilog=_epilog("admit 0x…"))
@sending
@click.argument("arbitrator", metavar="ADDRESS")
def admit(arbitrator: str, **options: Any) -> None:
    """Let the applicant ADDRESS be drawn, a week from now. For the owner of the contracts."""
    from tallystick.onchain.arbitrating import admission

    who = address(arbitrator)
    with session(options) as opened:
        opened.do(admission(opened.contracts, who, opened.account.fresh("admit")), "admitted")


@panel.command("dismiss", short_help="Draw somebody no more.", epilog=_epilog("dismiss 0x…"))
@sending
@click.argument("arbitrator", metavar="ADDRESS")
def dismiss(arbitrator: str, **options: Any) -> None:
    """Draw ADDRESS no more; panels stay as they are. For the owner of the contracts."""
    from tallystick.onchain.arbitrating import dismissal

    who = address(arbitrator)
    with session(options) as opened:
        opened.do(dismissal(opened.contracts, who, opened.account.fresh("dismiss")), "dismissed")


@panel.command("leave", short_help="Stop being an arbitrator.", epilog=_epilog("leave"))
@sending
def leave(**options: Any) -> None:
    """Stop being an arbitrator; not during a case. `tally hub claim` pays out the stake."""
    from tallystick.onchain.arbitrating import leaving

    with session(options) as opened:
        opened.do(leaving(opened.contracts, opened.account.fresh("leave")), "left")


@panel.command(
    "evidence",
    short_help="Tell the panel where evidence lies.",
    epilog=_epilog("evidence 1 letter.pdf --location https://e.example/letter.pdf"),
)
@sending
@click.argument("dispute", type=_DISPUTE, metavar="DISPUTE")
@click.argument("file", metavar="FILE")
@click.option("--location", metavar="URL", required=True, help="Where the panel can have FILE.")
def evidence(dispute: int, file: str, location: str, **options: Any) -> None:
    """Tell the panel of DISPUTE of FILE, by its SHA-256. For the parties, in the first day."""
    from tallystick.onchain.arbitrating import evidence as told

    digest = file_digest(file)
    if len(location.encode()) > 256:  # a String[256] in the contract
        raise click.UsageError("the location has more than 256 bytes.")
    with session(options) as opened:
        opened.do(told(opened.contracts, dispute, digest, location), f"0x{digest.hex()} told")


@panel.command("draw", short_help="Draw a dispute's panel.", epilog=_epilog("draw 1"))
@sending
@click.argument("dispute", type=_DISPUTE, metavar="DISPUTE")
def draw(dispute: int, **options: Any) -> None:
    """Draw three arbitrators for DISPUTE, by a block's hash. Anyone may."""
    from tallystick.onchain.arbitrating import draw as drawn
    from tallystick.onchain.arbitrating import panel_of

    with session(options) as opened:
        opened.do(drawn(opened.contracts, dispute, opened.account.fresh("draw")), "drawn")
        if opened.is_dry:
            return
        found = panel_of(opened.contracts, dispute)
        for one in found:
            say(f"arbitrator  {address(one)}")
        if not found:
            say("the seed was too old: draw again, two blocks from now")


@panel.command("commit", short_help="Commit to a vote.", epilog=_epilog("commit 1 --at-fault"))
@sending
@click.argument("dispute", type=_DISPUTE, metavar="DISPUTE")
@click.option("--at-fault/--not-at-fault", "fault", default=None, help="The solver is, or is not.")
def commit(dispute: int, fault: bool | None, **options: Any) -> None:
    """Commit to a vote on DISPUTE. The vote is kept in the home until `reveal` opens it."""
    from tallystick.onchain.arbitrating import Vote, committing, keep_vote

    if fault is None:
        raise click.UsageError("give --at-fault or --not-at-fault.")
    with session(options) as opened:
        voter = opened.account.address
        if opened.is_dry:
            vote = Vote(dispute_id=dispute, arbitrator=voter, fault=fault, salt=bytes(32))
        else:
            vote = keep_vote(_path(opened, dispute), dispute, voter, fault=fault)
        opened.do(committing(opened.contracts, vote), "committed")


@panel.command("reveal", short_help="Open a vote.", epilog=_epilog("reveal 1"))
@sending
@click.argument("dispute", type=_DISPUTE, metavar="DISPUTE")
def reveal(dispute: int, **options: Any) -> None:
    """Open the vote on DISPUTE that `commit` kept, when no more can be committed."""
    from tallystick.onchain.arbitrating import read_vote, revealing

    with session(options) as opened:
        vote = read_vote(_path(opened, dispute))
        told = "at fault" if vote.fault else "not at fault"
        opened.do(revealing(opened.contracts, vote), f"revealed: {told}")


@panel.command("show", short_help="Show who can judge.", epilog=_epilog("show", "show 1"))
@reading
@click.argument("dispute", type=_DISPUTE, metavar="[DISPUTE]", required=False)
def show(dispute: int | None, **options: Any) -> None:
    """Show who can be drawn, or the panel of DISPUTE with its votes."""
    from tallystick.onchain.amount import shown_amount
    from tallystick.onchain.arbitrating import panel_of
    from tallystick.onchain.artifact import DISPUTES

    with session(options) as opened:
        contracts = opened.contracts
        if dispute is None:
            for one in contracts.read(DISPUTES, "arbitratorPool"):
                stake, cases, drawable = contracts.read(DISPUTES, "arbitrators", one)
                left = drawable - contracts.clock()
                told = "can be drawn" if left <= 0 else f"can be drawn in {left} s"
                say(f"{address(one)}  {shown_amount(stake)}, {cases} cases, {told}")
            return
        found = panel_of(contracts, dispute)
        if not found:
            raise Stop(Exit.REFUSED, f"dispute {dispute} has no panel")
        for one in found:
            vote = contracts.read(DISPUTES, "votes", dispute, one)
            is_committed = any(contracts.read(DISPUTES, "commitments", dispute, one))
            silent = "committed" if is_committed else "silent"
            say(f"{address(one)}  {(silent, 'not at fault', 'at fault')[vote]}")


def file_digest(file: str) -> bytes:
    """Return the SHA-256 of a file that fits into memory."""
    from tallystick.durable.file import read_bounded
    from tallystick.limits import RESPONSE_BYTES_MAX

    return sha256(read_bounded(file, RESPONSE_BYTES_MAX)).digest()


def _path(opened: Any, dispute: int) -> str:
    from tallystick.onchain.arbitrating import vote_path

    return vote_path(opened.contracts, opened.home, dispute, opened.account.address)
