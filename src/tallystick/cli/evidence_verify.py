# SPDX-License-Identifier: Apache-2.0
"""`tally evidence verify`: the verdict on a bundle, or on the proof of one artefact."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, BinaryIO, Final

import click

from tallystick.cli.arguments import INPUT_FILE, refuse_dashes
from tallystick.cli.output import Span, Stop, count, say
from tallystick.limits import ARTIFACT_PROOF_BYTES_MAX

_EPILOG: Final = """\
\b
Examples
  tally evidence verify run.tally --key solver.pub
  tally evidence verify run.tally --key 0x52908400098527886E0F7030069857D2E4169EE7
  tally evidence verify run.tally --key solver.pub --artifacts delivered/
  tally evidence verify run.tally --key solver.pub --trust issuers.toml --vkey log.vkey
  tally evidence verify second.tally --key solver.pub --previous first.tally
  tally evidence verify report.proof --key solver.pub --artifacts report.md

\b
Exit codes
  0  verified    all that the bundle claims was checked and holds
  1  refused     something is wrong; beats 3 when both are found
  2  usage       also a key that can't be used; nothing was read
  3  unchecked   unreadable, or a part is not in the bundle, so it could not be checked
"""


@click.command("verify", short_help="Say whether a bundle holds, and why not.", epilog=_EPILOG)
@click.argument("file", metavar="FILE", type=INPUT_FILE)
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="FILE|DID|0x…",
    help="Who may have signed: an Ed25519 key as a file or did:key:…, or an EVM address. Such a "
    "key counts for the receipts, too. May be repeated.",
)
@click.option("--trust", metavar="FILE", help="A TOML file of issuers whose receipts count, too.")
@click.option(
    "--artifacts",
    metavar="DIR",
    help="A folder to compare with the list; for a proof, the one file.",
)
@click.option(
    "--previous",
    metavar="FILE|HASH",
    help="The bundle before this one of the same solver, or its manifest's hash (64 hex digits).",
)
@click.option("--vkey", metavar="KEY|FILE", help="A log's public key: checks the bundle's proofs.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
def command(file: str, keys: tuple[str, ...], *, as_json: bool, **options: Any) -> None:
    """Verify a bundle: manifest, signatures, artefacts, decision and receipts; `-` is standard
    input.

    FILE may also be the proof of one artefact, as `tally evidence prove` writes it.
    """
    if not keys:
        raise click.UsageError("whose signatures count? Give the solver's public key with --key.")
    refuse_dashes(file, options["previous"])
    from tallystick.cli.evidence_files import opened_bundle, signers_from

    signers = signers_from(keys, options["trust"])
    with opened_bundle(file) as stream:
        first = stream.read(1)
        whole = _Pushed(first, stream)
        if first == b"{":
            report = _verify_proof(whole, signers, options)
        else:
            report = _verify_bundle(file, stream, whole, signers, options)
    _answer(report, as_json=as_json)


class _Pushed:
    """A stream whose first byte was looked at."""

    def __init__(self, first: bytes, stream: BinaryIO) -> None:
        self._first = first
        self._stream = stream

    def read(self, size: int) -> bytes:
        """Return up to so many bytes."""
        if self._first:
            first, self._first = self._first, b""
            return first
        return self._stream.read(size)


def _verify_bundle(
    path: str, source: BinaryIO, stream: Any, signers: Any, options: dict[str, Any]
) -> Any:
    from tallystick.cli.evidence_files import bar, size_of
    from tallystick.cli.log_files import log_key_from
    from tallystick.solver.hashing import scan_artifacts
    from tallystick.verify.evidence import EvidenceQuestion, verify_evidence

    folder, vkey = options["artifacts"], options["vkey"]
    now = datetime.now(UTC)  # noqa: TID251  # the clock comes in
    # A folder is read after the bundle, and how large it is nobody knows.
    with bar(size_of(path) if folder is None else 0, source) as progress:
        question = EvidenceQuestion(
            artifacts=None if folder is None else scan_artifacts(folder),
            previous=_predecessor(options["previous"]),
            log_key=None if vkey is None else log_key_from(vkey),
            now=now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            progress=progress,
        )
        return verify_evidence(stream, signers, question)


def _predecessor(text: str | None) -> Any:
    from tallystick.cli.evidence_files import head_of, opened_bundle
    from tallystick.model.artifact import HEX_PATTERN
    from tallystick.model.shapes import matcher
    from tallystick.verify.evidence import Predecessor

    if text is None:
        return None
    digest = text.removeprefix("sha256:")
    if matcher(HEX_PATTERN)(digest) is not None:
        return Predecessor(sha256=digest)
    with opened_bundle(text) as stream:
        head = head_of(stream, text)
    return Predecessor(
        sha256=head.sha256, number=head.manifest.number, created_at=head.manifest.created_at
    )


def _verify_proof(stream: Any, signers: Any, options: dict[str, Any]) -> Any:
    from tallystick.cli.log_files import log_key_from
    from tallystick.model.bundle import exactly
    from tallystick.verify.artifact_proof import verify_artifact_proof

    data = exactly(stream.read)(ARTIFACT_PROOF_BYTES_MAX + 2)
    found, artifact, vkey = None, options["artifacts"], options["vkey"]
    if artifact is not None:
        from tallystick.solver.hashing import hash_file

        found = hash_file(artifact)
    return verify_artifact_proof(
        data,
        signers,
        found=found,
        previous=_predecessor(options["previous"]),
        log_key=None if vkey is None else log_key_from(vkey),
    )


def _answer(report: Any, *, as_json: bool) -> None:
    from tallystick.cli.verification import EXIT_OF, finding_line, first_reason

    if as_json:
        say(json.dumps(report.to_dict(), separators=(",", ":")))
    else:
        for finding in report.findings:
            say(*finding_line(finding))
        if report.unlisted:
            say(f"and {count(report.unlisted, 'further finding')}, not listed")
        say(*_verdict_line(report))
    if not report.verified:
        raise Stop(EXIT_OF[report.verdict], first_reason(report))


def _verdict_line(report: Any) -> Iterator[Span]:
    if report.verified:
        yield "verified", "good"
    elif report.verdict == "refused":
        yield "refused", "bad"
    else:
        yield "could not check", "unsure"
    if report.manifest is None:
        yield ": no manifest that could be read"
        return
    yield f": {_subject(report)}"
    if report.verified:
        yield f", signed by {' and '.join(report.signers)}"


def _subject(report: Any) -> str:
    manifest, entry = report.manifest, getattr(report, "entry", None)
    if entry is not None:
        return f"{entry.path}, sha256 {entry.sha256}, in manifest {report.manifest_sha256}"
    files = count(manifest.artifact_count, "artefact")
    if manifest.origin == "directory":
        return f"{files} of a folder"
    status = manifest.execution_summary.status
    amount = f"{files}, {count(report.receipts, 'receipt')}"
    return f"run {manifest.run_id[:16]}… of intent {manifest.intent_id[:16]}…, {status}, {amount}"
