# SPDX-License-Identifier: Apache-2.0
"""Makes bundles of evidence from hashlib, tarfile, rfc8785, libsodium and libsecp256k1 alone.

Python's own tarfile writes the archive: that ours is an ordinary ustar file shows in each case.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import coincurve
import rfc8785
from Crypto.Hash import keccak
from tools.corpus.bundle_receipts import chain
from tools.corpus.log_making import root
from tools.corpus.making import (
    FIRST,
    Json,
    Key,
    b64u,
    digest,
    lines,
    verdict_of,
)

DECIDED: Final = "2026-01-02T03:00:01.000Z"
STARTED: Final = "2026-01-02T03:00:02.000Z"
FINISHED: Final = "2026-01-02T03:00:03.000Z"
CREATED: Final = "2026-01-02T03:00:04.000Z"
# What could not be checked, besides what receipts have of that kind.
UNSEEN: Final = frozenset(
    {
        "EVIDENCE_ARTIFACTS_ABSENT",
        "EVIDENCE_INTENT_ABSENT",
        "EVIDENCE_POLICY_ABSENT",
        "EVIDENCE_RECEIPTS_ABSENT",
        "LOG_PROOF_MISSING",
    }
)
MANIFEST: Final = "evidence/manifest.json"
SUMS: Final = "evidence/SHA256SUMS"
FILES: Final = {
    ".tmp-hidden": b"counts like all others\n",
    "empty": b"",
    "report.json": b'{"sum":3}\n',
    "sub-a.txt": b"before the folder: - is less than /\n",
    "sub/report.md": b"# Report\n",
    "sub/ü.txt": "grün\n".encode(),
}


@dataclass(frozen=True, kw_only=True)
class BundleCase:
    """One bundle, or one proof, and what a verifier has to say of it."""

    kind: str = "bundle"
    name: str
    why: str
    data: bytes
    codes: tuple[str, ...] = ()
    keys: tuple[str, ...] = (FIRST.did,)
    # A folder to compare with: path → text.
    folder: dict[str, str] | None = None
    more: Json = field(default_factory=dict)
    suffix: str = "tally"

    def contents(self) -> dict[str, bytes]:
        """Return all files of the case's folder."""
        told: Json = {"why": self.why, "verdict": self.verdict(), "codes": sorted(self.codes)}
        told["keys"] = list(self.keys)
        if self.folder is not None:
            told["folder"] = self.folder
        text = json.dumps(told | self.more, indent=2, ensure_ascii=False) + "\n"
        return {f"input.{self.suffix}": self.data, "expect.json": text.encode()}

    def verdict(self) -> str:
        """Return the verdict that the codes lead to."""
        decisive = {code for code in self.codes if code.isupper()} - UNSEEN
        if decisive or not any(code.isupper() for code in self.codes):
            return verdict_of(decisive)
        return "unchecked"


@dataclass(frozen=True)
class Run:
    """What a bundle is made of; a case changes what it is about."""

    files: Mapping[str, bytes] = field(default_factory=lambda: dict(FILES))
    manifest: Json = field(default_factory=dict)  # members that differ
    intent: Json | None = field(default_factory=lambda: intent())  # noqa: PLW0108  # below
    policy: Json | None = field(default_factory=lambda: policy())  # noqa: PLW0108  # below
    receipts: tuple[Json, ...] | None = None  # None: those of this very run
    actions: int = 1  # between the decision and the end
    signers: tuple[Key | str, ...] = (FIRST,)
    members: Mapping[str, bytes | None] = field(default_factory=dict)  # None takes one out
    is_listed: bool = False  # the list lies outside of the manifest
    is_detached: bool = False


def intent(**changes: Any) -> Json:
    """Return an intent."""
    return {
        "intentVersion": "1.0.0",
        "requester": "alice",
        "createdAt": "2026-01-02T03:00:00.000Z",
        "expiresAt": "2026-01-02T04:00:00.000Z",
        "jobType": "SAFE_REPORT",
        "inputs": {"subject": "sums", "data": {"b": 1, "10": 2, "9": 3, "__proto__": 4}},
    } | changes


def policy(**changes: Any) -> Json:
    """Return a policy that allows it."""
    return {
        "policyVersion": "1.0.0",
        "jobTypeAllowlist": ["SAFE_REPORT"],
        "maxArtifactMb": 5,
        "requireSignature": False,
        "requesterKeys": {},
    } | changes


def refusal() -> Run:
    """Return a run that was refused."""
    strict = policy(jobTypeAllowlist=["OTHER"])
    told = {
        "policyDecision": {
            "allowed": False,
            "reasons": ["jobType 'SAFE_REPORT' not in allowlist"],
            "codes": ["JOB_TYPE_NOT_ALLOWED"],
            "decidedAt": DECIDED,
        },
        "executionSummary": {
            "status": "REFUSED",
            "error": None,
            "startedAt": None,
            "finishedAt": None,
            "details": {},
        },
    }
    return Run(files={}, policy=strict, manifest=told, actions=0)


