# SPDX-License-Identifier: Apache-2.0
"""Bundles of evidence: their receipts, and what a log says of these."""

from __future__ import annotations

from collections.abc import Iterator

from tools.corpus import log_making
from tools.corpus.bundle_making import (
    BEFORE,
    BundleCase,
    Run,
    as_case,
    as_told,
    bundle,
    manifest_of,
    refusal,
)
from tools.corpus.bundle_receipts import chain


def cases() -> Iterator[BundleCase]:
    """Yield all of them."""
    for module in (_receipts, _foreign, _logs):
        yield from module()


def _receipts() -> Iterator[BundleCase]:
    told = manifest_of(Run())
    receipts = chain("bundle", told)
    yield as_case(
        "receipts-absent",
        "The receipts are bound, and not there.",
        bundle(members={"evidence/receipts.jsonl": None}),
        "EVIDENCE_RECEIPTS_ABSENT",
    )
    yield as_case(
        "receipts-cut-off",
        "The last receipt was taken out.",
        as_told(told, receipts=receipts[:2]),
        "EXPECTED_HEAD",
        "EXPECTED_LENGTH",
    )
    yield as_case(
        "receipts-of-another-run",
        "The receipts are another run's.",
        as_told(told, receipts=chain("another", told | {"runId": BEFORE})),
        "CHAIN_UNKNOWN",
        "EVIDENCE_RECEIPTS_FOREIGN",
        "EXPECTED_HEAD",
        "EXPECTED_LENGTH",
    )
    altered = (receipts[0], receipts[1] | {"issuanceDate": "2026-01-02T03:00:02.500Z"}, receipts[2])
    yield as_case(
        "receipts-altered",
        "A receipt was altered.",
        as_told(told, receipts=altered),
        "CHAIN_LINK_BROKEN",
        "SIGNATURE_INVALID",
    )
    yield as_case(
        "receipts-unbound",
        "The manifest binds no receipts.",
        bundle(manifest={"receiptChain": None}),
        "EVIDENCE_RECEIPTS_UNBOUND",
    )


def _foreign() -> Iterator[BundleCase]:
    told, refused = manifest_of(Run()), manifest_of(refusal())
    for name, why, changes in (
        ("run", "The chain is another run's of the same intent.", {"runId": BEFORE}),
        ("intent", "It is another intent's.", {"intentHash": f"sha256:{BEFORE}"}),
        ("kind", "What was decided on has a member too much.", {"more": 1}),
    ):
        yield as_case(
            f"chain-of-another-{name}",
            why,
            bundle(receipts=chain("bundle", told, **changes)),
            "EVIDENCE_RECEIPTS_FOREIGN",
        )
    yield as_case(
        "chain-without-a-decision",
        "Nothing in it says for which run it is.",
        bundle(receipts=chain("bundle", None)),
        "EVIDENCE_RECEIPTS_FOREIGN",
    )
    yield as_case(
        "chain-refused-and-run",
        "It says that the intent was refused.",
        bundle(receipts=chain("bundle", told | {"policyDecision": refused["policyDecision"]})),
        "EVIDENCE_RECEIPTS_CONTRADICTED",
    )
    yield as_case(
        "chain-allowed-and-refused",
        "It says that the intent was allowed.",
        bundle(
            refusal(),
            receipts=chain("bundle", refused | {"policyDecision": told["policyDecision"]}, 1),
        ),
        "EVIDENCE_RECEIPTS_CONTRADICTED",
    )
    other = refused["policyDecision"] | {"reasons": ["nobody is in"]}
    yield as_case(
        "chain-refused-for-another-reason",
        "It gives another reason.",
        bundle(refusal(), receipts=chain("bundle", refused | {"policyDecision": other}, 1)),
        "EVIDENCE_RECEIPTS_CONTRADICTED",
    )


def _logs() -> Iterator[BundleCase]:
    key = log_making.key_text(log_making.ORIGIN, 1, log_making.LOG)
    receipts = chain("bundle", manifest_of(Run()))
    entries = [log_making.entry(one, log_making.START_MS) for one in receipts]
    leaves = [log_making.sha(b"\0" + one) for one in entries]
    proof = log_making.proof(
        2,
        3,
        extra=entries[2],
        own=log_making.checkpoint(3, head=log_making.root(leaves)),
        hashes=log_making.path(leaves, 2),
    )
    logged = bundle(members={"evidence/log/proof": proof})
    another = log_making.proof(5, 8, extra=log_making.entries()[5])
    yield as_case("logged", "The last receipt is in a log.", logged, more={"vkey": key})
    yield as_case("logged-unseen", "Nobody asked about the log.", logged, "evidence_log_unseen")
    yield as_case(
        "not-logged",
        "There is no proof for the log.",
        bundle(),
        "LOG_PROOF_MISSING",
        more={"vkey": key},
    )
    yield as_case(
        "logged-another",
        "The proof is about another receipt.",
        bundle(members={"evidence/log/proof": another}),
        "LOG_ENTRY_MISMATCH",
        more={"vkey": key},
    )
