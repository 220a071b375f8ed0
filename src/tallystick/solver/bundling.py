# SPDX-License-Identifier: Apache-2.0
"""Makes bundles and takes them out again: a run, or a folder, as one portable file.

The same input gives the same bytes: names, sizes and contents are all that a bundle is made of.
What is packed is held against the manifest while it is written, so that no bundle leaves that says
something else than its manifest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from typing import Final

import msgspec

from tallystick.crypto.checking import check
from tallystick.crypto.multibase import did_key_encode
from tallystick.durable.file import FilePath, read_bounded, shown, write_replace
from tallystick.durable.whole import WholeFile
from tallystick.errors import ArtifactRefused, ManifestError, SigningError
from tallystick.limits import (
    ARTIFACT_CHUNK_BYTES,
    MANIFEST_BYTES_MAX,
    SIGNATURES_FILE_BYTES_MAX,
)
from tallystick.model import bundle
from tallystick.model.artifact import ARTIFACTS, ArtifactEntry, parse_entries
from tallystick.model.bundle import END, NAMED, member_header, named_members, padding
from tallystick.model.manifest import (
    Manifest,
    manifest_sha256,
    manifest_statement,
    parse_manifest,
)
from tallystick.model.manifest_signature import (
    Ed25519Signature,
    ManifestSignature,
    Secp256k1Signature,
    encode_signatures,
    parse_signatures,
)
from tallystick.ports import EvmSigner, Signer
from tallystick.solver import workspace
from tallystick.solver.evidence import ArtifactList, directory_manifest, list_artifacts
from tallystick.solver.hashing import (
    Progress,
    open_artifact,
    open_folder,
    read_unchanged,
    scan_artifacts,
)

_MODE: Final = 0o600
# What a run's directory holds besides its evidence, under the names that a bundle gives them.
_BESIDE: Final = {
    bundle.INTENT: workspace.INTENT,
    bundle.POLICY: workspace.POLICY,
    bundle.RECEIPTS: workspace.RECEIPTS,
}
# What stands beside the artefacts of a run.
_OF_A_RUN: Final = ("states.jsonl", "evidence/manifest.json")


class Packed(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle that was written."""

    manifest: Manifest
    manifest_sha256: str
    sha256: str
    size: int


def sign_manifest(
    run_dir: FilePath, signer: Signer | None = None, *, evm_signer: EvmSigner | None = None
) -> tuple[ManifestSignature, ...]:
    """Sign a run's manifest, and return all signatures that are now beside it.

    Who has signed already does not sign again, so that a run may be taken up where it stopped.
    """
    evidence = os.path.join(run_dir, "evidence")
    data = _manifest_bytes(evidence)
    path = os.path.join(evidence, "signatures.json")
    known: tuple[ManifestSignature, ...] = ()
    if os.path.lexists(path):
        known = parse_signatures(read_bounded(path, SIGNATURES_FILE_BYTES_MAX))
    signed = signatures_of(data, signer, evm_signer, known)
    if signed != known:
        write_replace(path, encode_signatures(signed), _MODE)
    return signed


def signatures_of(
    manifest: bytes,
    signer: Signer | None,
    evm_signer: EvmSigner | None,
    known: tuple[ManifestSignature, ...] = (),
) -> tuple[ManifestSignature, ...]:
    """Return the known signatures and those of the signers, each checked before it counts."""
    found = {one.signer: one for one in known}
    if signer is not None:
        mine = _ed25519(manifest, signer, found)
        found[mine.signer] = mine
    if evm_signer is not None and evm_signer.get_address() not in found:
        theirs = _secp256k1(manifest, evm_signer)
        found[theirs.signer] = theirs
    return tuple(found.values())


def write_bundle(
    run_dir: FilePath,
    out: FilePath,
    *,
    artifacts: bool = True,
    log: Mapping[str, bytes] | None = None,
    progress: Progress | None = None,
) -> Packed:
    """Write the bundle of a run whose manifest is made; return what was written.

    `log` holds files of a log by their names in the bundle (`bundle.LOG_PROOF` and so on). Without
    `artifacts` the bundle holds their list alone.
    """
    evidence = os.path.join(run_dir, "evidence")
    data = _manifest_bytes(evidence)
    manifest = parse_manifest(data)
    files: dict[str, bytes] = dict(log or {})
    for name in (bundle.SIGNATURES, bundle.ARTIFACT_LIST):
        path = os.path.join(run_dir, name)
        if os.path.lexists(path):
            files[name] = read_bounded(path, NAMED[name])
    for name, beside in _BESIDE.items():
        path = os.path.join(run_dir, beside)
        if os.path.lexists(path):
            files[name] = read_bounded(path, NAMED[name])
    entries = manifest.artifacts
    if entries is None:
        lines = files.get(bundle.ARTIFACT_LIST, b"")
        entries = tuple(parse_entries(lines, bundle.ARTIFACT_LIST))
    found = list_artifacts(entries)
    if (found.root, len(entries)) != (manifest.root, manifest.artifact_count):
        raise ManifestError("is not the list that the manifest commits to", bundle.ARTIFACT_LIST)
    folder = os.path.join(run_dir, "artifacts") if artifacts and entries else None
    return _pack(out, manifest, data, found, files=files, folder=folder, progress=progress)