def as_case(name: str, why: str, data: bytes, *codes: str, **more: Any) -> BundleCase:
    """Return a case with these codes."""
    return BundleCase(name=name, why=why, data=data, codes=codes, **more)


def as_told(manifest: Json, run: Run | None = None, /, **changes: Any) -> bytes:
    """Return a bundle of this manifest, signed anew."""
    return tar(members_of(replace(run or Run(), **changes), manifest))


def hex_of(data: bytes) -> str:
    """Return a bare SHA-256."""
    return hashlib.sha256(data).hexdigest()


BEFORE: Final = hex_of(b"the manifest before")


def entry(path: str, data: bytes) -> Json:
    """Return the entry of an artefact."""
    types = {"json": "application/json", "md": "text/markdown", "txt": "text/plain"}
    name = path.rpartition("/")[2]
    ending = name.rpartition(".")[2] if name.rpartition(".")[0] else ""
    kind = types.get(ending, "application/octet-stream")
    return {
        "bytes": len(data),
        "contentType": kind,
        "path": f"artifacts/{path}",
        "sha256": hex_of(data),
    }


def entries_of(files: Mapping[str, bytes]) -> list[Json]:
    """Return the entries of files, by the bytes of their paths."""
    return [entry(path, files[path]) for path in sorted(files, key=str.encode)]


def root_of(entries: Sequence[Json]) -> str:
    """Return the root of their tree."""
    if not entries:
        return "sha256:" + hex_of(b"")
    leaves = [hashlib.sha256(b"\0" + rfc8785.dumps(one)).digest() for one in entries]
    return "sha256:" + root(leaves).hex()


def manifest_of(run: Run) -> Json:
    """Return the manifest of a run."""
    entries = entries_of(run.files)
    intent_id = hex_of(rfc8785.dumps(run.intent or intent()))
    made: Json = {
        "manifestVersion": "1.0.0",
        "origin": "run",
        "number": 1,
        "previousManifestHash": None,
        "intentId": intent_id,
        "intentHash": f"sha256:{intent_id}",
        "runId": hex_of(f"run:{intent_id}:1".encode()),
        "jobType": "SAFE_REPORT",
        "createdAt": CREATED,
        "artifacts": None if run.is_listed else entries,
        "artifactCount": len(entries),
        "artifactsRoot": root_of(entries),
        "policyHash": "sha256:" + hex_of(rfc8785.dumps(run.policy or policy())),
        "policyDecision": {"allowed": True, "reasons": [], "codes": [], "decidedAt": DECIDED},
        "executionSummary": {
            "status": "SUCCESS",
            "error": None,
            "startedAt": STARTED,
            "finishedAt": FINISHED,
            "details": {"exitCode": 0},
        },
        "receiptChain": None,
        "environment": {"toolVersion": "0.1.0", "runner": "safe-report", "sandbox": {}},
        "solver": {"service": "sample", "serviceVersion": "1", "gitCommit": None},
    }
    made |= run.manifest
    receipts = receipts_of(run, made)
    if receipts and "receiptChain" not in run.manifest:
        last = receipts[-1]
        made["receiptChain"] = {
            "chainId": last["credentialSubject"]["chain"]["chain_id"],
            "length": len(receipts),
            "head": digest(last),
        }
    return made


def receipts_of(run: Run, manifest: Json) -> tuple[Json, ...]:
    """Return the receipts of a run: its own, unless others were put in their place."""
    if run.receipts is not None:
        return run.receipts
    return chain("bundle", manifest, run.actions + 2)


def folder_manifest(files: Mapping[str, bytes], **changes: Any) -> Json:
    """Return the manifest of a folder."""
    nothing = dict.fromkeys(
        (
            "number", "intentId", "intentHash", "runId", "jobType", "policyHash",
            "policyDecision", "executionSummary", "receiptChain", "previousManifestHash",
        )
    )  # fmt: skip
    told = manifest_of(Run(files=files)) | nothing
    return told | {"origin": "directory"} | changes


def statement(manifest: bytes) -> bytes:
    """Return what an Ed25519 key signs."""
    return f"tally-manifest/v1\n{hex_of(manifest)}\n".encode()


def evm_secret(name: str) -> bytes:
    """Return the private key of an EVM account that is made from its name."""
    return hashlib.sha256(f"tallystick vector key: {name}".encode()).digest()


def evm_address(name: str) -> str:
    """Return its address, with the capitals of EIP-55."""
    public = coincurve.PrivateKey(evm_secret(name)).public_key.format(compressed=False)[1:]
    plain = _keccak(public)[-20:].hex()
    marks = _keccak(plain.encode()).hex()
    return "0x" + "".join(
        letter.upper() if int(mark, 16) > 7 else letter
        for letter, mark in zip(plain, marks, strict=False)
    )


