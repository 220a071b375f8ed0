# SPDX-License-Identifier: Apache-2.0
"""`tally daemon doctor`: looks at everything between an emitter and the store."""

from __future__ import annotations

from typing import Any, Final

import click

from tallystick.cli.daemon_settings import daemon_settings
from tallystick.cli.output import Exit, Stop, say, say_table
from tallystick.cli.settings import setting_options
from tallystick.daemon.variables import DAEMON

_EPILOG: Final = """\
\b
Examples
  tally daemon doctor
  tally daemon doctor --strict --json
  tally daemon doctor --roundtrip

\b
Exit codes
  0  nothing is wrong
  1  a check failed; with --strict also where one warns
  2  usage, also settings that contradict each other
  3  the file of settings can't be read
"""


@click.command("doctor", short_help="Look for what is wrong.", epilog=_EPILOG)
@setting_options("socket", "status_socket", "db", "key", "signer", "public_key", table=DAEMON)
@click.option(
    "--roundtrip", is_flag=True, help="Also send one frame: this leaves a receipt in the chain."
)
@click.option("--strict", is_flag=True, help="Count warnings as failures.")
@click.option("--json", "as_json", is_flag=True, help="Print the checks as JSON.")
def command(config: str | None, roundtrip: bool, strict: bool, as_json: bool, **flags: Any) -> None:
    """Check daemon, socket, key, published key, store, attestation and the end of the chain.

    Run it as the user whose agents emit: what matters is what they can and can not reach. Of a
    signer the public key is looked up, and nothing is signed. It changes nothing, and leaves no
    receipt unless asked to.
    """
    import msgspec

    from tallystick.daemon.checkup import check_up

    # A daemon that runs on an unsafe path is a finding, not a reason to look no further.
    settings, _ = daemon_settings(config, {**flags, "unsafe_socket_path": True})
    checks = list(check_up(settings))
    if roundtrip:
        checks.append(_roundtrip(settings))
    if as_json:
        say(msgspec.json.encode({"checks": checks}).decode())
    else:
        say_table(
            ("check", "", "found", "what to do"),
            [(one.name, one.state, one.found, one.remedy) for one in checks],
            folding=("found", "what to do"),
        )
    bad = [one.name for one in checks if one.state == "fail" or (strict and one.state == "warn")]
    if bad:
        raise Stop(Exit.REFUSED, f"not as it should be: {', '.join(bad)}")


def _roundtrip(settings: Any) -> Any:
    import uuid

    from tallystick.chain.issue import timestamp
    from tallystick.daemon.assembly import system_clock_ns
    from tallystick.daemon.checkup import roundtrip

    return roundtrip(settings, timestamp(system_clock_ns()), str(uuid.uuid4()))
