# SPDX-License-Identifier: Apache-2.0
"""`tally collector reconcile`: lets a log go on whose own record of its last word is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from tallystick.cli.arguments import INPUT_FILE
from tallystick.cli.settings import setting_options

_EPILOG: Final = """\
\b
Examples
  tally collector reconcile --db collector.db --checkpoint newest.note
  curl -s https://mirror.example/log/checkpoint | tally collector reconcile --checkpoint -

\b
Exit codes
  0  the store has all that was signed; the collector may start
  1  it lacks some of it: this origin must never sign again, open the next one
  2  usage, also where nothing says how far the log was
  3  store or keys could not be read
"""


@click.command("reconcile", short_help="Let a restored log go on, or not.", epilog=_EPILOG)
@click.option(
    "--checkpoint",
    metavar="FILE",
    type=INPUT_FILE,
    help="The newest checkpoint of this log that anybody outside holds; `-` is standard input.",
)
@setting_options("db", "keys")
def command(checkpoint: str | None, config: str | None, **flags: Any) -> None:
    """Compare a store with what its log has signed, and record where it stands.

    A collector refuses to start where its store is older than its last word, or where the record of
    that word is missing: on a new machine, or after a backup came back. Ask a monitor, a mirror or
    an auditor for the newest checkpoint that they hold: only they can know.
    """
    import os

    from tallystick.cli.log_files import read_file
    from tallystick.cli.output import Exit, Stop, count, say
    from tallystick.cli.settings import settings_of, unusable
    from tallystick.collector.guard import GUARD_FILE
    from tallystick.collector.log_keys import load_log_keys
    from tallystick.collector.service import reconcile
    from tallystick.collector.settings import is_postgres
    from tallystick.durable.file import shown
    from tallystick.limits import NOTE_BYTES_MAX
    from tallystick.store.opening import open_log_store

    settings = settings_of(config, flags)[0]
    note = None if checkpoint is None else read_file(checkpoint, NOTE_BYTES_MAX)
    with unusable():
        keys = load_log_keys(settings.keys)
        if not is_postgres(settings.db) and not os.path.isfile(settings.db):
            raise Stop(Exit.UNCHECKED, f"{shown(settings.db)} is no store; --db names another")
        store = open_log_store(settings.db)
        try:
            newest = reconcile(store, keys, Path(settings.keys) / GUARD_FILE, note)
        finally:
            store.close()
    say(
        ("may go on", "good"),
        f": {keys.origin} at {count(newest.size, 'receipt')}, checkpoint {newest.number}",
    )