def _keccak(data: bytes) -> bytes:
    return bytes(keccak.new(digest_bits=256, data=data).digest())


def signature_of(manifest: bytes, signer: Key | str) -> Json:
    """Return one signature: of a key, or of the EVM account of that name."""
    if isinstance(signer, Key):
        raw = signer.sign(statement(manifest))
        return {"scheme": "ed25519", "publicKey": signer.did, "signature": b64u(raw)}
    hashed = hashlib.sha256(manifest).digest()
    made = coincurve.PrivateKey(evm_secret(signer)).sign_recoverable(hashed, hasher=None)
    raw = made[:64] + bytes([27 + made[64]])
    address = evm_address(signer)
    return {"scheme": "secp256k1", "address": address, "signature": "0x" + raw.hex()}


def signatures(manifest: bytes, *signers: Key | str) -> bytes:
    """Return the file of signatures."""
    made = [signature_of(manifest, one) for one in signers]
    return bytes(rfc8785.dumps({"signatures": made})) + b"\n"


def sums(entries: Sequence[Json]) -> bytes:
    """Return SHA256SUMS."""
    return b"".join(f"{one['sha256']}  {one['path']}\n".encode() for one in entries)


def named_members(run: Run, manifest: Json) -> dict[str, bytes]:
    """Return the members before the artefacts."""
    data = rfc8785.dumps(manifest)
    entries = entries_of(run.files)
    made = {
        "evidence/manifest.json": data + b"\n",
        "evidence/manifest.sha256": f"{hex_of(data)}\n".encode(),
    }
    if run.signers:
        made["evidence/signatures.json"] = signatures(data, *run.signers)
    if run.is_listed:
        made["evidence/artifacts.jsonl"] = b"".join(rfc8785.dumps(one) + b"\n" for one in entries)
    made["evidence/SHA256SUMS"] = sums(entries)
    if run.intent is not None:
        made["evidence/intent.json"] = rfc8785.dumps(run.intent)
    if run.policy is not None:
        made["evidence/policy.json"] = rfc8785.dumps(run.policy)
    if receipts := receipts_of(run, manifest):
        made["evidence/receipts.jsonl"] = lines(list(receipts))
    return made


def members_of(run: Run, manifest: Json | None = None) -> dict[str, bytes]:
    """Return all members of a bundle, in their order."""
    made = named_members(run, manifest or manifest_of(run))
    changed = {name: data for name, data in run.members.items() if data is not None}
    gone = {name for name, data in run.members.items() if data is None}
    named = {**made, **{name: data for name, data in changed.items() if name[:9] == "evidence/"}}
    order = [name for name in ORDER if name in named and name not in gone]
    result = {name: named[name] for name in order}
    if not run.is_detached:
        artifacts = {f"artifacts/{path}": data for path, data in run.files.items()}
        artifacts |= {name: data for name, data in changed.items() if name[:10] == "artifacts/"}
        for name in sorted(artifacts, key=str.encode):
            if name not in gone:
                result[name] = artifacts[name]
    return result


ORDER: Final = tuple(
    f"evidence/{name}"
    for name in (
        "manifest.json", "manifest.sha256", "signatures.json", "artifacts.jsonl", "SHA256SUMS",
        "intent.json", "policy.json", "receipts.jsonl", "log/checkpoint", "log/promise",
        "log/proof", "log/sheet",
    )
)  # fmt: skip


def tar(members: Mapping[str, bytes] | Sequence[tuple[str, bytes]], **header: Any) -> bytes:
    """Return an archive of these members; `header` changes what every header says."""
    out = io.BytesIO()
    pairs = members.items() if isinstance(members, Mapping) else members
    for name, data in pairs:
        raw = name.encode()
        if len(raw) > 100:
            record = _pax(raw)
            out.write(_header("pax", len(record), tarfile.XHDTYPE) + _filled(record))
            shown = raw[:100].decode("utf-8", "surrogateescape")
        else:
            shown = name
        out.write(_header(shown, len(data), tarfile.REGTYPE, **header) + _filled(data))
    return out.getvalue() + bytes(1024)


def _header(name: str, size: int, kind: bytes, **changes: Any) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.mode = size, kind, 0o644
    for member, value in changes.items():
        setattr(info, member, value)
    return info.tobuf(tarfile.USTAR_FORMAT, "utf-8", "surrogateescape")


def _filled(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def _pax(path: bytes) -> bytes:
    rest = b" path=" + path + b"\n"
    size = len(rest)
    while len(str(size)) + len(rest) != size:
        size = len(str(size)) + len(rest)
    return str(size).encode() + rest


def bundle(run: Run | None = None, /, **changes: Any) -> bytes:
    """Return the bundle of a run, changed as told."""
    return tar(members_of(replace(run or Run(), **changes)))
