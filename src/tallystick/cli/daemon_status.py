# SPDX-License-Identifier: Apache-2.0
"""`tally daemon status` and `rotate`: asks the daemon that runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import click

from tallystick.cli.daemon_settings import daemon_settings
from tallystick.cli.output import Exit, Stop, say, say_table
from tallystick.cli.settings import setting_options, unusable
from tallystick.daemon.variables import DAEMON

_STATUS_EPILOG: Final = """\
\b
Examples
  tally daemon status
  tally daemon status --json

\b
Exit codes
  0  it runs, and stores what it is sent
  1  its store has failed: it says why, and is about to end
  2  usage
  3  no daemon answers
"""

_ROTATE_EPILOG: Final = """\
\b
Examples
  tally daemon rotate
  sudo runuser -u agentreceipts -- tally daemon rotate --config /etc/agentreceipts/daemon.toml

\b
Exit codes
  0  the next key signs
  1  refused: the store or the keys are not as they should be
  2  usage, also a signer without next_signer
  3  no daemon answers and the store can't be opened, only the daemon's user may do this, or a
     signer is away
"""

# What a daemon's refusal is elsewhere than in its answer; each other one is a plain no.
_CODES: Final[Mapping[str, Exit]] = {
    "NOT_ALLOWED": Exit.UNCHECKED,
    "SignerUnavailable": Exit.UNCHECKED,
    "SettingError": Exit.USAGE,
}
# How long a rotation may take: two commits, some files, and whatever waits before it.
_ROTATION_S: Final = 120.0


@click.command("status", short_help="Ask the daemon how it is.", epilog=_STATUS_EPILOG)
@setting_options("socket", "status_socket", table=DAEMON)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def status(config: str | None, as_json: bool, **flags: Any) -> None:
    """Print uptime, key, open chains, queue, commit latency, rejects, and when it last synced."""
    from tallystick.daemon.checkup import JOIN, may_be_asked
    from tallystick.daemon.status import ask_daemon
    from tallystick.errors import UnreadableError

    settings, _ = daemon_settings(config, {**flags, "unsafe_socket_path": True})
    try:
        answer = ask_daemon(settings.status_socket, "status")
    except UnreadableError as fault:
        hint = "`tally daemon run` starts one; --socket says where another listens"
        if not may_be_asked(settings.status_socket):
            hint = f"{JOIN}, or ask as the daemon's user"
        raise Stop(Exit.UNCHECKED, f"{fault}; {hint}") from None
    if as_json:
        import json

        say(json.dumps(answer))
    else:
        say_table(("what", "value"), list(_flat(answer)), folding=("value",))
    if answer.get("fault"):
        raise Stop(Exit.REFUSED, f"it stores nothing any more: {answer['fault']}")


@click.command("rotate", short_help="Hand over to a new key.", epilog=_ROTATE_EPILOG)
@setting_options(table=DAEMON)
def rotate(config: str | None, **flags: Any) -> None:
    """Close all chains with a hand-over to a new key that the outgoing key signs.

    With a key file the new key is made here; with next_signer it is that signer's, and from the
    next start on the settings have to name it as signer, instead of what signed before.

    A daemon that runs does it between two commits, and nobody waits for long; where none runs, it
    is done here. The earlier public key is kept beside the published one, for whoever verifies.
    """
    from tallystick.daemon.status import ask_daemon
    from tallystick.durable.file import shown
    from tallystick.errors import UnreadableError

    settings, _ = daemon_settings(config, {**flags, "unsafe_socket_path": True})
    try:
        answer = ask_daemon(settings.status_socket, "rotate", wait_s=_ROTATION_S)
    except UnreadableError:
        answer = _rotate_here(settings)
        # Who mistyped a path should see that it was not that daemon's key.
        say(f"no daemon answers at {shown(settings.status_socket)}: rotated here")
    if not answer.get("ok"):
        code = _CODES.get(answer.get("code", ""), Exit.REFUSED)
        raise Stop(code, f"not rotated: {answer.get('message')}")
    say(f"outgoing  {answer['outgoing']}")
    say(f"incoming  {answer['incoming']}")
    say(f"published in {answer['published']}")


def _rotate_here(settings: Any) -> dict[str, Any]:
    """Rotate while no daemon runs; the store's lock makes sure of that."""
    from tallystick.daemon.assembly import ledger_of, set_umask
    from tallystick.daemon.statements import Statements
    from tallystick.verify.trust import fingerprint_of

    set_umask()
    with unusable():
        ledger = ledger_of(settings, Statements(settings))
        try:
            outgoing, incoming = ledger.rotate()
        finally:
            ledger.close()
    return {
        "ok": True,
        "outgoing": fingerprint_of(outgoing),
        "incoming": fingerprint_of(incoming),
        "published": settings.public_key,
    }


def _flat(answer: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in answer.items():
        if name == "ok":
            continue
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{before}{name}.")
        else:
            told = str(value).lower() if isinstance(value, bool) else str(value)
            yield f"{before}{name}", "none" if value in (None, {}) else told
