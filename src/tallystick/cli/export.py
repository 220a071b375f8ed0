# SPDX-License-Identifier: Apache-2.0
"""`tally export`: receipts out of files or a collector, as JSON Lines."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import click

from tallystick.cli.arguments import as_utf8, paths_or_store, refuse_dash, to_standard_output
from tallystick.cli.output import Exit, Stop, count

_EPILOG: Final = """\
\b
Examples
  tally export https://collector.example --out all.jsonl
  tally export https://collector.example/chains/chain:a > chain.jsonl
  tally export old.json new.jsonl --chain chain:a --out chain.jsonl
  tally export --store receipts.db --out all.jsonl --proof all.proof --key signing.key.pub

\b
A collector is asked with the token in AGENTRECEIPTS_COLLECTOR_TOKEN, if there is one.

\b
Exit codes
  0  written: each receipt's own bytes, one per line
  1  something that was read is no receipt; the others were written
  2  usage, also a file that is there already
  3  could not be read or written, or there was none: no file was made
"""

_WRITE_BYTES: Final = 256 * 1024


@click.command("export", short_help="Copy receipts out, as JSON Lines.", epilog=_EPILOG)
@paths_or_store
@click.option("--chain", metavar="ID", callback=as_utf8, help="Only the receipts of this chain.")
@click.option(
    "--out",
    metavar="FILE",
    callback=to_standard_output,
    help="Write a new file instead of standard output.",
)
@click.option(
    "--proof",
    metavar="FILE",
    callback=refuse_dash,
    help="Write a new file, too: what has to be there, for `tally verify --proof`.",
)
@click.option(
    "--key",
    metavar="FILE",
    help="The daemon's public key: with --proof, earlier ones that lie beside it are named there.",
)
def command(
    paths: tuple[str, ...], store: str | None, chain: str | None, out: str | None, **proving: Any
) -> None:
    """Copy receipts from files, a daemon's store, or a collector's URL, as JSON Lines.

    Nothing is verified. A line feed between the values of a receipt becomes a blank; else every
    byte stays. A file is there when it is whole.

    What --proof writes says how long each chain is and how it ends, which chains are all that a
    daemon has stored, and how its earlier keys vouch for each other. With it and the newest public
    key anybody sees whether all of it is there: `tally verify --proof`.
    """
    from tallystick.cli.inputs import paths_of

    proof, key = proving["proof"], proving["key"]
    if key is not None and proof is None:
        raise click.UsageError("--key says what --proof is to name: give both.")
    paths = paths_of(paths, store)
    lines = _Lines(paths, chain, with_heads=proof is not None)
    with ExitStack() as files:
        # Both names are looked at before anything is read.
        export, vouching = _begun(out, files), _begun(proof, files)
        _copy(lines, export)
        if export is not None:
            lines.damage.stop(Exit.UNCHECKED)
            if lines.count:
                _put(export)
        lines.damage.stop()
        if not lines.count:
            raise Stop(Exit.UNCHECKED, "there was no receipt to export")
        if vouching is not None:
            vouching.write(_proof_of(lines, paths, key).encoded())
            _put(vouching)
    if out is not None:
        print(f"{count(lines.count, 'receipt')} to {out}", file=sys.stderr)


class _Lines:
    """The lines of all receipts that were asked for, and what was no receipt."""

    def __init__(
        self, paths: tuple[str, ...], chain: str | None, *, with_heads: bool = False
    ) -> None:
        from tallystick.cli.inputs import Damage

        self._heads: dict[str, dict[str, Any]] | None = {} if with_heads else None
        self._paths = paths
        self._chain = chain
        self.count = 0
        self.damage = Damage()

    def __iter__(self) -> Iterator[bytes]:
        from tallystick.cli.inputs import opened_sources
        from tallystick.verify.receipt import examine
        from tallystick.verify.source import Input, Noted

        with opened_sources(self._paths) as (sources, _):
            stream = Input(sources)
            for index, raw in enumerate(stream):
                examined = examine(raw)
                if self._is_of_another(examined.receipt):
                    continue
                if self.damage.found_in(examined, stream.where(index)):
                    continue
                self.count += 1
                self._note_head(examined, is_stored=stream.of_whole(index, ""))
                body: Any = raw.body if isinstance(raw, Noted) else raw
                yield body.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n"

    def heads(self) -> list[Any]:
        """Return each chain as it was exported, once all receipts have passed by."""
        from tallystick.model.export_proof import ExportedChain

        return [
            ExportedChain(chain_id=name, **head)
            for name, head in sorted((self._heads or {}).items())
        ]

    def _is_of_another(self, receipt: Any) -> bool:
        """Whether a chain is asked for, and what says of which one it is, is of no such one."""
        if self._chain is None or receipt is None:
            return False
        subject = receipt.credentialSubject
        link = subject.chain if subject is not None else None
        return link is None or link.chain_id != self._chain

    def _note_head(self, examined: Any, *, is_stored: bool) -> None:
        link = examined.receipt.link
        if self._heads is None:
            return
        if link is None or not link.chain_id or not link.sequence:
            return
        before = self._heads.get(link.chain_id)
        length = 1 if before is None else before["length"] + 1
        newest = {
            "head": examined.digest,
            "sequence": link.sequence,
            "closed": link.terminal is True,
        }
        if before is not None and before["sequence"] > link.sequence:
            newest = {name: before[name] for name in newest}
        stored = is_stored and self._chain is None
        self._heads[link.chain_id] = {**newest, "length": length, "stored": stored}


def _proof_of(lines: _Lines, paths: Sequence[str], key: str | None) -> Any:
    """Return what has to be there, and how the keys of the stores among the paths hang together."""
    from tallystick.cli.ledger_input import is_store
    from tallystick.crypto.multibase import did_key_encode
    from tallystick.daemon.publishing import archived
    from tallystick.daemon.vouching import hand_overs
    from tallystick.errors import KeyFileError, StoreError
    from tallystick.model.export_proof import ExportProof, HandOver
    from tallystick.store.ledger_reads import LedgerReader

    pairs: list[tuple[bytes, bytes]] = []
    for path in filter(is_store, paths):
        try:
            with LedgerReader(path) as reader:
                pairs += hand_overs(reader)
        except StoreError as fault:
            raise Stop(Exit.UNCHECKED, str(fault)) from None
    try:
        earlier = [] if key is None else archived(key)
    except KeyFileError as fault:
        raise Stop(Exit.USAGE, f"--key: {fault}") from None
    return ExportProof(
        chains=tuple(lines.heads()),
        hand_overs=tuple(HandOver.of(*pair) for pair in pairs),
        keys=tuple(did_key_encode(one) for one in earlier),
        receipts=lines.count,
    )


def _copy(lines: Iterable[bytes], export: Any) -> None:
    """Write all lines to the file that was begun, or to standard output."""
    if export is None:
        sys.stdout.flush()
        for line in lines:
            sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
        return
    waiting = bytearray()
    for line in lines:
        waiting += line
        if len(waiting) >= _WRITE_BYTES:
            export.write(waiting)
            waiting.clear()
    export.write(waiting)


def _begun(path: str | None, files: ExitStack) -> Any:
    """Return a new file on its way, or None where none is asked for."""
    if path is None:
        return None
    from tallystick.durable.whole import WholeFile

    umask = os.umask(0o077)
    os.umask(umask)
    with _taken(path):
        return files.enter_context(WholeFile(path, 0o666 & ~umask))


def _put(file: Any) -> None:
    with _taken(file.path):
        file.finish()


@contextmanager
def _taken(path: str) -> Iterator[None]:
    """Say that there is such a file already, which no export writes over."""
    from tallystick.durable.file import shown
    from tallystick.errors import PathTakenError

    try:
        yield
    except PathTakenError:
        raise Stop(Exit.USAGE, f"{shown(path)} is there already and was not touched") from None
