# SPDX-License-Identifier: Apache-2.0
"""`tally daemon backup`: the store and what belongs to it as a new folder, verified."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import click

from tallystick.cli.arguments import refuse_dash, workers_option
from tallystick.cli.output import Exit, Stop, count, say
from tallystick.cli.store_options import store_option

_EPILOG: Final = """\
\b
Examples
  tally daemon backup /backups/2026-03-10
  tally daemon backup /backups/$(date -u +%F) --store /var/lib/agentreceipts/receipts.db
  tally daemon backup b --store receipts.db --key signing.key.pub --key agent.pub

\b
DIRECTORY holds
  receipts.db            the store as it was when this began
  receipts.db.imported/  chains from elsewhere, where there are any
  signing.key.pub        the public key; earlier ones beside it as ….rotated-…
  receipts.proof         what has to be there, for `tally verify --proof`
Never in it: the private key, and signing.key.heads.

\b
Exit codes
  0  made, and verified
  1  refused: made and kept, since it is evidence, and does not verify; or PATH is no store
  2  usage, also a DIRECTORY that is there already: nothing was made
  3  made and kept, and could not be verified, as where the store is empty; or something
     could not be read or written, and nothing was made: the last line says which
"""

# As shells report a process that ends by SIGTERM.
_TERMINATED: Final = 128 + signal.SIGTERM


@click.command("backup", short_help="Copy the store, and verify the copy.", epilog=_EPILOG)
@click.argument("directory", callback=refuse_dash)
@store_option
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="FILE|DID",
    help="Whose signatures count; imported chains need their keys, too. May be repeated. "
    "[AGENTRECEIPTS_PUBLIC_KEY; else signing.key.pub beside the store]",
)
@click.option(
    "--trust",
    metavar="FILE",
    help="A TOML file of issuers and their keys, as `tally verify` has it.",
)
@workers_option
def command(
    directory: str, store: str | None, keys: tuple[str, ...], trust: str | None, workers: int
) -> None:
    """Copy a daemon's store to the new DIRECTORY, and verify the copy there.

    Whoever may read the store may do this, whether the daemon runs, was stopped or was killed. All
    that was acknowledged before is in the copy, and the daemon waits for nothing.

    DIRECTORY appears when all of it is on stable storage and was verified, with modes 0750 and
    0640. Until then it is called .DIRECTORY.….tmp, which only a kill leaves behind. What does not
    verify is kept, and told.
    """
    from tallystick.cli.settings import unusable
    from tallystick.cli.stores import store_path
    from tallystick.cli.verification import EXIT_OF, first_reason, say_verdict, trust_in
    from tallystick.durable.file import shown
    from tallystick.store.ledger_file import check_there

    if not directory:
        raise click.UsageError("DIRECTORY is empty.")
    place = store_path(store)
    with unusable():
        check_there(place, shown(place))
    public = _published_path(place)
    if not keys and trust is None and not os.path.lexists(public):
        raise click.UsageError(
            f"whose signatures count? There is no {shown(public)}: give the daemon's public key "
            "with --key."
        )
    given = trust_in(keys, trust) if keys or trust is not None else None
    with _ended_by_sigterm():
        contents, report = _made(directory, place, public, (keys, given, workers))
    say(f"{shown(directory)}  {_told(contents)}")
    say_verdict(report)
    if not report.verified:
        how = "does not verify" if EXIT_OF[report.verdict] is Exit.REFUSED else "is not verified"
        is_empty = {one.code for one in report.findings} == {"NOTHING_TO_VERIFY"}
        why = _no_receipt(place) if is_empty else first_reason(report)
        raise Stop(EXIT_OF[report.verdict], f"{shown(directory)} is kept, but {how}: {why}")


def _no_receipt(store: str) -> str:
    """Return what a store without receipts means to whoever backs it up."""
    from tallystick.durable.file import shown

    return (
        f"{shown(store)} holds no receipt yet. If agents have been recorded, it is another store: "
        "check --store and AGENTRECEIPTS_DB. Else make another backup when they have"
    )


def _made(directory: str, store: str, public: str, judging: tuple[Sequence[str], Any, int]) -> Any:
    """Return what the new folder holds, and what the verifier says of it."""
    from tallystick.cli.evidence_files import bar
    from tallystick.cli.settings import unusable
    from tallystick.daemon.backup import FOLDER_MODE, fill, size_of
    from tallystick.durable.whole_folder import WholeFolder
    from tallystick.errors import DurableError, PathTakenError

    keys, given, _ = judging
    try:
        with unusable(), WholeFolder(directory, FOLDER_MODE) as folder:
            try:
                with bar(size_of(store)) as progress:
                    contents = fill(
                        folder.temporary,
                        store=store,
                        public_path=public,
                        trusted=[] if given is None else [one.public_key for one in given.anyone],
                        beside=[one for one in keys if not one.startswith("did:")],
                        progress=progress,
                    )
            except PathTakenError:
                raise
            except DurableError as fault:
                raise DurableError(folder.by_its_name(str(fault))) from None
            report = _report(contents, *judging, folder.by_its_name)
            folder.finish()
    except PathTakenError as fault:
        raise Stop(Exit.USAGE, str(fault)) from None
    return contents, report


def _report(
    contents: Any, keys: Sequence[str], given: Any, workers: int, called: Callable[[str], str]
) -> Any:
    """Verify a copy as `tally verify --store --proof` does."""
    from tallystick.cli.verification import trust_in, verify_paths, with_earlier_keys

    if given is None:  # what is published beside the store, as it was when it was copied
        keys = [] if contents.public_key is None else [contents.public_key]
        given = trust_in(keys, None)
    trust = with_earlier_keys(given, keys, contents.stores, contents.proof)
    options = dict.fromkeys(
        ("responses", "chain", "expect_length", "expect_head", "method", "log"), None
    )
    more: dict[str, Any] = {"require_terminal": False, "accept_nulls": False, "workers": workers}
    return verify_paths(contents.stores, trust, {**options, **more}, contents.proof, called)


def _published_path(store: str) -> str:
    from tallystick.config import read

    beside = os.path.join(os.path.dirname(store), "signing.key.pub")
    return read("AGENTRECEIPTS_PUBLIC_KEY") or beside


def _told(contents: Any) -> str:
    imported = len(contents.stores) - 1
    parts = [
        "receipts.db",
        f"{count(imported, 'imported chain')}" if imported else "",
        "signing.key.pub" if contents.public_key else "no public key",
        f"{count(contents.earlier_keys, 'earlier key')}" if contents.earlier_keys else "",
        "receipts.proof" if contents.proof is not None else "no proof",
    ]
    return ", ".join(filter(None, parts))


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Leave nothing behind when a service manager ends us, either."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
