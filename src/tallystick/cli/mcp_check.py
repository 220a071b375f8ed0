# SPDX-License-Identifier: Apache-2.0
"""`tally mcp check`: reads a rules file as the proxy would, and tries it on recorded calls."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

import click

from tallystick.cli.arguments import STDIN, read_standard_input
from tallystick.cli.output import Exit, Stop, count, say, say_table

_EPILOG: Final = """\
\b
Examples
  tally mcp check rules.yaml
  tally mcp check rules.yaml calls.jsonl --server github
  tally mcp check rules.yaml calls.jsonl --at 2026-11-21T03:00:00Z --json

\b
Exit codes
  0  the rules can be used
  1  they can't, or a call could not be read
  2  usage
  3  a file could not be read
"""
# What the system's clock can say: until April 2262.
_NANOSECONDS_MAX: Final = 2**63 - 1


@click.command("check", short_help="Try rules on recorded calls.", epilog=_EPILOG)
@click.argument("rules", metavar="RULES")
@click.argument("calls", metavar="[CALLS]", required=False)
@click.option("--server", default="server", metavar="NAME", help="Whose calls they are. [server]")
@click.option("--at", metavar="TIME", help="When they are made, as 2026-11-21T03:00:00Z. [now]")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object for each call.")
def command(
    rules: str,
    calls: str | None,
    server: str,
    at: str | None,
    *,
    as_json: bool,
) -> None:
    """Say what the rules in RULES do with each call in CALLS (`-` is standard input).

    A call is a line: a message as clients send it, or {"tool": …, "arguments": …}.
    """
    read = read_rules_file(rules)
    if calls is None:
        number = len(read.rules)
        say(f"{count(number, 'rule')}; a call that none of them matches: {read.default}")
        return
    now_ns = time.time_ns() if at is None else _moment(at)
    judged = [(call, read.judge(call.subject(server), now_ns)) for call in _calls(calls, server)]
    if as_json:
        import json

        for call, ruling in judged:
            told = {"tool": call.tool, "operation": call.operation, "risk": call.risk}
            told |= {"action": ruling.action, "rule": ruling.name, "reason": ruling.reason}
            say(json.dumps({name: one for name, one in told.items() if one is not None}))
        return
    if not judged:
        say("0 calls: the rules were tried on nothing")
        return
    rows = [
        (call.tool, call.operation, call.risk, ruling.action, ruling.name or "-")
        for call, ruling in judged
    ]
    say_table(("tool", "operation", "risk", "action", "rule"), rows, folding=("tool",))


def read_rules_file(path: str) -> Any:
    """Return the rules in a file, or end the command."""
    from tallystick.channels.rules_file import read_rules
    from tallystick.durable.file import read_bounded
    from tallystick.errors import LimitError, MissingExtraError, RulesError
    from tallystick.limits import RULES_FILE_BYTES_MAX

    try:
        return read_rules(read_bounded(path, RULES_FILE_BYTES_MAX))
    except (RulesError, LimitError) as fault:
        raise Stop(Exit.REFUSED, f"{path}: {fault}") from None
    except MissingExtraError as fault:
        raise Stop(Exit.UNCHECKED, str(fault)) from None


def _moment(text: str) -> int:
    from tallystick.model.shapes import instant_ns, is_moment

    if not is_moment(text):
        raise click.UsageError("--at: wanted is a time as 2026-11-21T03:00:00Z")
    since_1970 = instant_ns(text) - instant_ns("1970-01-01T00:00:00Z")
    if not 0 <= since_1970 <= _NANOSECONDS_MAX:
        raise click.UsageError("--at: no clock says such a time")
    return since_1970


def _calls(path: str, server: str) -> Iterator[Any]:
    """Yield the calls of a file; lines that are no call are passed over."""
    from tallystick.channels.recorded_calls import read_calls
    from tallystick.durable.file import read_bounded
    from tallystick.errors import LimitError, MessageRefused
    from tallystick.limits import RECORDED_CALLS_BYTES_MAX

    try:
        if path == STDIN:
            data = read_standard_input(RECORDED_CALLS_BYTES_MAX + 1)
        else:
            data = read_bounded(path, RECORDED_CALLS_BYTES_MAX)
        yield from read_calls(data, server)
    except (LimitError, MessageRefused) as fault:
        raise Stop(Exit.REFUSED, f"{path}: {fault}") from None
