# SPDX-License-Identifier: Apache-2.0
"""What stands in a bundle before its artefacts, read for those who show, prove or unpack it.

Nothing is verified here; a bundle that contradicts itself is refused all the same, so that nobody
is shown a list that the manifest does not commit to.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tallystick.errors import BundleError, ManifestError
from tallystick.model import bundle
from tallystick.model.artifact import ArtifactEntry, artifacts_root, parse_entries
from tallystick.model.bundle import BundleReader, Member
from tallystick.model.manifest import Manifest, manifest_sha256, parse_manifest
from tallystick.model.manifest_signature import ManifestSignature, parse_signatures


class BundleHead(msgspec.Struct, frozen=True, kw_only=True):
    """The named members of a bundle, and what they say."""

    manifest: Manifest
    canonical: bytes
    sha256: str
    signatures: tuple[ManifestSignature, ...]
    entries: tuple[ArtifactEntry, ...]
    files: Mapping[str, bytes]
    first: Member | None  # the first artefact, which the reader stands at


def read_head(reader: BundleReader) -> BundleHead:
    """Return the head of a bundle; the reader then stands at the first artefact or at the end."""
    files: dict[str, bytes] = {}
    member = reader.next()
    while member is not None and not member.is_artifact:
        files[member.name] = reader.content()
        member = reader.next()
    data = files.get(bundle.MANIFEST)
    if data is None:
        raise BundleError("is not there", bundle.MANIFEST)
    if not data.endswith(b"\n"):
        raise ManifestError("does not end with a newline", bundle.MANIFEST)
    canonical = data[:-1]
    manifest = parse_manifest(canonical)
    entries = manifest.artifacts
    if entries is None:
        lines = files.get(bundle.ARTIFACT_LIST, b"")
        entries = tuple(parse_entries(lines, bundle.ARTIFACT_LIST))
    if len(entries) != manifest.artifact_count or artifacts_root(entries) != manifest.root:
        message = "the list of artefacts is not the one that the manifest commits to"
        raise ManifestError(message)
    signatures = files.get(bundle.SIGNATURES)
    return BundleHead(
        manifest=manifest,
        canonical=canonical,
        sha256=manifest_sha256(canonical),
        signatures=() if signatures is None else parse_signatures(signatures),
        entries=entries,
        files=files,
        first=member,
    )
