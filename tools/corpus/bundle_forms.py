# SPDX-License-Identifier: Apache-2.0
"""Bundles as archives, and proofs of single artefacts: each form but the one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import rfc8785
from tools.corpus import log_making
from tools.corpus.bundle_making import (
    BEFORE,
    FILES,
    BundleCase,
    Run,
    as_case,
    entries_of,
    manifest_of,
    members_of,
    signature_of,
    tar,
)
from tools.corpus.making import FIRST, SECOND, Json


def cases() -> Iterator[BundleCase]:
    """Yield all of them."""
    for module in (
        _archives,
        _proofs,
        _wrong_proofs,
    ):
        yield from module()


def _archives() -> Iterator[BundleCase]:
    members = members_of(Run())
    pairs = list(members.items())
    sound = tar(members)
    no_artifacts = len(tar({name: members[name] for name in members if name[0] == "e"})) - 1024
    links = {"type": b"2", "linkname": "/etc/passwd"}
    for name, why, data in (
        ("empty", "There is nothing.", b""),
        ("of-zeros", "There is no member.", bytes(1024)),
        ("cut-off", "The end is missing.", sound[:-1024]),
        ("cut-off-inside", "The middle of a file is missing.", sound[: no_artifacts + 700]),
        ("half-an-end", "One block of zeros is not two.", sound[:-512]),
        ("with-more-zeros", "Nothing follows the end.", sound + bytes(512)),
        ("with-a-tail", "Nothing follows the end.", sound + b"x"),
        ("two-bundles", "One bundle is not two.", sound + sound),
        ("other-mode", "The headers say more.", tar(members, mode=0o755)),
        ("other-owner", "The headers say whose.", tar(members, uname="root")),
        ("other-time", "The headers say when.", tar(members, mtime=1)),
        ("links", "The members are links.", tar(dict.fromkeys(members, b""), **links)),
        ("member-twice", "A member comes twice.", tar([*pairs, pairs[-1]])),
        (
            "members-out-of-order",
            "Members are out of order.",
            tar([*pairs[1:2], pairs[0], *pairs[2:]]),
        ),
        (
            "artifacts-out-of-order",
            "Artefacts are out of order.",
            tar([*pairs[:-2], pairs[-1], pairs[-2]]),
        ),
        ("artifact-first", "An artefact comes first.", tar([pairs[-1], *pairs[:-1]])),
        (
            "unknown-member",
            "A member that nobody knows.",
            tar([*pairs[:7], ("evidence/more", b""), *pairs[7:]]),
        ),
        ("escaping-member", "A member that leads out.", tar([*pairs, ("artifacts/../../x", b"")])),
        ("absolute-member", "A member with an absolute path.", tar([*pairs, ("/tmp/x", b"")])),
        ("short-path-in-pax", "A short path needs no pax header.", _short_pax(members)),
        ("gzip", "Compressed.", bytes.fromhex("1f8b08000000000002ff") + sound[:100]),
        ("manifest-missing", "There is no manifest.", tar(pairs[1:])),
        ("padding-not-zeros", "There is something in the padding.", _in_padding(sound)),
    ):
        yield as_case(f"archive-{name}", why, data, "EVIDENCE_MALFORMED")


def _short_pax(members: dict[str, bytes]) -> bytes:
    long = tar({"artifacts/" + "x" * 120: b""})
    record = b"21 path=artifacts/zz\n"
    header = bytearray(long[:512])
    header[124:136] = b"%011o\0" % len(record)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    short = tar({"artifacts/zz": b""})[:512]
    return (
        tar(members)[:-1024]
        + bytes(header)
        + record
        + bytes(512 - len(record))
        + short
        + bytes(1024)
    )


def _in_padding(sound: bytes) -> bytes:
    made = bytearray(sound)
    made[-1025] = 1
    return bytes(made)


def _proofs() -> Iterator[BundleCase]:
    run = Run(is_listed=True)
    manifest = bytes(rfc8785.dumps(manifest_of(run)))
    entries = entries_of(FILES)
    leaves = [hashlib.sha256(b"\0" + rfc8785.dumps(one)).digest() for one in entries]

    def proof(index: int, /, **changes: Any) -> bytes:
        told: Json = {
            "entry": entries[index],
            "format": "tally-artifact-proof/v1",
            "index": index,
            "manifest": manifest.decode(),
            "path": [one.hex() for one in log_making.path(leaves, index)],
            "signatures": [signature_of(manifest, FIRST)],
        }
        return bytes(rfc8785.dumps(told | changes)) + b"\n"

    as_proof: Json = {"suffix": "proof"}
    for index in (0, len(entries) - 1):
        yield as_case(f"proof-of-{index}", "One artefact alone.", proof(index), **as_proof)
    yield as_case(
        "proof-with-its-file",
        "The file is the one that is proven.",
        proof(2),
        more={"file": FILES["report.json"].decode()},
        **as_proof,
    )
    yield as_case(
        "proof-with-another-file",
        "The file is another one.",
        proof(2),
        "EVIDENCE_ARTIFACT_CHANGED",
        more={"file": "{}\n"},
        **as_proof,
    )
    yield as_case(
        "proof-of-another-place",
        "The index is another one.",
        proof(2, index=3),
        "EVIDENCE_PROOF",
        **as_proof,
    )
    changed = entries[2] | {"sha256": BEFORE}
    yield as_case(
        "proof-of-another-entry",
        "The entry is another one.",
        proof(2, entry=changed),
        "EVIDENCE_PROOF",
        **as_proof,
    )


def _wrong_proofs() -> Iterator[BundleCase]:
    run = Run(is_listed=True)
    manifest = bytes(rfc8785.dumps(manifest_of(run)))
    entries = entries_of(FILES)
    leaves = [hashlib.sha256(b"\0" + rfc8785.dumps(one)).digest() for one in entries]

    def proof(index: int, /, **changes: Any) -> bytes:
        told: Json = {
            "entry": entries[index],
            "format": "tally-artifact-proof/v1",
            "index": index,
            "manifest": manifest.decode(),
            "path": [one.hex() for one in log_making.path(leaves, index)],
            "signatures": [signature_of(manifest, FIRST)],
        }
        return bytes(rfc8785.dumps(told | changes)) + b"\n"

    as_proof: Json = {"suffix": "proof"}
    yield as_case(
        "proof-of-an-inner-node",
        "A node of the tree is no leaf.",
        proof(0, path=[log_making.path(leaves, 0)[-1].hex()]),
        "EVIDENCE_PROOF",
        **as_proof,
    )
    yield as_case(
        "proof-by-a-stranger",
        "A stranger has signed.",
        proof(1, signatures=[signature_of(manifest, SECOND)]),
        "EVIDENCE_SIGNER",
        **as_proof,
    )
    yield as_case(
        "proof-unsigned",
        "Nobody has signed.",
        proof(1, signatures=[]),
        "EVIDENCE_SIGNER",
        **as_proof,
    )
    yield as_case("proof-of-junk", "The proof is none.", b"{}\n", "EVIDENCE_MANIFEST", **as_proof)
