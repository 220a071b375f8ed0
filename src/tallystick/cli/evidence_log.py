# SPDX-License-Identifier: Apache-2.0
"""`tally evidence log`: a log's word on a run's receipts, put into the run's bundle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import click

from tallystick.cli.arguments import INPUT_FILE, log_key_option, new_bundle_option, refuse_dashes
from tallystick.cli.output import Exit, Stop, count, say
from tallystick.limits import LOG_PROOF_BYTES_MAX, NOTE_BYTES_MAX

_EPILOG: Final = """\
\b
Examples
  tally evidence log run.tally --vkey log.vkey --collector URL --out logged.tally
  tally evidence log run.tally --vkey log.vkey --proof last.tlog-proof --out logged.tally
  tally evidence log run.tally --vkey log.vkey --proof last.tlog-proof --promise last.json \\
    --sheet sheet --out logged.tally
  tally evidence verify logged.tally --key solver.pub --vkey log.vkey

\b
Where the files come from
  --sheet, --checkpoint   /log/sheet and /log/checkpoint
  --proof                 /log/proof/INDEX.tlog-proof; the promise begins with that index
  --promise               the answer to a POST, as emitters keep it, or the `promise` in it

\b
Exit codes
  0  written: the log has the run's last receipt, and with it all before it
  1  refused: no bundle, one without receipts, or files that are not the log's word on them
  2  usage, also a key that can't be used and a FILE that is there already
  3  could not be read or written, or the collector did not do what it was asked
"""


@click.command("log", short_help="Put a log's proof into a bundle.", epilog=_EPILOG)
@click.argument("bundle", metavar="BUNDLE", type=INPUT_FILE)
@log_key_option
@click.option(
    "--collector",
    metavar="URL",
    help="Deliver the run's receipts to this collector, and ask it for the proof.",
)
@click.option("--proof", metavar="FILE", help="A .tlog-proof of the run's last receipt.")
@click.option("--promise", metavar="FILE", help="The promise that the log gave for it.")
@click.option("--sheet", metavar="FILE", help="The log's sheet: a promise needs it.")
@click.option("--checkpoint", metavar="FILE", help="A later checkpoint of the log.")
@new_bundle_option
def command(bundle: str, **options: Any) -> None:
    """Write BUNDLE again, with a log's proof that the run's receipts are in it; `-` is standard
    input.

    Only what proves this under --vkey is put in; what BUNDLE had of a log before is left out, and
    all else stays byte for byte. --collector sends the receipts there, with the token in
    AGENTRECEIPTS_COLLECTOR_TOKEN if there is one; those that it has already it keeps as they are.
    """
    given = [name for name in ("proof", "promise", "sheet", "checkpoint") if options[name]]
    refuse_dashes(bundle, *(options[name] for name in given))
    if options["collector"] is not None:
        if given:
            raise click.UsageError(f"--collector gives the {given[0]}, too; leave one of both out.")
    elif options["proof"] is None:
        raise click.UsageError("what says the log? Give its --proof, or ask a --collector for it.")
    from tallystick.cli.evidence_files import bar, naming, opened_bundle, size_of
    from tallystick.cli.log_files import log_key_from, told_place
    from tallystick.durable.file import shown
    from tallystick.errors import EmitError, PathTakenError
    from tallystick.solver.logged_bundle import write_logged

    key = log_key_from(options["vkey"])
    reports: list[Any] = []
    find = _asked if options["collector"] is not None else _read
    try:
        with (
            opened_bundle(bundle) as stream,
            naming(bundle),
            bar(size_of(bundle), stream) as progress,
        ):
            made = write_logged(
                stream, options["out"], find(key, options, reports), progress=progress
            )
    except PathTakenError as fault:
        raise Stop(Exit.USAGE, str(fault)) from None
    except EmitError as fault:
        raise Stop(Exit.UNCHECKED if fault.is_transient else Exit.REFUSED, str(fault)) from None
    receipts = made.manifest.receipt_chain.length if made.manifest.receipt_chain else 0
    say(f"{shown(options['out'])}  {count(receipts, 'receipt')}, {made.size} bytes")
    say(f"  log       {told_place(reports[0])}")


Find = Callable[[Sequence[bytes]], Mapping[str, bytes]]


def _asked(key: Any, options: dict[str, Any], reports: list[Any]) -> Find:
    """Return what has a collector take the receipts, and gives what its log says then."""
    from tallystick.cli.evidence_files import bar
    from tallystick.config import read
    from tallystick.deliver.logged import collector_at, log_receipts
    from tallystick.errors import RefusedInput
    from tallystick.solver.log_members import members_of

    token = read("AGENTRECEIPTS_COLLECTOR_TOKEN") or None
    try:
        emitter = collector_at(options["collector"], token)
    except RefusedInput as fault:
        raise Stop(Exit.USAGE, f"--collector: {fault}") from None

    def find(receipts: Sequence[bytes]) -> Mapping[str, bytes]:
        with emitter, bar(sum(map(len, receipts)), of="receipts") as progress:
            logged = log_receipts(emitter, key, receipts, progress=progress)
        reports.append(logged.report)
        return members_of(logged)

    return find


def _read(key: Any, options: dict[str, Any], reports: list[Any]) -> Find:
    """Return what holds the files that were given against the last receipt."""
    from tallystick.cli.log_files import promise_in, read_file
    from tallystick.cli.verification import EXIT_OF, first_reason
    from tallystick.model.bundle import LOG_CHECKPOINT, LOG_PROMISE, LOG_PROOF, LOG_SHEET
    from tallystick.verify.log import verify_logged

    limits = {
        "proof": (LOG_PROOF, LOG_PROOF_BYTES_MAX),
        "promise": (LOG_PROMISE, LOG_PROOF_BYTES_MAX),
        "sheet": (LOG_SHEET, NOTE_BYTES_MAX),
        "checkpoint": (LOG_CHECKPOINT, NOTE_BYTES_MAX),
    }
    files = {
        name: read_file(options[name], most)
        for name, (_, most) in limits.items()
        if options[name] is not None
    }
    if "promise" in files:
        files["promise"] = promise_in(files["promise"])

    def find(receipts: Sequence[bytes]) -> Mapping[str, bytes]:
        report = verify_logged(receipts[-1], key, **files)
        if not report.verified:
            why = f"the run's last receipt is not shown to be in the log: {first_reason(report)}"
            raise Stop(EXIT_OF[report.verdict], why)
        reports.append(report)
        return {limits[name][0]: data for name, data in files.items()}

    return find