def make_directory_bundle(
    folder: FilePath,
    out: FilePath,
    signer: Signer | None,
    *,
    created_at: str,
    evm_signer: EvmSigner | None = None,
    artifacts: bool = True,
    progress: Progress | None = None,
) -> Packed:
    """Write the bundle of a folder, which says that it is nothing more than that.

    A run's directory is refused, and so is one that has a manifest: otherwise what somebody changed
    in it could be made to look like what the run left.
    """
    _refuse_run(folder)
    found = list_artifacts(scan_artifacts(folder, progress=progress))
    manifest, data = directory_manifest(found, created_at)
    files = {}
    signatures = signatures_of(data, signer, evm_signer)
    if signatures:
        files[bundle.SIGNATURES] = encode_signatures(signatures)
    if manifest.artifacts is None:
        files[bundle.ARTIFACT_LIST] = found.lines
    return _pack(
        out,
        manifest,
        data,
        found,
        files=files,
        folder=folder if artifacts and found.entries else None,
        progress=progress,
    )


def _refuse_run(folder: FilePath) -> None:
    for name in ("evidence", "manifest.json", "manifest.sha256", "states.jsonl"):
        if os.path.lexists(os.path.join(folder, name)):
            raise ArtifactRefused(
                shown(folder), f"holds {name}: it is a run's directory, or has evidence already"
            )
    above = os.path.join(os.path.realpath(folder), os.pardir)
    if any(os.path.lexists(os.path.join(above, name)) for name in _OF_A_RUN):
        raise ArtifactRefused(shown(folder), "belongs to a run, whose own evidence counts")


def _pack(
    out: FilePath,
    manifest: Manifest,
    data: bytes,
    found: ArtifactList,
    *,
    files: Mapping[str, bytes],
    folder: FilePath | None,
    progress: Progress | None,
) -> Packed:
    digest = manifest_sha256(data)
    members = {
        **files,
        bundle.MANIFEST: data + b"\n",
        bundle.DIGEST: f"{digest}\n".encode(),
        bundle.SUMS: found.sums(),
    }
    whole, size = sha256(), 0
    with WholeFile(out, _MODE) as file:

        def put(part: bytes | memoryview) -> None:
            nonlocal size
            whole.update(part)
            file.write(part)
            size += len(part)

        for member in named_members(members):
            put(member)
        if folder is not None:
            _pack_artifacts(folder, found.entries, put, progress)
        put(END)
        file.finish()
    return Packed(manifest=manifest, manifest_sha256=digest, sha256=whole.hexdigest(), size=size)


def _pack_artifacts(
    folder: FilePath,
    entries: Iterable[ArtifactEntry],
    put: Callable[[bytes | memoryview], None],
    progress: Progress | None,
) -> None:
    """Write every artefact as the manifest has it; what has changed since is refused."""
    root = open_folder(folder)
    buffer, total = memoryview(bytearray(ARTIFACT_CHUNK_BYTES)), 0
    try:
        for count, entry in enumerate(entries, 1):
            path = entry.path.removeprefix(ARTIFACTS)
            digest = sha256()

            def take(part: memoryview, digest: object = digest, before: int = count - 1) -> None:
                nonlocal total
                digest.update(part)  # type: ignore[attr-defined]  # hashlib names no type
                put(part)
                total += len(part)
                if progress is not None:
                    progress(before, total)

            descriptor = open_artifact(root, path)
            try:
                if os.fstat(descriptor).st_size != entry.size:
                    raise ArtifactRefused(shown(path), "changed after the manifest was made")
                put(member_header(entry.path, entry.size))
                read_unchanged(descriptor, path, take, buffer)
            finally:
                os.close(descriptor)
            if digest.hexdigest() != entry.sha256:
                raise ArtifactRefused(shown(path), "changed after the manifest was made")
            put(padding(entry.size))
            if progress is not None:
                progress(count, total)
    finally:
        os.close(root)


def _manifest_bytes(evidence: str) -> bytes:
    path = os.path.join(evidence, "manifest.json")
    data = read_bounded(path, MANIFEST_BYTES_MAX + 1)
    if not data.endswith(b"\n"):
        raise ManifestError("does not end with a newline", bundle.MANIFEST)
    return data[:-1]


def _ed25519(
    manifest: bytes, signer: Signer, known: Mapping[str, ManifestSignature]
) -> Ed25519Signature:
    public_key = signer.get_public_key()
    statement = manifest_statement(manifest_sha256(manifest))
    mine = known.get(did_key_encode(public_key))
    if isinstance(mine, Ed25519Signature) and check(mine.signature_bytes(), statement, public_key):
        return mine
    signature = signer.sign(statement)
    if not check(signature, statement, public_key):
        raise SigningError("the signer gave a signature that does not fit its public key")
    return Ed25519Signature.of(public_key, signature)


def _secp256k1(manifest: bytes, signer: EvmSigner) -> Secp256k1Signature:
    from tallystick.crypto.secp256k1 import recovered_address
    from tallystick.model.evm_statement import ManifestStatement

    statement = ManifestStatement(manifest=manifest)
    signature = signer.sign(statement)
    address = signer.get_address()
    if recovered_address(statement.digest(), signature) != address:
        raise SigningError("the EVM signer gave a signature that does not lead to its address")
    return Secp256k1Signature(address=address, signature="0x" + signature.to_bytes().hex())
