# SPDX-License-Identifier: Apache-2.0
"""`tally log monitor`: follows a collector's log, and writes evidence where it breaks its word."""

from __future__ import annotations

import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import click

from tallystick.cli.arguments import INPUT_FOLDER, log_key_option

_EPILOG: Final = """\
\b
Examples
  tally log monitor https://collector.example --vkey log.vkey --state log.state
  tally log monitor https://collector.example --vkey log.vkey --state log.state --once
  tally log monitor URL --vkey log.vkey --state log.state --promises answers/ --compare their.note

\b
Exit codes
  0  --once: all that the log shows is in order
  1  the log has contradicted itself; the evidence is in a file that `tally log judge` takes
  2  usage
  3  --once: something is strange that no file can prove, or the log can't be read
  130  ended by Ctrl-C
"""


@click.command("monitor", short_help="Follow a log, and prove where it lies.", epilog=_EPILOG)
@click.argument("url", metavar="URL")
@log_key_option
@click.option(
    "--state",
    required=True,
    metavar="FILE",
    type=click.Path(dir_okay=False, readable=False),
    help="What the monitor remembers between looks. Lost, it can't notice another past.",
)
@click.option(
    "--promises",
    metavar="DIR",
    type=INPUT_FOLDER,
    help="Answers of the collector (bodies of 201, *.json) whose promises it must keep.",
)
@click.option(
    "--compare",
    metavar="FILE",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, readable=False),
    help="A checkpoint that somebody else was shown. May be repeated.",
)
@click.option(
    "--evidence",
    metavar="DIR",
    default=".",
    show_default=True,
    type=INPUT_FOLDER,
    help="Where fraud proofs are written to.",
)
@click.option("--once", is_flag=True, help="Look once, and say by the exit code what was seen.")
@click.option(
    "--every",
    type=click.FloatRange(min=0.1),
    default=10.0,
    metavar="S",
    show_default=True,
    help="Seconds between looks.",
)
@click.option(
    "--silent-after",
    type=click.FloatRange(min=1),
    default=60.0,
    metavar="S",
    show_default=True,
    help="Seconds after which a log without a newer checkpoint counts as silent.",
)
def command(url: str, **options: Any) -> None:
    """Follow the log of the collector at URL: recompute it, and hold it to its word.

    Each new entry is read, each checkpoint held against the last, each promise looked after. What
    contradicts itself is written as evidence that anybody can judge offline.
    """
    from tallystick.cli.log_files import log_key_from
    from tallystick.cli.output import Exit, Stop, complain
    from tallystick.errors import RefusedInput
    from tallystick.watch.monitor import Monitor
    from tallystick.watch.remote_log import RemoteLog
    from tallystick.watch.seen import load_seen, save_seen
    from tallystick.watch.watched import promises_in

    log_key = log_key_from(options["vkey"])
    state = options["state"]
    try:
        reader = RemoteLog(url)
    except RefusedInput as fault:
        raise Stop(Exit.USAGE, str(fault)) from None
    monitor = Monitor(
        reader,
        log_key,
        load_seen(state, log_key),
        save=lambda seen: save_seen(state, log_key, seen),
        clock_s=time.time,
        silent_after_s=options["silent_after"],
    )
    try:
        if options["promises"] is not None:
            monitor.watch(promises_in(options["promises"], monitor.sheet))
        for note in _notes(options["compare"]):
            monitor.hear(note)
        while True:
            alarms = _tell(monitor, options["evidence"])
            if options["once"]:
                if alarms:
                    raise Stop(Exit.UNCHECKED, alarms[0])
                return
            for alarm in alarms:
                complain(alarm)
            time.sleep(options["every"])
    finally:
        reader.close()


def _tell(monitor: Any, folder: str) -> tuple[str, ...]:
    """Look once and tell it; stop where fraud is proven. Returns the alarms."""
    from tallystick.cli.output import Exit, Stop, count, say

    look = monitor.look()
    if look.frauds:
        paths = [_write(folder, fraud) for fraud in look.frauds]
        for fraud, path in zip(look.frauds, paths, strict=True):
            say(("fraud", "bad"), f" {fraud.kind}: {path}")
        raise Stop(Exit.REFUSED, f"the log has contradicted itself: {look.frauds[0].kind}")
    seen = monitor.seen
    if seen is not None and look.spoken is not None and not look.alarms:
        line = f": {count(seen.spoken.size, 'receipt')}, {look.grown} new"
        kept = f", {count(look.kept, 'promise')} kept" if look.kept else ""
        say(("in order", "good"), line + kept)
    alarms: tuple[str, ...] = look.alarms
    return alarms


def _write(folder: str, fraud: Any) -> str:
    """Keep the evidence under a name of its own; the same evidence is the same file."""
    from tallystick.durable.file import write_replace

    name = f"fraud-{fraud.kind.replace('/', '-')}-{sha256(fraud.evidence).hexdigest()[:8]}.json"
    path = str(Path(folder) / name)
    write_replace(path, fraud.evidence, 0o644)
    return path


def _notes(paths: tuple[str, ...]) -> Iterator[bytes]:
    from tallystick.durable.file import read_bounded
    from tallystick.limits import NOTE_BYTES_MAX

    for path in paths:
        yield read_bounded(path, NOTE_BYTES_MAX)
