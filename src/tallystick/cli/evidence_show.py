# SPDX-License-Identifier: Apache-2.0
"""`tally evidence show`: what a bundle says, for people to read. Verifies nothing, and says so."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any, Final

import click

from tallystick.cli.arguments import INPUT_FILE, STDIN
from tallystick.cli.output import say, say_bytes, say_table

_ROWS_MAX: Final = 1000
_OF_A_LOG: Final = ("proof", "promise", "sheet", "checkpoint")
_EPILOG: Final = """\
\b
Examples
  tally evidence show run.tally
  tally evidence show run.tally --manifest | jq .

\b
Exit codes: 0 shown, 1 no bundle, 2 usage, 3 unreadable.
"""


@click.command("show", short_help="Show what a bundle says; verifies nothing.", epilog=_EPILOG)
@click.argument("file", metavar="FILE", type=INPUT_FILE)
@click.option("--manifest", "as_manifest", is_flag=True, help="Print the manifest's own bytes.")
def command(file: str, *, as_manifest: bool) -> None:
    """Show manifest, signers and artefacts of a bundle, and how to check them without this tool."""
    from tallystick.cli.evidence_files import head_of, opened_bundle

    with opened_bundle(file) as stream:
        head = head_of(stream, file)
    if as_manifest:
        say_bytes(head.canonical + b"\n")
        return
    for name, value in _facts(head):
        say(f"{name:<11} ", value)
    entries = head.entries
    if entries:
        say("")
        rows = [(str(one.size), one.sha256[:16], one.path) for one in entries[:_ROWS_MAX]]
        say_table(("bytes", "sha256", "path"), rows, folding={"path"})
        if len(entries) > _ROWS_MAX:
            say(f"and {len(entries) - _ROWS_MAX} further artefacts")
    say("")
    _say_commands(file, len(entries), has_artifacts=head.first is not None)
    say("shown, not verified: `tally evidence verify` verifies")


def _facts(head: Any) -> Iterator[tuple[str, str]]:
    manifest = head.manifest
    yield "manifest", f"sha256:{head.sha256}"
    yield "origin", manifest.origin
    if manifest.origin == "run":
        decision, summary = manifest.policy_decision, manifest.execution_summary
        yield "intent", manifest.intent_id
        yield "run", manifest.run_id
        yield "job type", manifest.job_type
        yield "decision", "allowed" if decision.allowed else "refused"
        for reason in decision.reasons:
            yield "  because", reason
        yield "status", summary.status
        if summary.error is not None:
            yield "  error", summary.error
        for name, value in sorted(summary.details.items()):
            yield "  fact", f"{name} = {value}"
        bound = manifest.receipt_chain
        if bound is not None:
            yield "receipts", f"{bound.length} of chain {bound.chain_id}, head {bound.head}"
        yield "previous", manifest.previous_manifest_hash or "none: the first of its solver"
    yield "made", manifest.created_at
    made_by = manifest.solver
    yield (
        "by",
        " ".join(
            part for part in (made_by.service, made_by.service_version, made_by.git_commit) if part
        ),
    )
    sandbox = manifest.environment.sandbox
    if sandbox:
        yield "sandbox", ", ".join(f"{name} = {value}" for name, value in sorted(sandbox.items()))
    for one in head.signatures:
        yield "signed by", one.signer
    if not head.signatures:
        yield "signed by", "nobody"
    log = ", ".join(name for name in _OF_A_LOG if f"evidence/log/{name}" in head.files)
    if log:
        yield "log", log
    yield "artefacts", f"{manifest.artifact_count}, root {manifest.artifacts_root}"


def _say_commands(file: str, count: int, *, has_artifacts: bool) -> None:
    """Say what a stranger with ordinary tools would type."""
    name = "BUNDLE" if file == STDIN else shlex.quote(file)
    say("Without this tool:")
    say(f"  mkdir plain && tar xf {name} -C plain && cd plain")
    say("  head -c -1 evidence/manifest.json | sha256sum   # is evidence/manifest.sha256")
    if has_artifacts:
        say("  sha256sum -c evidence/SHA256SUMS")
    elif count:
        say("  sha256sum -c evidence/SHA256SUMS   # once the artefacts are in plain/artifacts")
