# SPDX-License-Identifier: Apache-2.0
"""Manifests: what a run was asked, what was decided, and the hashes of what it left.

Every member is always there, null where there is nothing, and the bytes are RFC 8785: one manifest,
one hash. The file is these bytes and a newline; `manifest.sha256` holds the hash of the bytes
without it.

- `origin` is `run`, or `directory` for a bundle that somebody made of a folder: then nothing was
  asked, decided or run, and all members that would tell of it are null.
- `artifacts` is null where the list does not fit: then it lies in `artifacts.jsonl`. In both cases
  `artifactCount` and `artifactsRoot` commit to it.
- `previousManifestHash` and `number` make the manifests of one solver a chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Annotated, Final, Literal, TypeAlias
from unicodedata import category

import msgspec

from tallystick.crypto.canonical import canonicalize
from tallystick.crypto.strict import parse_json
from tallystick.errors import CanonicalError, MalformedInput, ManifestError
from tallystick.limits import (
    ARTIFACTS_MAX,
    DETAIL_BYTES_MAX,
    DETAILS_MAX,
    MANIFEST_BYTES_MAX,
    REASON_BYTES_MAX,
    REASONS_MAX,
    RUN_ERROR_BYTES_MAX,
)
from tallystick.model.artifact import HEX_PATTERN, ArtifactEntry, entry_fault, outcome_hash
from tallystick.model.fact import told
from tallystick.model.shapes import HASH_PATTERN, Integer, Sequence, is_moment, matcher

MANIFEST_VERSION: Final = "1.0.0"
STATEMENT_FORMAT: Final = "tally-manifest/v1"

Details: TypeAlias = dict[str, bool | Integer | str]

_NAME_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9 ._:+@/-]{0,127}"
_UNSEEN: Final = frozenset({"Cc", "Cs"})
_DETAIL_PATTERN: Final = r"[A-Za-z][A-Za-z0-9_.-]{0,63}"


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A closed object whose members are all there."""


class PolicyDecision(_Part, frozen=True, kw_only=True):
    """What the gate said: `reasons` are texts, `codes` the stable code of each."""

    allowed: bool
    reasons: Annotated[tuple[str, ...], msgspec.Meta(max_length=REASONS_MAX)]
    codes: Annotated[tuple[str, ...], msgspec.Meta(max_length=REASONS_MAX)]
    decided_at: str


class ExecutionSummary(_Part, frozen=True, kw_only=True):
    """How the run ended. A refusal never began."""

    status: Literal["SUCCESS", "FAILED", "REFUSED"]
    error: str | None
    started_at: str | None
    finished_at: str | None
    details: Details


class ReceiptBinding(_Part, frozen=True, kw_only=True):
    """The chain of the run's receipts, up to the head that it had when the manifest was made."""

    chain_id: Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
    length: Sequence
    head: str


class Environment(_Part, frozen=True, kw_only=True):
    """By what the artefacts were made, and what held the runner in."""

    tool_version: str
    runner: str | None
    sandbox: Details


class Solver(_Part, frozen=True, kw_only=True):
    """Who made the manifest, in its own words."""

    service: str
    service_version: str
    git_commit: str | None


class Manifest(_Part, frozen=True, kw_only=True):
    """A manifest. Nothing of it is proven until a signature over it is checked."""

    manifest_version: Literal["1.0.0"]
    origin: Literal["run", "directory"]
    number: Sequence | None
    previous_manifest_hash: str | None
    intent_id: str | None
    intent_hash: str | None
    run_id: str | None
    job_type: str | None
    created_at: str
    artifacts: tuple[ArtifactEntry, ...] | None
    artifact_count: Annotated[int, msgspec.Meta(ge=0, le=ARTIFACTS_MAX)]
    artifacts_root: str
    policy_hash: str | None
    policy_decision: PolicyDecision | None
    execution_summary: ExecutionSummary | None
    receipt_chain: ReceiptBinding | None
    environment: Environment
    solver: Solver

    @property
    def root(self) -> bytes:
        """The root of the tree over the artefacts."""
        return bytes.fromhex(self.artifacts_root.removeprefix("sha256:"))

    @property
    def outcome(self) -> bytes:
        """What a post on chain commits to: number and root of the artefacts."""
        return outcome_hash(self.artifact_count, self.root)


