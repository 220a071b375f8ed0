# SPDX-License-Identifier: Apache-2.0
"""Bundles of evidence: their manifests, and what they say of a run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import rfc8785
from tools.corpus.bundle_making import (
    BEFORE,
    FILES,
    MANIFEST,
    BundleCase,
    Run,
    as_case,
    bundle,
    folder_manifest,
    hex_of,
    intent,
    manifest_of,
    members_of,
    policy,
    refusal,
    signatures,
    tar,
)
from tools.corpus.making import FIRST, Json


def cases() -> Iterator[BundleCase]:
    """Yield all of them."""
    for module in (
        _manifests,
        _intents,
        _decisions,
        _outcomes,
        _folders,
        _places,
    ):
        yield from module()


def _resigned(data: bytes) -> dict[str, bytes | None]:
    """Return members for manifest bytes of any kind, rightly hashed and signed."""
    return {
        MANIFEST: data + b"\n",
        "evidence/manifest.sha256": f"{hex_of(data)}\n".encode(),
        "evidence/signatures.json": signatures(data, FIRST),
    }


def _manifests() -> Iterator[BundleCase]:
    told = manifest_of(Run())
    data = rfc8785.dumps(told)
    later = rfc8785.dumps(told | {"createdAt": "1999-01-01T00:00:00.000Z"})
    yield as_case(
        "rewritten",
        "The manifest was rewritten, and nothing else.",
        bundle(members={MANIFEST: later + b"\n"}),
        "EVIDENCE_HASH",
        "EVIDENCE_SIGNATURE",
        "EVIDENCE_TIMES",
    )
    yield as_case(
        "hash-of-another",
        "manifest.sha256 is another one's.",
        bundle(members={"evidence/manifest.sha256": f"{BEFORE}\n".encode()}),
        "EVIDENCE_HASH",
    )
    yield as_case(
        "hash-missing",
        "manifest.sha256 is not there.",
        bundle(members={"evidence/manifest.sha256": None}),
        "EVIDENCE_HASH",
    )
    for name, why, manifest in (*_bad_shapes(told), *_bad_places(told)):
        yield as_case(name, why, bundle(members=_resigned(manifest)), "EVIDENCE_MANIFEST")
    yield as_case(
        "manifest-without-newline",
        "The file ends with a newline.",
        bundle(members={MANIFEST: data}),
        "EVIDENCE_MANIFEST",
    )


def _bad_shapes(told: Json) -> Iterator[tuple[str, str, bytes]]:
    data = bytes(rfc8785.dumps(told))
    pretty = json.dumps(told, indent=1, sort_keys=True).encode()
    yield from (
        ("manifest-spelled", "The manifest has blanks.", pretty),
        (
            "manifest-unknown-member",
            "The manifest has a member that nobody knows.",
            rfc8785.dumps(told | {"more": 1}),
        ),
        (
            "manifest-member-missing",
            "Every member is there, null or not.",
            rfc8785.dumps({name: told[name] for name in told if name != "solver"}),
        ),
        (
            "manifest-version",
            "The version is another one.",
            rfc8785.dumps(told | {"manifestVersion": "0.1.0"}),
        ),
        (
            "manifest-key-twice",
            "A member comes twice.",
            data[:-1] + b',"runId":"' + b"0" * 64 + b'"}',
        ),
        ("manifest-no-object", "The manifest is a number.", b"7"),
        ("manifest-type", "A number where a text belongs.", rfc8785.dumps(told | {"jobType": 7})),
        (
            "manifest-time-with-offset",
            "Times are in UTC.",
            rfc8785.dumps(told | {"createdAt": "2026-01-02T04:00:04.000+01:00"}),
        ),
    )


def _bad_places(told: Json) -> Iterator[tuple[str, str, bytes]]:
    yield from (
        (
            "manifest-of-a-folder-with-a-run",
            "A folder has no run.",
            rfc8785.dumps(told | {"origin": "directory"}),
        ),
        (
            "manifest-first-with-predecessor",
            "Number 1 has none before it.",
            rfc8785.dumps(told | {"previousManifestHash": f"sha256:{BEFORE}"}),
        ),
        (
            "manifest-path-escapes",
            "An artefact's path leads out.",
            _with_path(told, "artifacts/../../etc/passwd"),
        ),
        (
            "manifest-path-absolute",
            "An artefact's path is absolute.",
            _with_path(told, "/etc/passwd"),
        ),
        (
            "manifest-path-with-line-feed",
            "An artefact's path forges a line.",
            _with_path(told, "artifacts/a\nb"),
        ),
        (
            "manifest-path-decomposed",
            "An artefact's path is not in normal form C.",
            _with_path(told, "artifacts/u\u0308.txt"),
        ),
    )


def _with_path(told: Json, path: str) -> bytes:
    entries = [dict(one) for one in told["artifacts"]]
    entries[0]["path"] = path
    return bytes(rfc8785.dumps(told | {"artifacts": entries}))


def _decided(**changes: Any) -> Json:
    told = manifest_of(Run())["policyDecision"]
    return {"policyDecision": told | changes}


def _intents() -> Iterator[BundleCase]:
    yield as_case(
        "intent-absent",
        "Nothing shows what was asked.",
        bundle(members={"evidence/intent.json": None}),
        "EVIDENCE_INTENT_ABSENT",
    )
    yield as_case(
        "intent-another",
        "The intent is another one.",
        bundle(members={"evidence/intent.json": rfc8785.dumps(intent(requester="mallory"))}),
        "EVIDENCE_INTENT",
    )
    other = intent()
    other["inputs"]["data"]["__proto__"] = 999
    yield as_case(
        "intent-differs-under-proto",
        "Intents that differ under __proto__ are two.",
        bundle(members={"evidence/intent.json": rfc8785.dumps(other)}),
        "EVIDENCE_INTENT",
    )
    yield as_case(
        "intent-junk",
        "The intent is none.",
        bundle(members={"evidence/intent.json": b"{}"}),
        "EVIDENCE_INTENT",
    )
    yield as_case(
        "intent-spelled",
        "Another spelling of one intent has its hash.",
        bundle(members={"evidence/intent.json": json.dumps(intent(), indent=1).encode()}),
    )
    yield as_case(
        "policy-absent",
        "Nothing shows what was decided by.",
        bundle(members={"evidence/policy.json": None}),
        "EVIDENCE_POLICY_ABSENT",
    )
    yield as_case(
        "policy-another",
        "The policy is another one.",
        bundle(members={"evidence/policy.json": rfc8785.dumps(policy(maxArtifactMb=6))}),
        "EVIDENCE_POLICY",
    )
    yield as_case(
        "policy-spelled",
        "A policy has one form.",
        bundle(members={"evidence/policy.json": json.dumps(policy()).encode()}),
        "EVIDENCE_POLICY",
    )


def _decisions() -> Iterator[BundleCase]:
    strict = policy(jobTypeAllowlist=["OTHER"])
    yield as_case(
        "decision-against-the-policy",
        "The policy does not allow what was allowed.",
        bundle(policy=strict),
        "EVIDENCE_DECISION",
    )
    yield as_case(
        "decision-after-the-deadline",
        "The intent had expired when it was allowed.",
        bundle(intent=intent(expiresAt="2026-01-02T03:00:00.500Z")),
        "EVIDENCE_DECISION",
    )
    yield as_case(
        "decision-with-reasons-to-refuse",
        "It allows, and says why not.",
        bundle(manifest=_decided(reasons=["no"], codes=["INTENT_REPLAYED"])),
        "EVIDENCE_DECISION",
    )
    refused = refusal()
    ran = {**refused.manifest, "executionSummary": manifest_of(Run())["executionSummary"]}
    yield as_case(
        "decision-not-heeded",
        "It was refused, and was run.",
        bundle(refused, manifest=ran),
        "EVIDENCE_DECISION",
    )
    yield as_case(
        "decision-refused-with-files",
        "It was refused, and left files.",
        bundle(refused, files=FILES),
        "EVIDENCE_DECISION",
    )
    summary = manifest_of(Run())["executionSummary"]
    yield as_case(
        "success-with-an-error",
        "It succeeded with an error.",
        bundle(manifest={"executionSummary": summary | {"error": "none"}}),
        "EVIDENCE_DECISION",
    )


def _outcomes() -> Iterator[BundleCase]:
    refused = refusal()
    replayed = {
        **refused.manifest,
        "policyDecision": refused.manifest["policyDecision"]
        | {
            "reasons": ["it has run already"],
            "codes": ["INTENT_REPLAYED"],
        },
    }
    yield as_case(
        "refused-as-replayed",
        "Only the solver knows that: its word is taken.",
        bundle(refused, manifest=replayed, policy=policy()),
    )


def _folders() -> Iterator[BundleCase]:
    yield as_case(
        "folder-with-an-intent",
        "Nobody asked for a folder.",
        tar(members_of(Run(policy=None, receipts=()), folder_manifest(FILES))),
        "EVIDENCE_MALFORMED",
        "evidence_no_decision",
    )


def _places() -> Iterator[BundleCase]:
    second = bundle(manifest={"number": 2, "previousManifestHash": f"sha256:{BEFORE}"})
    yield as_case("second", "The one before was not compared.", second, "evidence_previous_unseen")
    yield as_case(
        "second-after-its-first", "It follows the one before.", second, more={"previous": BEFORE}
    )
    yield as_case(
        "second-after-another",
        "It follows another one.",
        second,
        "EVIDENCE_PREVIOUS",
        more={"previous": hex_of(b"another")},
    )
    yield as_case(
        "first-after-another",
        "It says that it is the first.",
        bundle(),
        "EVIDENCE_PREVIOUS",
        more={"previous": BEFORE},
    )
    yield as_case(
        "number-skipped",
        "A number is missing.",
        bundle(manifest={"number": 4, "previousManifestHash": f"sha256:{BEFORE}"}),
        "EVIDENCE_PREVIOUS",
        more={"previous": BEFORE, "previous_number": 2},
    )
    yield as_case(
        "made-before-it-ended",
        "It was made before the run ended.",
        bundle(manifest={"createdAt": "2026-01-02T03:00:02.500Z"}),
        "EVIDENCE_TIMES",
    )
    yield as_case(
        "ran-before-it-was-decided",
        "It was run before it was decided.",
        bundle(manifest=_decided(decidedAt="2026-01-02T03:00:02.500Z")),
        "EVIDENCE_TIMES",
    )
    yield as_case(
        "from-the-future",
        "It is later than now.",
        bundle(),
        "evidence_in_future",
        more={"now": "2026-01-02T03:00:03.000Z"},
    )
