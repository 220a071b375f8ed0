# SPDX-License-Identifier: Apache-2.0
"""`tally hub watch`: look at every post, and do what the policy says."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from typing import Any, BinaryIO

import click

from tallystick.cli.arguments import INPUT_FOLDER
from tallystick.cli.hub_options import own_solver, sending, session
from tallystick.cli.output import Exit, Stop, complain, count, say
from tallystick.config import read

_EPILOG = """\
\b
Examples
  tally hub watch --once --bundles bundles/ --rpc embedded
  tally hub watch --prove --spend '0.05 ether' --rpc https://node.example
  tally hub watch --prove --ask --spend '0.2 ether' --rpc https://node.example
  tally hub watch --respond --bundles tally-solver/runs --rpc https://node.example

\b
Exit codes
  0  looked
  1  refused
  2  usage
  3  the node can't be asked now; with --once, also blocks that are left for another round
  130  ended by Ctrl-C
"""


@click.command("watch", short_help="Look at every post, and act on what is wrong.", epilog=_EPILOG)
@sending
@click.option("--prove", is_flag=True, help="Send proofs of what is wrong; else only say so.")
@click.option(
    "--ask",
    is_flag=True,
    help="Ask, with a bond, for manifests that can't be had; resolve what nobody answers.",
)
@click.option("--spend", metavar="AMOUNT", help="Cap on gas and bonds, over all rounds [0 ether].")
@click.option("--respond", is_flag=True, help="Answer questions about the signer's own posts.")
@click.option(
    "--bundles",
    type=INPUT_FOLDER,
    metavar="DIR",
    help="Bundles (.tally) that need not be fetched.",
)
@click.option(
    "--signed",
    type=INPUT_FOLDER,
    metavar="DIR",
    help="Signed posts (.json) to hold against their solvers.",
)
@click.option("--allow-private", is_flag=True, help="Fetch from this network's addresses, too.")
@click.option(
    "--key", "keys", multiple=True, metavar="KEY", help="Whose signatures count besides operators'."
)
@click.option("--trust", metavar="FILE", help="A TOML file of issuers whose receipts count, too.")
@click.option("--vkey", metavar="KEY|FILE", help="A log's public key: checks the bundles' proofs.")
@click.option("--once", is_flag=True, help="One round, and end.")
@click.option(
    "--every",
    type=click.IntRange(1, 86400),
    default=30,
    metavar="SECONDS",
    help="Pause between rounds [30].",
)
def watch(**options: Any) -> None:
    """Judge each post by its bundle, from --bundles or from where the post says it is.

    A bundle is verified in full, with its operator's address and the keys that are given. One that
    is refused is told of; it is challenged only for what a contract can decide.

    By default nothing is sent. With --prove, --ask or --respond the signer sends what is needed,
    unless --dry-run is given. Its own questions are followed to their end; it claims nothing.
    """
    from tallystick.errors import NodeError, PostingError
    from tallystick.limits import FETCHING_SECONDS_MAX
    from tallystick.onchain.amount import parse_amount
    from tallystick.watch.hub import PostWatcher, WatchPolicy

    wants = options["prove"] or options["ask"] or options["respond"]
    acts = wants and not options["dry_run"]
    if options["respond"] and options["bundles"] is None:
        raise click.UsageError("--respond wants the bundles: give --bundles.")
    with session(options) as opened:
        policy = WatchPolicy(
            prove=options["prove"] and acts,
            ask=options["ask"] and acts,
            spend_max=parse_amount(options["spend"]) if options["spend"] else 0,
        )
        if (policy.prove or policy.ask) and policy.spend_max == 0:
            raise Stop(Exit.USAGE, "--prove and --ask cost something: give a cap with --spend")
        watcher = PostWatcher(
            opened.contracts,
            opened.home,
            _Bundles(options["bundles"], private=options["allow_private"]),
            policy,
            account=opened.account if acts else None,
            asker=_asker(opened) if wants else "",
            confirmations=options["confirmations"],
            beliefs=_beliefs(options),
            signed=_signed(options["signed"]),
            fetching_seconds=inf if options["once"] else FETCHING_SECONDS_MAX,
        )
        while True:
            left = 0
            try:
                left = watcher.round(_tell)
            except (NodeError, PostingError) as fault:
                _go_on(fault, options)
            try:
                if options["respond"] and acts:
                    _respond(opened, options["bundles"])
            except (NodeError, PostingError) as fault:
                _go_on(fault, options)
            _tell_left(left, options)
            if options["once"]:
                return
            time.sleep(options["every"])


def _asker(opened: Any) -> str:
    """Return whose questions are followed; a dry run needs no signer, and then follows none."""
    is_named = opened.options["signer"] or read("TALLY_EVM_SIGNER")
    return str(opened.account.address) if is_named else ""


def _tell_left(blocks: int, options: dict[str, Any]) -> None:
    """Say that a round did not get to the end of the chain, if so."""
    if blocks:
        told = f"{count(blocks, 'block')} not looked at yet; the next round goes on from there"
        if options["once"]:
            raise Stop(Exit.UNCHECKED, told)
        complain(f"this round: {told}")


def _go_on(fault: Exception, options: dict[str, Any]) -> None:
    """Say what went wrong; what fails once must not end a watch."""
    if options["once"]:
        raise fault
    complain(f"this round: {fault}")


def _beliefs(options: dict[str, Any]) -> Any:
    from tallystick.cli.evidence_files import signers_from
    from tallystick.cli.log_files import log_key_from
    from tallystick.watch.post_evidence import Beliefs

    vkey = options["vkey"]
    return Beliefs(
        signers=signers_from(options["keys"], options["trust"]),
        log_key=None if vkey is None else log_key_from(vkey),
    )


def _signed(directory: str | None) -> Any:
    from tallystick.watch.equivocation import signed_posts

    return tuple if directory is None else lambda: signed_posts(directory)


def _tell(sighting: Any) -> None:
    action = f" -> {sighting.action}" if sighting.action else ""
    say(f"0x{sighting.receipt_id.hex()}  {sighting.verdict}{action}")


def _respond(opened: Any, bundles: str) -> None:
    from tallystick.watch.answering import answer_questions

    def tell(question: Any, told: str) -> None:
        say(f"dispute {question.dispute_id}  {told}")

    answer_questions(opened.contracts, opened.account, own_solver(opened), bundles, tell)


class _Bundles:
    """Finds the bundle of a post: in a folder, or where the post says it is."""

    def __init__(self, directory: str | None, *, private: bool) -> None:
        self._directory = directory
        self._private = private

    @contextmanager
    def __call__(self, posted: Any, /) -> Iterator[BinaryIO]:
        """Yield the bundle as a stream."""
        from tallystick.errors import PostingError
        from tallystick.onchain.fetching import Reach, fetched
        from tallystick.watch.answering import path_of

        path = (
            None
            if self._directory is None
            else path_of(self._directory, posted.commitment.evidence_hash)
        )
        if path is not None:
            with open(os.fspath(path), "rb") as stream:
                yield stream
        elif posted.location:
            with fetched(posted.location, Reach(private=self._private)) as stream:
                yield stream
        else:
            raise PostingError("no bundle is here, and the post names no location")
