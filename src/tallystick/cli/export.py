# SPDX-License-Identifier: Apache-2.0
"""`tally export`: receipts out of files or a collector, as JSON Lines."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final

import click

from tallystick.cli.arguments import paths_argument
from tallystick.cli.output import Exit, Stop, count

_EPILOG: Final = """\
\b
Examples
  tally export https://collector.example --out all.jsonl
  tally export https://collector.example/chains/chain:a > chain.jsonl
  tally export old.json new.jsonl --chain chain:a --out chain.jsonl

\b
A collector is asked with the token in AGENTRECEIPTS_COLLECTOR_TOKEN, if there is one.

\b
Exit codes
  0  written: each receipt's own bytes, one per line
  1  something that was read is no receipt; the others were written
  2  usage, also a file that is there already
  3  could not be read or written, or there was none
"""


@click.command("export", short_help="Copy receipts out, as JSON Lines.", epilog=_EPILOG)
@paths_argument
@click.option("--chain", metavar="ID", help="Only the receipts of this chain.")
@click.option("--out", metavar="FILE", help="Write a new file instead of standard output.")
def command(paths: tuple[str, ...], chain: str | None, out: str | None) -> None:
    """Copy receipts from files, or from a collector's URL, as JSON Lines.

    Nothing is verified. A line feed between the values of a receipt becomes a blank; else every
    byte stays.
    """
    lines = _Lines(paths, chain)
    if out is None:
        sys.stdout.flush()
        for line in lines:
            sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
    else:
        _write(out, lines)
    lines.damage.stop()
    if not lines.count:
        raise Stop(Exit.UNCHECKED, "there was no receipt to export")
    if out is not None:
        print(f"{count(lines.count, 'receipt')} to {out}", file=sys.stderr)


class _Lines:
    """The lines of all receipts that were asked for, and what was no receipt."""

    def __init__(self, paths: tuple[str, ...], chain: str | None) -> None:
        from tallystick.cli.inputs import Damage

        self._paths = paths
        self._chain = chain
        self.count = 0
        self.damage = Damage()

    def __iter__(self) -> Iterator[bytes]:
        from tallystick.cli.inputs import opened_sources
        from tallystick.errors import MalformedInput
        from tallystick.verify.findings import CODES
        from tallystick.verify.source import Input

        with opened_sources(self._paths) as (sources, _):
            stream = Input(sources)
            for index, raw in enumerate(stream):
                if isinstance(raw, bytes):
                    if self._chain is None or _chain_of(raw) == self._chain:
                        self.count += 1
                        yield raw.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n"
                elif isinstance(raw, MalformedInput):
                    code = CODES[raw.code]
                    self.damage.note(
                        Exit.REFUSED if code.severity == "refused" else Exit.UNCHECKED,
                        f"{stream.where(index)}: {raw.message}",
                    )


def _chain_of(raw: bytes) -> str | None:
    """Return the chain that a receipt says it is of, or None where it says none."""
    import msgspec

    try:
        chain = msgspec.json.decode(raw)["credentialSubject"]["chain"]["chain_id"]
    except (msgspec.MsgspecError, KeyError, TypeError, RecursionError):
        return None
    return chain if isinstance(chain, str) else None


def _write(out: str, lines: _Lines) -> None:
    from tallystick.durable.file import shown

    try:
        with open(out, "xb") as file:
            file.writelines(lines)
    except FileExistsError:
        raise Stop(Exit.USAGE, f"{shown(out)} is there already and was not touched") from None
    except OSError as fault:
        raise Stop(
            Exit.UNCHECKED, f"{shown(out)} could not be written: {fault.strerror or fault}"
        ) from None
