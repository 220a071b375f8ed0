# SPDX-License-Identifier: Apache-2.0
"""`tally daemon`: makes its key, runs it, asks how it is, rotates its key, backs its store up."""

from __future__ import annotations

import sys
from typing import Any, Final

import click

from tallystick.cli import (
    daemon_backup,
    daemon_doctor,
    daemon_init,
    daemon_install,
    daemon_status,
)
from tallystick.cli.daemon_settings import daemon_settings
from tallystick.cli.groups import VerbGroup
from tallystick.cli.output import say
from tallystick.cli.settings import setting_options, unusable
from tallystick.daemon.variables import DAEMON

_EPILOG: Final = """\
\b
Examples
  tally daemon init
  tally daemon run
  tally daemon status

\b
Exit codes: see `tally daemon VERB --help`.
"""

_RUN_EPILOG: Final = """\
\b
Examples
  tally daemon run
  tally daemon run --chain-id 2026-11-21 --log-format text
  tally daemon run --config /etc/agentreceipts/daemon.toml --print-config

\b
Signals
  SIGTERM, SIGINT   read what emitters have sent, store it, close the chains, end
  SIGHUP            read the settings again

\b
Exit codes
  0  ended as told; nothing that was acknowledged is lost
  1  the store is not what this key has signed, or contradicts itself
  2  usage, also settings that contradict each other, and a PIN that a token does not take
  3  store, key or socket can't be used
"""


@click.group("daemon", cls=VerbGroup, short_help="Run the signing daemon.", epilog=_EPILOG)
def command() -> None:
    """Run the daemon that holds the key, so that no agent has to."""


@command.command("run", short_help="Serve until SIGTERM.", epilog=_RUN_EPILOG)
@setting_options(table=DAEMON)
@click.option("--print-config", is_flag=True, help="Print what would be used, and from where.")
def run(config: str | None, print_config: bool, **flags: Any) -> None:
    """Take frames from a Unix socket, and make receipts of them, until SIGTERM or SIGINT.

    An option beats its environment variable, that beats the file, and that beats the default.
    """
    settings, origins = daemon_settings(config, flags)
    if print_config:
        from tallystick.daemon.settings import print_config as printed

        for line in printed(settings, origins).splitlines():
            say(line)
        return
    from tallystick.daemon.assembly import run_daemon
    from tallystick.serve.logs import configure_logs

    is_json = settings.log_format == "json"
    configure_logs(sys.stderr, "json" if is_json else "text", settings.log_level)
    from tallystick.daemon.settings import load_settings

    def tell() -> None:
        say(f"listening on {settings.socket}")
        sys.stdout.flush()

    with unusable():
        run_daemon(settings, reload=lambda: load_settings(flags, file=config)[0], on_ready=tell)


for _verb in (
    daemon_init.command,
    daemon_status.status,
    daemon_status.rotate,
    daemon_doctor.command,
    daemon_backup.command,
    daemon_install.command,
):
    command.add_command(_verb)
