# SPDX-License-Identifier: Apache-2.0
"""`tally daemon install`: has systemd or launchd start the daemon, or takes that back."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterable
from typing import Any, Final

import click

from tallystick.cli.output import Exit, Stop, say

# What systemd makes where it runs the system; sd_booted(3) looks for the same.
_BOOTED: Final = "/run/systemd/system"

_EPILOG: Final = """\
\b
Examples
  sudo /opt/tally/bin/tally daemon install --system
  tally daemon install --user --dry-run
  tally daemon install --user --uninstall

\b
Exit codes
  0  done, or shown
  2  usage, also a file in the way that is not of our making, or a host without systemd
  3  something could not be written, removed or run
"""


@click.command("install", short_help="Have the system start the daemon.", epilog=_EPILOG)
@click.option("--system", is_flag=True, help="With a user of its own. Needs root.")
@click.option("--user", is_flag=True, help="As you, while you are logged in.")
@click.option("--dry-run", is_flag=True, help="Show the files and commands, and do nothing.")
@click.option(
    "--uninstall", is_flag=True, help="Stop it, and remove the files. Key and store stay."
)
@click.option(
    "--root",
    metavar="DIR",
    default="",
    help="Write below this directory and run no command: for packages.",
)
def command(*, system: bool, user: bool, dry_run: bool, uninstall: bool, root: str) -> None:
    """Write what systemd or launchd needs to start the daemon, and say what is left to do.

    No key is made, and nothing is started: the steps for that are printed.
    """
    from tallystick.daemon.installing import plan_for
    from tallystick.errors import SettingError

    if system == user:
        raise click.UsageError("give --system or --user, and not both.")
    try:
        plan = plan_for(
            "system" if system else "user",
            sys.platform,
            program=_program(),
            # A package is for another machine, whose Python is not this one.
            interpreter="" if root or uninstall else os.path.realpath(sys.executable),
            home=os.path.expanduser("~"),
            may_write=bool(root) or os.geteuid() == 0,
            has_systemd=bool(root) or os.path.isdir(_BOOTED),
        )
        if uninstall:
            _uninstall(plan, root, dry_run=dry_run, is_booted=os.path.isdir(_BOOTED))
        else:
            _install(plan, root, dry_run=dry_run)
    except SettingError as fault:
        raise Stop(Exit.USAGE, str(fault)) from None


def _install(plan: Any, root: str, *, dry_run: bool) -> None:
    from tallystick.daemon.installing import conflicts, write

    if dry_run:
        for one in plan.files:
            state = "in the way: not of our making" if one.path in conflicts(plan, root) else ""
            say(("# ", "dim"), (root + one.path, "strong"), f"  {state}" if state else "")
            for line in one.text.splitlines():
                say(line)
        _tell("# commands", (shlex.join(one) for one in plan.after_writing))
    else:
        for path in write(plan, root):
            say(f"wrote {root}{path}")
        if not root:
            _run_all(plan.after_writing, plan.unanswered)
    _tell("# then, by you", plan.next_steps)
    if plan.obstacle:
        _tell("# refused, if this were no dry run", [plan.obstacle])


def _uninstall(plan: Any, root: str, *, dry_run: bool, is_booted: bool) -> None:
    from tallystick.daemon.installing import remove

    if dry_run:
        _tell("# commands", (shlex.join(one) for one in plan.before_removing))
        _tell("# files", (root + one.path for one in plan.files if not one.stays))
        return
    if not root:
        _run_all(plan.before_removing, may_fail=True)  # it may not have been started
    for path in remove(plan, root):
        say(f"removed {root}{path}")
    say("key, store, settings, users and groups are left as they were")
    if not root:  # without systemd nobody remembers the unit, and nobody need forget it
        _run_all(plan.after_removing, plan.unanswered, may_fail=not is_booted)


def _tell(title: str, lines: Iterable[str]) -> None:
    say((title, "dim"))
    for line in lines:
        say(f"  {line}")


def _run_all(
    commands: Iterable[tuple[str, ...]], advice: str = "", *, may_fail: bool = False
) -> None:
    for one in commands:
        say(("$ ", "dim"), shlex.join(one))
        try:
            done = subprocess.run(one, check=False)  # our own words, no shell
        except OSError as fault:
            raise Stop(Exit.UNCHECKED, f"{one[0]}: {fault.strerror or fault}") from None
        if done.returncode and not may_fail:
            line = f"`{shlex.join(one)}` ended with {done.returncode}"
            raise Stop(Exit.UNCHECKED, f"{line}: {advice}" if advice else line)


def _program() -> str:
    """Return the command that the system is to start: the one beside this interpreter."""
    beside = os.path.join(os.path.dirname(sys.executable), "tally")
    return os.path.abspath(beside if os.path.exists(beside) else sys.argv[0])
