# SPDX-License-Identifier: Apache-2.0
"""`tally hub challenge`, `respond`, `settle` and `resolve`: what can be done about a post."""

from __future__ import annotations

from typing import Any

import click

from tallystick.cli.hub_options import sending, session, word
from tallystick.cli.hub_panel import file_digest
from tallystick.cli.output import Exit, Stop, say

_GROUNDS = ("entry", "manifest", "replays", "timeout", "contradicts", "equivocates", "judge")
_CODES = """\
\b
Exit codes: 0 done, 1 the contract refuses or a cap is reached, 2 usage, 3 not done now.
"""


@click.command(
    "challenge",
    short_help="Ask a post for its evidence, or prove it wrong.",
    epilog="\b\nExamples\n  tally hub challenge 0x… --entry 3 --rpc embedded\n"
    "  tally hub challenge 0x… --manifest --rpc embedded\n"
    "  tally hub challenge 0x… --replays 0x… --rpc embedded\n"
    "  tally hub challenge 0x… --contradicts artifacts --bundle run.tally --rpc embedded\n"
    "  tally hub challenge 0x… --equivocates signed.json --rpc embedded\n"
    "  tally hub challenge 0x… --judge letter.pdf --rpc embedded\n"
    f"  tally hub challenge 0x… --timeout --rpc embedded\n\n{_CODES}",
)
@sending
@click.argument("post_id", metavar="POST")
@click.option(
    "--entry", type=click.IntRange(0, (1 << 64) - 2), metavar="N", help="Ask for entry N."
)
@click.option("--manifest", is_flag=True, help="Ask for the manifest.")
@click.option(
    "--replays", metavar="POST", help="Prove: it shows the evidence of this earlier post."
)
@click.option("--timeout", is_flag=True, help="Prove: a promised settlement is missing.")
@click.option(
    "--contradicts",
    type=click.Choice(["intent", "policy", "receipts", "artifacts"]),
    help="Prove: the manifest says something else than the post.",
)
@click.option(
    "--equivocates",
    metavar="FILE",
    help="Prove: the solver signed this too, with another outcome of the same intent.",
)
@click.option("--judge", metavar="FILE", help="Ask a panel; FILE is the evidence, by its SHA-256.")
@click.option("--bundle", metavar="FILE", help="The bundle whose manifest proves it.")
def challenge(post_id: str, **options: Any) -> None:
    """Challenge POST on one ground. Questions cost a bond until they are decided, a panel three
    fees besides; proofs decide at once and cost gas only.
    """
    from tallystick.onchain.challenging import opened_dispute

    receipt_id = word(post_id, "a post's id")
    grounds = [
        name
        for name in _GROUNDS
        if options[name] is not None and options[name] is not False  # an entry may be 0
    ]
    if len(grounds) != 1:
        raise click.UsageError("give one ground: --entry, --manifest, --replays, --timeout …")
    if (grounds[0] == "contradicts") is (options["bundle"] is None):
        raise click.UsageError("--contradicts and --bundle go together.")
    with session(options) as opened:
        posted = opened.contracts.posted(receipt_id)
        wish = _ground(opened.contracts, posted, grounds[0], options)
        is_question = grounds[0] in ("entry", "manifest", "judge")
        mined = opened.do(wish, "asked" if is_question else "proven: the solver is slashed")
        dispute = None if mined is None else opened_dispute(mined)
        if dispute is not None:
            say(f"dispute  {dispute}")


def _ground(contracts: Any, posted: Any, ground: str, options: dict[str, Any]) -> Any:
    from tallystick.onchain import challenging

    if ground in ("entry", "manifest"):
        return challenging.question(contracts, posted, options["entry"])
    if ground == "timeout":
        return challenging.timeout(contracts, posted)
    if ground == "replays":
        earlier = contracts.posted(word(options["replays"], "a post's id"))
        return challenging.replay(contracts, posted, earlier)
    if ground == "equivocates":
        from tallystick.onchain.signed_post import read_signed

        return challenging.equivocation(contracts, posted, read_signed(options["equivocates"]))
    if ground == "judge":
        from tallystick.onchain.arbitrating import judgement

        return judgement(contracts, posted, file_digest(options["judge"]))
    head = _head(options["bundle"])
    return challenging.manifest_mismatch(
        contracts, posted, head.canonical, options["contradicts"], _entries(head)
    )


def _head(bundle: str) -> Any:
    from tallystick.cli.evidence_files import head_of, opened_bundle

    with opened_bundle(bundle) as stream:
        return head_of(stream, bundle)


def _entries(head: Any) -> list[bytes]:
    from tallystick.model.artifact import encode_entry

    return [encode_entry(one) for one in head.entries]


@click.command(
    "respond",
    short_help="Answer a question about a post.",
    epilog=f"\b\nExamples\n  tally hub respond 1 run.tally --rpc embedded\n\n{_CODES}",
)
@sending
@click.argument("dispute", type=click.IntRange(1, (1 << 64) - 1), metavar="DISPUTE")
@click.argument("bundle", metavar="BUNDLE")
def respond(dispute: int, bundle: str, **options: Any) -> None:
    """Answer DISPUTE with the entry or the manifest that it asks for, out of BUNDLE. Anyone may."""
    from tallystick.onchain.contracts import MANIFEST_INDEX
    from tallystick.onchain.solving import entry_answer, manifest_answer

    head = _head(bundle)
    with session(options) as opened:
        contracts = opened.contracts
        asked = [one for one in contracts.questions() if one.dispute_id == dispute]
        if not asked:
            raise Stop(Exit.USAGE, f"{dispute} is no question about a post")
        posted = contracts.posted(asked[0].receipt_id)
        if asked[0].index == MANIFEST_INDEX:
            wish = manifest_answer(contracts, dispute, posted, head.canonical)
        else:
            wish = entry_answer(contracts, dispute, asked[0].index, posted, _entries(head))
        opened.do(wish, "answered")


@click.command(
    "settle",
    short_help="Prove a promised settlement.",
    epilog=f"\b\nExamples\n  tally hub settle 0x… run.tally --rpc embedded\n\n{_CODES}",
)
@sending
@click.argument("post_id", metavar="POST")
@click.argument("bundle", metavar="BUNDLE")
def settle(post_id: str, bundle: str, **options: Any) -> None:
    """Prove that the outcome of POST holds a `settlement.json`, out of BUNDLE. Anyone may."""
    from tallystick.onchain.challenging import settlement

    receipt_id = word(post_id, "a post's id")
    head = _head(bundle)
    found = [
        index for index, one in enumerate(head.entries) if one.path.endswith("/settlement.json")
    ]
    if not found:
        raise Stop(Exit.USAGE, "that bundle has no artefact settlement.json")
    with session(options) as opened:
        posted = opened.contracts.posted(receipt_id)
        wish = settlement(opened.contracts, posted, _entries(head), found[0])
        opened.do(wish, "settled")


@click.command(
    "resolve",
    short_help="End a dispute whose time is over.",
    epilog=f"\b\nExamples\n  tally hub resolve 1 --rpc embedded\n\n{_CODES}",
)
@sending
@click.argument("dispute", type=click.IntRange(1, (1 << 64) - 1), metavar="DISPUTE")
def resolve(dispute: int, **options: Any) -> None:
    """End DISPUTE when its time is over: unanswered, it costs the solver the stake. One before a
    panel ends by its votes; if fewer than two agree, everybody gets back what is theirs.
    """
    from tallystick.onchain.challenging import resolution

    with session(options) as opened:
        opened.do(resolution(opened.contracts, dispute), "resolved")
