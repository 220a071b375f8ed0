# SPDX-License-Identifier: Apache-2.0
"""`tally solver serve`: intents over HTTP."""

from __future__ import annotations

import sys
from typing import Any, Final

import click

from tallystick.cli.output import Exit, Stop, say
from tallystick.cli.settings import setting_options
from tallystick.cli.solver_settings import ready_solver, settings_of, unusable
from tallystick.errors import how_to_install
from tallystick.solver.variables import SOLVER

_EPILOG: Final = """\
\b
Examples
  tally solver serve
  tally solver serve --addr 127.0.0.1:0 --log-format text --concurrency 4
  tally solver serve --config /etc/tally/solver.toml
  curl -H 'Content-Type: application/json' --data-binary @intent.json http://127.0.0.1:8788/intents

\b
Exit codes
  0  ended as told (SIGTERM or SIGINT); what had begun has its bundle, what waits is kept
  2  usage, also a key that can't be read, an address that can't be had, or settings that
     contradict each other
  3  signer or home can't be used, or another process serves this home
"""
_SERVED: Final = tuple(one for one in SOLVER if not one.name.startswith("policy_"))


@click.command("serve", short_help="Take intents over HTTP until SIGTERM.", epilog=_EPILOG)
@setting_options(table=_SERVED)
def serve(config: str | None, **flags: Any) -> None:
    """Take intents over HTTP, and run them, until SIGTERM or SIGINT.

    What a crash cut off is finished first, and none of it is executed again. Prints the address
    when it is ready.
    """
    settings = settings_of(config, flags)
    try:
        from tallystick.solver.serving import run_service
    except ImportError as fault:
        raise Stop(
            Exit.UNCHECKED,
            f"a solver's service needs {fault.name}; {how_to_install('solver')}",
        ) from None
    from tallystick.serve.logs import configure_logs

    is_json = settings.log_format == "json"
    configure_logs(sys.stderr, "json" if is_json else "text", settings.log_level)

    def tell(url: str) -> None:
        say(f"listening on {url}")
        sys.stdout.flush()

    with unusable():
        run_service(settings, on_ready=tell, opened=ready_solver)
