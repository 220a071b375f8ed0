# SPDX-License-Identifier: Apache-2.0
"""`tally mcp approvals`: lists the calls that wait for somebody, and decides on them."""

from __future__ import annotations

import os
import sys
import time
from typing import Any, Final

import click

from tallystick.cli.output import Exit, Stop, count, say, say_table

_EPILOG: Final = """\
\b
Examples
  tally mcp approvals
  tally mcp approvals --approve 3fa9c1d2e4b5 --reason "asked for by Ada"
  tally mcp approvals --deny 3fa9c1d2e4b5 --as ops@example.org
  tally mcp approvals --watch

\b
Exit codes
  0  listed, or decided
  1  refused: nothing waits under that id, its proxy refuses, or what was approved was not made
  2  usage
  3  the announcements can't be read
"""

_PAUSE_S: Final = 1.0


@click.command("approvals", short_help="List, approve and deny paused calls.", epilog=_EPILOG)
@click.option("--approve", metavar="ID", help="Let this call go on.")
@click.option("--deny", metavar="ID", help="Refuse this call.")
@click.option("--reason", metavar="TEXT", help="Why; it goes into the receipt.")
@click.option("--as", "approver", metavar="NAME", help="Who decides. [the name of this user]")
@click.option("--watch", is_flag=True, help="Go on until Ctrl-C; at a terminal, ask.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object for each.")
@click.option("--approvals", "folder", metavar="DIR", help="Announcements. [TALLY_APPROVALS]")
def command(
    approve: str | None,
    deny: str | None,
    reason: str | None,
    approver: str | None,
    folder: str | None,
    *,
    watch: bool,
    as_json: bool,
) -> None:
    """Show the calls that proxies of this user hold back, with their arguments.

    Who decides, and why, goes into the receipts of the call.
    """
    if (approve is not None) + (deny is not None) + watch > 1:
        raise click.UsageError("give one of --approve, --deny and --watch.")
    place = folder or _folder()
    by = approver or _user()
    if approve is not None or deny is not None:
        given = approve if approve is not None else deny
        _decide(place, str(given), is_approved=approve is not None, by=by, reason=reason)
        return
    if not watch:
        waiting, proxies = _waiting(place)
        _show(waiting, as_json=as_json)
        if not as_json:
            say(f"{count(len(waiting), 'call')} waiting")
            if not proxies:
                say((f"no proxy whose rules pause calls is announced in {place}", "dim"))
        return
    if not as_json:
        say(("calls are shown when they are paused; Ctrl-C ends", "dim"))
    seen: set[str] = set()
    while True:
        waiting = [one for one in _waiting(place)[0] if one[1]["id"] not in seen]
        _show(waiting, as_json=as_json)
        for _, held in waiting:
            seen.add(held["id"])
            if sys.stdin.isatty():
                _ask_about(place, held["id"], by)
        time.sleep(_PAUSE_S)


def _show(waiting: list[tuple[Any, Any]], *, as_json: bool) -> None:
    if as_json:
        import json

        for place, held in waiting:
            say(json.dumps({"server": place.server, **held}))
    elif waiting:
        rows = [
            (
                held["id"],
                place.server,
                str(call["tool"]),
                str(call["risk"]),
                str(call["rule"]),
                f"{held['seconds_left']} s",
                str(call["arguments"]),
            )
            for place, held in waiting
            for call in held["calls"]
        ]
        columns = ("id", "server", "tool", "risk", "rule", "left", "arguments")
        say_table(columns, rows, folding=("tool", "arguments"))


def _ask_about(place: str, id: str, by: str) -> None:  # noqa: A002
    answer = click.prompt(
        f"{id}: approve, deny or leave", type=click.Choice(["a", "d", "l"]), default="l"
    )
    if answer == "l":
        return
    reason = click.prompt("why", default="", show_default=False) or None
    try:
        _decide(place, id, is_approved=answer == "a", by=by, reason=reason)
    except Stop as stop:
        say(stop.line)


def _decide(folder: str, id: str, *, is_approved: bool, by: str, reason: str | None) -> None:  # noqa: A002
    from tallystick.channels.approval_places import ask
    from tallystick.channels.approval_service import PATH
    from tallystick.errors import ApprovalError

    for place, held in _waiting(folder)[0]:
        if held["id"] == id:
            body = {"decision": "approve" if is_approved else "deny", "by": by}
            if reason is not None:
                body["reason"] = reason
            try:
                ask(place, "POST", f"{PATH}/{id}", body)
            except ApprovalError as fault:
                raise Stop(Exit.REFUSED, str(fault)) from None
            say(f"{'approved' if is_approved else 'denied'}: {id} by {by}")
            return
    raise Stop(Exit.REFUSED, f"no call waits under the id {id[:80]}")


def _waiting(folder: str) -> tuple[list[tuple[Any, Any]], int]:
    """Return the calls that wait, each with its proxy, and how many proxies there are."""
    from tallystick.channels.approval_places import ask, places
    from tallystick.channels.approval_service import PATH
    from tallystick.errors import ApprovalError, SettingError

    found, proxies = [], 0
    try:
        for place in places(folder):
            try:
                answer = ask(place, "GET", PATH)
            except ApprovalError:
                continue  # it has just ended
            proxies += 1
            found += [(place, one) for one in answer["pending"]]
    except SettingError as fault:
        raise Stop(Exit.UNCHECKED, str(fault)) from None
    return found, proxies


def _folder() -> str:
    from tallystick.channels.approval_places import approvals_folder
    from tallystick.channels.mcp_proxy import runtime_folder
    from tallystick.config import process_environment
    from tallystick.errors import SettingError

    environ = process_environment()
    try:
        return approvals_folder(environ, runtime_folder(environ, os.getuid()))
    except SettingError as fault:
        raise Stop(Exit.USAGE, str(fault)) from None


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
