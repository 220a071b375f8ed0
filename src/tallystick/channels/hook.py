# SPDX-License-Identifier: Apache-2.0
"""`tally-hook HOST`: tells the daemon of one event of an agent's host, and gets out of the way.

Reads one JSON object from standard input and writes nothing to standard output, which hosts read.
Exit code 0: recorded, kept for later, or nothing to record. 1: not recorded, and standard error
says why. Never 2: that would block the agent.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` costs more than all of this
import os
import time
from _collections_abc import Callable, Mapping, Sequence
from types import ModuleType

from tallystick.channels.hook_delivery import HookDelivery
from tallystick.channels.hook_input import UnreadInput, read_event
from tallystick.environment import process_environment
from tallystick.errors import Error
from tallystick.limits import HOOK_DELIVERY_S_MAX, HOOK_INPUT_S_MAX
from tallystick.model.framing import data_home

HOSTS = ("claude-code", "codex")
_USAGE = "usage: tally-hook claude-code|codex [--socket PATH] [--spool DIR]"
_HELP = """
Tells the daemon of one event of an agent's host: one JSON object on standard input.
Hosts call it; `tally hook install claude-code|codex` has them do so.

  --socket PATH  the daemon's socket [AGENTRECEIPTS_SOCKET]
  --spool DIR    where frames wait while the daemon is down [TALLY_SPOOL]

Exit codes
  0  recorded, kept for later, or nothing to record
  1  not recorded, and standard error says why; never 2, which would block the agent
"""
_SESSION_VARIABLES = {"claude-code": "CLAUDE_CODE_SESSION_ID"}


def main(
    arguments: Sequence[str],
    *,
    descriptor: int = 0,
    environ: Mapping[str, str] | None = None,
    clock: Callable[[], int] = time.time_ns,
) -> int:
    """Record one event; return the exit code that the host expects."""
    if list(arguments) in (["--help"], ["-h"]):
        os.write(1, f"{_USAGE}\n{_HELP}".encode())
        return 0
    options = _options(arguments)
    if options is None:
        return _failed(_USAGE)
    around = process_environment() if environ is None else environ
    name = options["host"]
    host = _host(name)
    delivery = HookDelivery(
        socket=options.get("--socket"),
        spool=options.get("--spool") or _spool(around),
        channel=host.CHANNEL,
        clock=clock,
    )
    try:
        _end_within(HOOK_INPUT_S_MAX, _interrupt)
        try:
            event, source = read_event(descriptor)
            _end_within(HOOK_DELIVERY_S_MAX)
        except (UnreadInput, TimeoutError) as fault:
            _end_within(HOOK_DELIVERY_S_MAX)
            session = around.get(_SESSION_VARIABLES.get(name, ""))
            delivery.hand_over(_unread(fault, session), b"")
            return 0
        frames = host.frames_of(event)
        for frame in frames:
            delivery.hand_over(frame, source)
        if frames and frames[-1]["decision"] != "pending":
            delivery.drain()
    except Error as fault:
        return _failed(str(fault))
    except Exception as fault:  # noqa: BLE001 - whatever it is, the agent goes on
        return _failed(f"a bug of ours: {type(fault).__name__}")
    finally:
        _end_within(0)  # an interpreter that is ending would die of it
    return 0


def _options(arguments: Sequence[str]) -> dict[str, str] | None:
    """Return the options; by hand, since a parser would cost more than the rest."""
    if not arguments or arguments[0] not in HOSTS:
        return None
    found = {"host": arguments[0]}
    rest = list(arguments[1:])
    while rest:
        if len(rest) < 2 or rest[0] not in ("--socket", "--spool") or rest[0] in found:
            return None
        found[rest[0]] = rest[1]
        rest = rest[2:]
    return found


def _host(name: str) -> ModuleType:
    if name == "codex":
        from tallystick.channels import codex

        return codex
    from tallystick.channels import claude_code

    return claude_code


def _spool(environ: Mapping[str, str]) -> str | None:
    named = environ.get("TALLY_SPOOL")
    if named:
        return named
    home = data_home(environ)
    return None if home is None else f"{home}/agent-receipts/spool"


def _unread(fault: UnreadInput | TimeoutError, session: str | None) -> dict[str, object]:
    return {
        "session_id": session,
        "tool": {"name": "unparsed"},
        "decision": "allowed",
        "input": fault.omitted if isinstance(fault, UnreadInput) else {"omitted": {}},
        "error": f"what the host told the hook {fault}",
    }


def _interrupt(seconds: int) -> None:
    """End the reading of an input that does not end; what came of it is recorded."""
    raise TimeoutError(f"not within {seconds} s")


def _give_up(seconds: int) -> None:
    os._exit(_failed(f"not recorded within {seconds} s"))


def _end_within(seconds: int, otherwise: Callable[[int], None] = _give_up) -> None:
    """Let nothing hold the agent: not a host that never ends its input, not a slow disk."""
    try:
        _signal.signal(_signal.SIGALRM, lambda _number, _frame: otherwise(seconds))
    except ValueError:
        return  # not the main thread: somebody else's process
    _signal.alarm(seconds)


def _failed(text: str) -> int:
    line = "".join(one if one.isprintable() else "?" for one in f"tally-hook: {text}")
    try:
        os.write(2, line.encode("utf-8", "replace") + b"\n")
    except OSError:
        pass  # nobody listens
    return 1
