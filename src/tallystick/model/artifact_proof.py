# SPDX-License-Identifier: Apache-2.0
"""Proofs that one artefact is in a manifest, without the others: a file for whoever may see one.

    {"entry":{…},"format":"tally-artifact-proof/v1","index":5,"manifest":"{…}",
     "path":["<64 hex>",…],"signatures":[…]}

The manifest stands in it as the text that was signed. Nothing is checked here.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from tallystick.crypto.canonical import canonicalize
from tallystick.crypto.merkle import path_in, tree_rows
from tallystick.crypto.strict import parse_json
from tallystick.errors import CanonicalError, MalformedInput, ManifestError
from tallystick.limits import (
    ARTIFACT_PROOF_BYTES_MAX,
    ARTIFACTS_MAX,
    MANIFEST_SIGNATURES_MAX,
    PATH_HASHES_MAX,
)
from tallystick.model.artifact import HEX_PATTERN, ArtifactEntry, entry_fault, entry_leaf
from tallystick.model.bundle_head import BundleHead
from tallystick.model.fact import told
from tallystick.model.manifest_signature import ManifestSignature, encode_signatures
from tallystick.model.shapes import matcher

FORMAT: Final = "tally-artifact-proof/v1"


class ArtifactProof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry, its path to the root, and the manifest with its signatures."""

    entry: ArtifactEntry
    format: Literal["tally-artifact-proof/v1"]
    index: Annotated[int, msgspec.Meta(ge=0, lt=ARTIFACTS_MAX)]
    manifest: str
    path: Annotated[tuple[str, ...], msgspec.Meta(max_length=PATH_HASHES_MAX)]
    signatures: Annotated[
        tuple[ManifestSignature, ...], msgspec.Meta(max_length=MANIFEST_SIGNATURES_MAX)
    ]

    def encode(self) -> bytes:
        """Return the bytes of the file."""
        return canonicalize(msgspec.to_builtins(self)) + b"\n"

    def hashes(self) -> list[bytes]:
        """Return the path."""
        return [bytes.fromhex(one) for one in self.path]

    def signature_file(self) -> bytes | None:
        """Return the signatures as they stand in a bundle, or None where there are none."""
        return encode_signatures(self.signatures) if self.signatures else None


def prove(head: BundleHead, path: str) -> ArtifactProof:
    """Return the proof for the artefact of that path, or raise."""
    index = next((at for at, one in enumerate(head.entries) if one.path == path), None)
    if index is None:
        raise ManifestError(f"the manifest lists no {path}")
    rows = tree_rows([entry_leaf(one) for one in head.entries])
    return ArtifactProof(
        entry=head.entries[index],
        format=FORMAT,
        index=index,
        manifest=head.canonical.decode(),
        path=tuple(one.hex() for one in path_in(rows, index)),
        signatures=head.signatures,
    )


def parse_proof(data: bytes) -> ArtifactProof:
    """Return the parts of a proof file, or raise `ManifestError`."""
    body = data.removesuffix(b"\n")
    try:
        value = parse_json(body, ARTIFACT_PROOF_BYTES_MAX)
        if canonicalize(value) != body:
            raise ManifestError("is not in its canonical form (RFC 8785)")
        proof = msgspec.convert(value, ArtifactProof)
    except MalformedInput as fault:
        raise ManifestError(fault.message, fault.where) from None
    except CanonicalError as fault:
        raise ManifestError(str(fault)) from None
    except (msgspec.ValidationError, RecursionError) as fault:
        raise ManifestError(*told(fault)) from None
    fault_of_entry = entry_fault(proof.entry)
    if fault_of_entry is not None:
        raise ManifestError(fault_of_entry, "/entry")
    if any(matcher(HEX_PATTERN)(one) is None for one in proof.path):
        raise ManifestError("holds what is not 64 lower-case hex digits", "/path")
    return proof
