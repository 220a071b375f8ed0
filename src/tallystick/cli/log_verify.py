# SPDX-License-Identifier: Apache-2.0
"""`tally log verify`: what the files of a log show, offline."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import click

from tallystick.cli.arguments import INPUT_FILE, log_key_option, refuse_dashes
from tallystick.cli.output import Span, Stop, say
from tallystick.limits import LOG_PROOF_BYTES_MAX, NOTE_BYTES_MAX, RECEIPT_BYTES_MAX

_EPILOG: Final = """\
\b
Examples
  tally log verify my.json --vkey log.vkey --proof my.tlog-proof
  tally log verify my.json --vkey log.vkey --proof my.tlog-proof --promise my.promise --sheet sheet
  tally log verify my.json --vkey log.vkey --checkpoint now --promise my.promise --sheet sheet
  tally log verify --vkey log.vkey --checkpoint old --checkpoint new --sheet sheet
  tally log verify --vkey log.vkey --checkpoint old --checkpoint new --consistency proof.json

\b
Where the files come from
  --sheet, --checkpoint   /log/sheet and /log/checkpoint
  --proof                 /log/proof/INDEX.tlog-proof
  --consistency           /log/proof/consistency?from=SIZE&to=SIZE
  --promise               the answer to a POST, as emitters keep it, or the `promise` in it

\b
Exit codes
  0  verified    all that was asked for was shown
  1  refused     a file is not the log's word, or contradicts another
  2  usage       also a key that can't be used
  3  unchecked   what was given does not show it, or could not be read
"""


@click.command("verify", short_help="Say what the files of a log show.", epilog=_EPILOG)
@click.argument("receipt", required=False, metavar="[RECEIPT]", type=INPUT_FILE)
@log_key_option
@click.option("--proof", metavar="FILE", help="A .tlog-proof: the receipt is in the log.")
@click.option("--promise", metavar="FILE", help="The promise that the log gave for the receipt.")
@click.option("--sheet", metavar="FILE", help="The log's sheet: names its promise and time keys.")
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    metavar="FILE",
    help="A checkpoint: one to hold a promise against, or two of one history.",
)
@click.option("--consistency", metavar="FILE", help="The log's proof between two checkpoints.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
def command(receipt: str | None, **options: Any) -> None:
    """Say whether a receipt is in a log and a promise was kept; or, without RECEIPT, whether two
    checkpoints are of one history.

    RECEIPT is one receipt; `-` is standard input. No log is asked: what counts are the files, and
    the log's public key. Whether the receipt itself is genuine says `tally verify`.
    """
    checkpoints = options["checkpoints"]
    files = ("proof", "promise", "sheet", "consistency")
    refuse_dashes(receipt, *checkpoints, *(options[name] for name in files))
    if receipt is None:
        _refuse_options(options, "proof", "promise", why="says something about a receipt; name it.")
        if len(checkpoints) != 2:
            raise click.UsageError("give a receipt, or two checkpoints to compare.")
    else:
        _refuse_options(options, "consistency", why="is about two checkpoints, not a receipt.")
        if len(checkpoints) > 1:
            raise click.UsageError("--checkpoint: with a receipt, give one at most.")
    _answer(
        _report(receipt, options),
        as_json=options["as_json"],
        has_promise=options["promise"] is not None,
    )


def _refuse_options(options: dict[str, Any], *names: str, why: str) -> None:
    for name in names:
        if options[name] is not None:
            raise click.UsageError(f"--{name} {why}")


def _report(receipt: str | None, options: dict[str, Any]) -> Any:
    from tallystick.cli.log_files import log_key_from, promise_in, read_file
    from tallystick.verify.log import verify_checkpoints, verify_logged

    key = log_key_from(options["vkey"])

    def read(name: str, limit: int) -> bytes | None:
        path = options[name]
        return None if path is None else read_file(path, limit)

    sheet = read("sheet", NOTE_BYTES_MAX)
    notes = [read_file(path, NOTE_BYTES_MAX) for path in options["checkpoints"]]
    promise = read("promise", LOG_PROOF_BYTES_MAX)
    if receipt is None:
        proof = read("consistency", LOG_PROOF_BYTES_MAX)
        return verify_checkpoints(notes[0], notes[1], key, proof=proof, sheet=sheet)
    return verify_logged(
        read_file(receipt, RECEIPT_BYTES_MAX),
        key,
        proof=read("proof", LOG_PROOF_BYTES_MAX),
        promise=None if promise is None else promise_in(promise),
        sheet=sheet,
        checkpoint=notes[0] if notes else None,
    )


def _answer(report: Any, *, as_json: bool, has_promise: bool) -> None:
    from tallystick.cli.verification import EXIT_OF, finding_line, first_reason

    if as_json:
        say(json.dumps(report.to_dict(), separators=(",", ":")))
    else:
        for finding in report.findings:
            say(*finding_line(finding))
        say(*_verdict_line(report, kept=has_promise))
    if not report.verified:
        raise Stop(EXIT_OF[report.verdict], first_reason(report))


def _verdict_line(report: Any, *, kept: bool) -> Iterator[Span]:
    from tallystick.cli.log_files import told_place

    if not report.verified:
        is_refused = report.verdict == "refused"
        yield ("refused", "bad") if is_refused else ("could not check", "unsure")
        yield f": {report.origin}"
        return
    yield "verified", "good"
    if report.index is None:
        yield f": one history of {report.origin}, up to size {report.size}"
    else:
        yield f": {told_place(report)}"
        yield f", in the checkpoint of size {report.size}{' as promised' if kept else ''}"