def parse_manifest(data: bytes) -> Manifest:
    """Return the manifest of its canonical bytes (no newline), or raise `ManifestError`."""
    try:
        value = parse_json(data, MANIFEST_BYTES_MAX)
        if canonicalize(value) != data:
            raise ManifestError("is not in its canonical form (RFC 8785)")
        manifest = msgspec.convert(value, Manifest)
    except MalformedInput as fault:
        raise ManifestError(fault.message, fault.where) from None
    except CanonicalError as fault:
        raise ManifestError(str(fault)) from None
    except (msgspec.ValidationError, RecursionError) as fault:
        raise ManifestError(*told(fault)) from None
    check_manifest(manifest)
    return manifest


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the canonical bytes of a manifest, which must be sound."""
    value = msgspec.to_builtins(manifest)
    try:
        msgspec.convert(value, Manifest)  # who makes a struct is not held to its types
    except msgspec.ValidationError as fault:
        raise ManifestError(*told(fault)) from None
    check_manifest(manifest)
    data = canonicalize(value)
    if len(data) > MANIFEST_BYTES_MAX:
        raise ManifestError(f"takes {len(data)} bytes, over the limit of {MANIFEST_BYTES_MAX}")
    return data


def manifest_sha256(data: bytes) -> str:
    """Return the 64 hex digits that `manifest.sha256` holds."""
    return sha256(data).hexdigest()


def manifest_statement(digest_hex: str) -> bytes:
    """Return what an Ed25519 key signs: a line that says what it is, and the hash.

    No receipt, note or hand-over begins like this, so no signature serves for two of them.
    """
    return f"{STATEMENT_FORMAT}\n{digest_hex}\n".encode()


def fit_text(text: str, bytes_max: int) -> str:
    """Return a text cut to so many bytes of UTF-8, controls escaped; a cut shows."""
    if not text.isprintable():
        text = "".join(
            repr(one)[1:-1] if category(one) in _UNSEEN else one for one in text[:bytes_max]
        )
    data = text.encode("utf-8", "backslashreplace")
    if len(data) <= bytes_max:
        return data.decode()
    return data[: bytes_max - 3].decode("utf-8", "ignore") + "…"


def check_manifest(manifest: Manifest) -> None:
    """Raise for values that no manifest has, however they came to be there."""
    _check_names(manifest)
    _check_moment(manifest.created_at, "/createdAt")
    _check_hash(manifest.artifacts_root, "/artifactsRoot")
    _check_optional_hash(manifest.previous_manifest_hash, "/previousManifestHash")
    _check_optional_hash(manifest.intent_hash, "/intentHash")
    _check_optional_hash(manifest.policy_hash, "/policyHash")
    for member in ("intent_id", "run_id"):
        value = getattr(manifest, member)
        if value is not None and matcher(HEX_PATTERN)(value) is None:
            raise ManifestError("is not 64 lower-case hex digits", f"/{member[:-3]}Id")
    _check_origin(manifest)
    if manifest.policy_decision is not None:
        _check_decision(manifest.policy_decision)
    if manifest.execution_summary is not None:
        _check_summary(manifest.execution_summary)
    if manifest.receipt_chain is not None:
        _check_hash(manifest.receipt_chain.head, "/receiptChain/head")
    _check_details(manifest.environment.sandbox, "/environment/sandbox")
    for number, entry in enumerate(manifest.artifacts or ()):
        fault = entry_fault(entry)
        if fault is not None:
            raise ManifestError(fault, f"/artifacts/{number}")


# Members that tell of a run. The chain of receipts may be absent even there.
_OF_A_RUN: Final = (
    "number",
    "intent_id",
    "intent_hash",
    "run_id",
    "job_type",
    "policy_hash",
    "policy_decision",
    "execution_summary",
)


def _check_origin(manifest: Manifest) -> None:
    is_run = manifest.origin == "run"
    for member in _OF_A_RUN:
        if (getattr(manifest, member) is not None) is not is_run:
            state = "is null" if is_run else "is not null"
            raise ManifestError(f"{member} {state}, and origin is {manifest.origin}", "/origin")
    if not is_run and (manifest.receipt_chain or manifest.previous_manifest_hash) is not None:
        raise ManifestError("a directory has neither receipts nor a predecessor", "/origin")
    if is_run and (manifest.number == 1) is not (manifest.previous_manifest_hash is None):
        raise ManifestError("is null for number 1, and only there", "/previousManifestHash")


def _check_names(manifest: Manifest) -> None:
    named = {
        "/jobType": manifest.job_type,
        "/environment/toolVersion": manifest.environment.tool_version,
        "/environment/runner": manifest.environment.runner,
        "/solver/service": manifest.solver.service,
        "/solver/serviceVersion": manifest.solver.service_version,
        "/solver/gitCommit": manifest.solver.git_commit,
    }
    for where, name in named.items():
        if name is not None and matcher(_NAME_PATTERN)(name) is None:
            raise ManifestError("is not a plain name of at most 128 characters", where)


def _check_decision(decision: PolicyDecision) -> None:
    where = "/policyDecision"
    _check_moment(decision.decided_at, f"{where}/decidedAt")
    if len(decision.reasons) != len(decision.codes):
        raise ManifestError("reasons and codes differ in number", where)
    for number, reason in enumerate(decision.reasons):
        _check_text(reason, REASON_BYTES_MAX, f"{where}/reasons/{number}")
    for number, code in enumerate(decision.codes):
        if matcher(_DETAIL_PATTERN)(code) is None:
            raise ManifestError("is not a plain word", f"{where}/codes/{number}")


def _check_summary(summary: ExecutionSummary) -> None:
    where = "/executionSummary"
    for name, moment in (("startedAt", summary.started_at), ("finishedAt", summary.finished_at)):
        if moment is not None:
            _check_moment(moment, f"{where}/{name}")
    if summary.error is not None:
        _check_text(summary.error, RUN_ERROR_BYTES_MAX, f"{where}/error")
    _check_details(summary.details, f"{where}/details")


def _check_details(details: Mapping[str, object], where: str) -> None:
    if len(details) > DETAILS_MAX:
        raise ManifestError(f"has over {DETAILS_MAX} members", where)
    for name, value in details.items():
        if matcher(_DETAIL_PATTERN)(name) is None:
            raise ManifestError("has a member whose name is not a plain word", where)
        if isinstance(value, str):
            _check_text(value, DETAIL_BYTES_MAX, f"{where}/{name}")


def _check_text(text: str, bytes_max: int, where: str) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise ManifestError("holds half of a surrogate pair", where) from None
    if size > bytes_max:
        raise ManifestError(f"is over {bytes_max} bytes", where)
    # Each would take six bytes in canonical form: what is bounded here would not be there.
    if not text.isprintable() and any(category(one) in _UNSEEN for one in text):
        raise ManifestError("holds control characters", where)


def _check_moment(text: str, where: str) -> None:
    if not is_moment(text) or not text.endswith("Z"):
        raise ManifestError("is not a timestamp in UTC", where)


def _check_hash(text: str, where: str) -> None:
    if matcher(HASH_PATTERN)(text) is None:
        raise ManifestError("is not sha256: and 64 lower-case hex digits", where)


def _check_optional_hash(text: str | None, where: str) -> None:
    if text is not None:
        _check_hash(text, where)
