# SPDX-License-Identifier: Apache-2.0
"""`tally verify --post`: from a post on chain to its manifest, artefacts and receipts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import click

from tallystick.cli.hub_options import exits, session, word
from tallystick.cli.output import Exit, Stop, Style, count, say


def verify_post_of(paths: tuple[str, ...], options: dict[str, Any]) -> None:
    """Tell the report on a post, with the bundle in PATH or from where the post says it is."""
    from tallystick.cli.evidence_files import signers_from
    from tallystick.verify.evidence import verify_evidence
    from tallystick.verify.post import verify_post

    if len(paths) > 1:
        raise Stop(Exit.USAGE, "a post has one bundle: give one PATH, or none to fetch it")
    receipt_id = word(options["post"], "a post's id")
    with session(options) as opened:
        posted, facts = facts_of(opened.contracts, receipt_id)
        signers = signers_from((*options["keys"], facts.operator), options["trust"])
        with _bundle(paths, posted) as stream:
            evidence = None if stream is None else verify_evidence(stream, signers)
    if evidence is not None and options["trust"] is None and not options["keys"]:
        _ask_for_a_key(evidence)
    _answer(verify_post(facts, evidence), as_json=options["as_json"])


def facts_of(contracts: Any, receipt_id: bytes) -> tuple[Any, Any]:
    """Return a post, and what the chain says of it."""
    from tallystick.verify.post import PostFacts

    posted, state = contracts.posted(receipt_id), contracts.post(receipt_id)
    return posted, PostFacts(
        receipt_id=receipt_id,
        chain_id=contracts.at.chain_id,
        contract=contracts.at.receipts,
        status=state.status.name.lower(),
        posted_at=state.posted_at,
        operator=contracts.operator_at(state.solver_id, state.posted_at),
        commitment=posted.commitment,
    )


@contextmanager
def _bundle(paths: tuple[str, ...], posted: Any) -> Iterator[BinaryIO | None]:
    if paths:
        from tallystick.cli.evidence_files import opened_bundle

        with opened_bundle(paths[0]) as stream:
            yield stream
        return
    if not posted.location:
        yield None
        return
    from tallystick.onchain.fetching import fetched

    with exits(), fetched(posted.location) as file:
        yield file


def _ask_for_a_key(evidence: Any) -> None:
    """End the command where only others than the operator have signed, and nobody was named."""
    if any(one.code == "EVIDENCE_SIGNER" and one.found for one in evidence.findings):
        raise click.UsageError(
            "whose signatures count? The post's operator has not signed the bundle: give the "
            "solver's public key with --key."
        )


def _answer(report: Any, *, as_json: bool) -> None:
    import json

    from tallystick.cli.verification import EXIT_OF, finding_line, first_reason

    if as_json:
        say(json.dumps(report.to_dict(), separators=(",", ":")))
    else:
        for finding in report.findings:
            say(*finding_line(finding))
        facts = report.facts
        styles: dict[str, Style] = {"verified": "good", "refused": "bad"}
        words = "could not check" if report.verdict == "unchecked" else str(report.verdict)
        solver = int.from_bytes(facts.commitment.solver_id, "big")
        say(
            (words, styles.get(str(report.verdict), "unsure")),
            f": post 0x{facts.receipt_id.hex()[:16]}… of solver {solver}, {facts.status}, "
            f"{count(report.receipts, 'receipt')}",
        )
    if not report.verified:
        raise Stop(EXIT_OF[report.verdict], first_reason(report))
