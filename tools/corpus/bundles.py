# SPDX-License-Identifier: Apache-2.0
"""Bundles of evidence: sound ones, who signed them, and what they list."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import rfc8785
from tools.corpus.bundle_making import (
    BEFORE,
    FILES,
    SUMS,
    BundleCase,
    Run,
    as_case,
    as_told,
    bundle,
    entries_of,
    evm_address,
    folder_manifest,
    manifest_of,
    members_of,
    refusal,
    root_of,
    signature_of,
    signatures,
    sums,
    tar,
)
from tools.corpus.making import FIRST, SECOND, Json, b64u, did_key


def cases() -> Iterator[BundleCase]:
    """Yield all of them."""
    for module in (
        _sound,
        _signers,
        _moved_signatures,
        _artifacts,
        _lists,
        _sums_and_lists,
        _folders,
    ):
        yield from module()


def _sound() -> Iterator[BundleCase]:
    yield as_case("run", "A run with its files, intent, policy and receipts.", bundle())
    yield as_case(
        "run-listed", "The list of files lies outside of the manifest.", bundle(is_listed=True)
    )
    yield as_case("run-without-files", "A run that left nothing.", bundle(files={}))
    yield as_case("refusal", "A refusal is a bundle, too.", bundle(refusal()))
    failed = {
        "executionSummary": {
            "status": "FAILED",
            "error": "exit 1",
            "startedAt": "2026-01-02T03:00:02.000Z",
            "finishedAt": "2026-01-02T03:00:03.000Z",
            "details": {"exitCode": 1},
        }
    }
    yield as_case("failure", "So is a failure.", bundle(manifest=failed))
    long = {f"{'d' * 60}/{'e' * 60}": b"in a pax header\n", "a": b"a\n"}
    yield as_case(
        "long-path", "A path of over 100 bytes stands in a pax header.", bundle(files=long)
    )
    yield as_case(
        "no-receipts-bound",
        "Every run has receipts: its decision is one.",
        bundle(receipts=()),
        "EVIDENCE_RECEIPTS_UNBOUND",
    )
    yield as_case(
        "folder", "A bundle of a folder says that it is no more.", _folder(), "evidence_no_decision"
    )


def _folder(**changes: Any) -> bytes:
    run = Run(intent=None, policy=None, receipts=(), **changes)
    return tar(members_of(run, folder_manifest(FILES)))


def _signers() -> Iterator[BundleCase]:
    account = evm_address("first")
    both = bundle(signers=(FIRST, "first"))
    yield as_case("signed-twice", "One signature of each kind.", both, keys=(FIRST.did, account))
    yield as_case(
        "signed-by-an-account",
        "An EVM account has signed.",
        bundle(signers=("first",)),
        keys=(account, FIRST.did),
    )
    yield as_case(
        "signer-unlisted", "A stranger has signed besides.", both, "evidence_signer_unlisted"
    )
    yield as_case(
        "signer-a-stranger",
        "Made anew by somebody else: the key decides.",
        bundle(signers=(SECOND,)),
        "EVIDENCE_SIGNER",
    )
    yield as_case(
        "signer-a-strange-account",
        "The address decides.",
        bundle(signers=("second",)),
        "EVIDENCE_SIGNER",
        keys=(account, FIRST.did),
    )
    yield as_case("unsigned", "Nobody has signed.", bundle(signers=()), "EVIDENCE_SIGNER")
    yield as_case(
        "no-key",
        "Without a key nobody's word counts, but for the receipts' own.",
        bundle(),
        "KEY_MISSING",
        "KEY_MISSING",
        keys=(),
    )
    other = rfc8785.dumps(
        manifest_of(Run(manifest={"number": 2, "previousManifestHash": f"sha256:{BEFORE}"}))
    )
    yield as_case(
        "signature-of-another-manifest",
        "A signature moved here.",
        bundle(members={"evidence/signatures.json": signatures(other, FIRST)}),
        "EVIDENCE_SIGNATURE",
    )
    yield as_case(
        "account-of-another-manifest",
        "A signature of an account moved here.",
        bundle(members={"evidence/signatures.json": signatures(other, "first")}),
        "EVIDENCE_SIGNATURE",
        keys=(account, FIRST.did),
    )


def _moved_signatures() -> Iterator[BundleCase]:
    account = evm_address("first")
    data = rfc8785.dumps(manifest_of(Run()))
    bare = {"scheme": "ed25519", "publicKey": FIRST.did, "signature": b64u(FIRST.sign(data))}
    yield _signed(
        "signature-over-the-manifest", "Signed was the manifest and not the statement.", bare
    )
    high = signature_of(data, "first")
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    s = order - int(high["signature"][66:130], 16)
    turned = high["signature"][:66] + f"{s:064x}" + f"{55 - int(high['signature'][130:], 16):02x}"
    yield _signed(
        "signature-with-high-s",
        "The other S of the same signature.",
        high | {"signature": turned},
        keys=(account, FIRST.did),
    )
    yield _signed(
        "signature-by-another-than-said",
        "The address beside it is another one.",
        high | {"address": evm_address("second")},
        keys=(account, FIRST.did),
    )
    weak = {
        "scheme": "ed25519",
        "publicKey": did_key(bytes([1]) + bytes(31)),
        "signature": b64u(bytes([1]) + bytes(63)),
    }
    yield _signed("signature-under-a-weak-key", "With such a key anybody could sign.", weak)
    yield as_case(
        "signatures-spelled",
        "The file of signatures has blanks.",
        bundle(
            members={
                "evidence/signatures.json": json.dumps(
                    {"signatures": [signature_of(data, FIRST)]}
                ).encode()
                + b"\n"
            },
        ),
        "EVIDENCE_SIGNATURE",
    )


def _signed(name: str, why: str, one: Json, **more: Any) -> BundleCase:
    file = bytes(rfc8785.dumps({"signatures": [one]})) + b"\n"
    made = bundle(members={"evidence/signatures.json": file})
    return as_case(name, why, made, "EVIDENCE_SIGNATURE", **more)


def _artifacts() -> Iterator[BundleCase]:
    yield as_case(
        "artifact-changed",
        "One byte of one file.",
        bundle(members={"artifacts/report.json": b'{"sum":4}\n'}),
        "EVIDENCE_ARTIFACT_CHANGED",
    )
    yield as_case(
        "artifact-missing",
        "A file was taken out.",
        bundle(members={"artifacts/report.json": None}),
        "EVIDENCE_ARTIFACT_MISSING",
    )
    yield as_case(
        "artifact-extra",
        "A file was put in.",
        bundle(members={"artifacts/more": b"more\n"}),
        "EVIDENCE_ARTIFACT_EXTRA",
    )
    yield as_case(
        "artifact-extra-hidden",
        "A hidden file counts like all others.",
        bundle(members={"artifacts/.tmp-more": b"more\n"}),
        "EVIDENCE_ARTIFACT_EXTRA",
    )
    moved = {"artifacts/report.json": None, "artifacts/renamed.json": FILES["report.json"]}
    yield as_case(
        "artifact-renamed",
        "A file has another name.",
        bundle(members=moved),
        "EVIDENCE_ARTIFACT_RENAMED",
    )
    swapped = {
        "artifacts/report.json": FILES["sub-a.txt"],
        "artifacts/sub-a.txt": FILES["report.json"],
    }
    yield as_case(
        "artifacts-swapped",
        "Two files have changed places.",
        bundle(members=swapped),
        "EVIDENCE_ARTIFACT_CHANGED",
        "EVIDENCE_ARTIFACT_CHANGED",
    )
    yield as_case(
        "detached",
        "The files are elsewhere.",
        bundle(is_detached=True),
        "EVIDENCE_ARTIFACTS_ABSENT",
    )


def _lists() -> Iterator[BundleCase]:
    entries = entries_of(FILES)
    turned = entries[::-1]
    yield as_case(
        "list-out-of-order",
        "The list is not in the order of its paths.",
        as_told(
            manifest_of(Run()) | {"artifacts": turned, "artifactsRoot": root_of(turned)},
            members={SUMS: sums(turned)},
        ),
        "EVIDENCE_ARTIFACT_ORDER",
    )
    twice = [entries[0], *entries]
    yield as_case(
        "list-twice",
        "A path comes twice.",
        as_told(
            manifest_of(Run())
            | {"artifacts": twice, "artifactsRoot": root_of(twice), "artifactCount": len(twice)},
            members={SUMS: sums(twice)},
        ),
        "EVIDENCE_ARTIFACT_MISSING",
        "EVIDENCE_ARTIFACT_ORDER",
    )
    yield as_case(
        "root-wrong",
        "The root is another one.",
        bundle(manifest={"artifactsRoot": f"sha256:{BEFORE}"}),
        "EVIDENCE_ROOT",
    )
    yield as_case(
        "count-wrong",
        "The number is another one.",
        bundle(manifest={"artifactCount": 7}),
        "EVIDENCE_ROOT",
    )
    yield as_case(
        "sums-wrong",
        "SHA256SUMS leads strangers astray.",
        bundle(members={SUMS: sums(entries[1:])}),
        "EVIDENCE_SUMS",
    )
    yield as_case(
        "sums-missing", "SHA256SUMS is not there.", bundle(members={SUMS: None}), "EVIDENCE_SUMS"
    )


def _sums_and_lists() -> Iterator[BundleCase]:
    entries = entries_of(FILES)
    rows = [rfc8785.dumps(one) + b"\n" for one in entries]
    spelled = b"".join(rows).replace(b'"bytes":', b'"bytes": ', 1)
    for name, why, data in (
        ("list-spelled", "The list has a blank.", spelled),
        ("list-cut-off", "The list has no newline at its end.", b"".join(rows)[:-1]),
        ("list-of-junk", "The list holds something else.", b"junk\n"),
    ):
        yield as_case(
            name,
            why,
            bundle(is_listed=True, members={"evidence/artifacts.jsonl": data}),
            "EVIDENCE_MANIFEST",
        )
    yield as_case(
        "list-shortened",
        "The list lacks an entry, and so does the bundle.",
        bundle(
            is_listed=True,
            members={
                "evidence/artifacts.jsonl": b"".join(rows[:-1]),
                SUMS: sums(entries[:-1]),
                entries[-1]["path"]: None,
            },
        ),
        "EVIDENCE_ROOT",
    )
    yield as_case(
        "list-missing",
        "There is no list at all.",
        bundle(is_listed=True, members={"evidence/artifacts.jsonl": None}),
        "EVIDENCE_MALFORMED",
    )
    yield as_case(
        "list-and-list",
        "There are two lists.",
        bundle(members={"evidence/artifacts.jsonl": b"".join(rows)}),
        "EVIDENCE_MALFORMED",
    )


def _folders() -> Iterator[BundleCase]:
    text = {path: data.decode() for path, data in FILES.items()}
    detached = bundle(is_detached=True)
    yield as_case("folder-compared", "The files are in a folder beside.", detached, folder=text)
    yield as_case(
        "folder-with-more",
        "The folder holds more.",
        detached,
        "EVIDENCE_ARTIFACT_EXTRA",
        folder=text | {".tmp-x/y": "hidden\n"},
    )
    yield as_case(
        "folder-changed",
        "The folder has changed, and the bundle has not.",
        bundle(),
        "EVIDENCE_ARTIFACT_CHANGED",
        folder=text | {"report.json": "{}\n"},
    )
    yield as_case(
        "folder-empty",
        "The folder is empty.",
        detached,
        *["EVIDENCE_ARTIFACT_MISSING"] * len(FILES),
        folder={},
    )
    renamed = {path: data for path, data in text.items() if path != "empty"}
    yield as_case(
        "folder-renamed",
        "A file has another name there.",
        detached,
        "EVIDENCE_ARTIFACT_RENAMED",
        folder=renamed | {"void": ""},
    )
