# SPDX-License-Identifier: Apache-2.0
"""What the verbs share that read a daemon's store: where it is, and what is asked for."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import click
import msgspec

from tallystick.cli.output import Exit, Stop
from tallystick.config import process_environment, read
from tallystick.model.shapes import is_moment
from tallystick.store.ledger_reads import Filter, LedgerReader, StoredReceipt

SYSTEM_STORE: Final = "/var/lib/agentreceipts/receipts.db"
_JOIN: Final = "add the user to the readers' group, and log in anew"
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_CELL_CHARS_MAX: Final = 100
_EPOCH: Final = "1970-01-01T00:00:00Z"


def filter_of(given: dict[str, Any], now_ns: int | None = None) -> Filter:
    """Return what the options ask for; times in the one form that receipts have."""
    now = time.time_ns() if now_ns is None else now_ns
    asked = dict(given)
    for name in ("since", "until"):
        if asked[name] is not None:
            asked[name] = _moment(asked[name], now, name)
    return Filter(**asked)


def store_path(given: str | None) -> str:
    """Return where the store is: as told, as the environment says, or where daemons keep it."""
    named = given or read("AGENTRECEIPTS_DB")
    if named:
        return named
    from tallystick.model.framing import data_home

    home = data_home(process_environment())
    places = ([f"{home}/agent-receipts/receipts.db"] if home else []) + [SYSTEM_STORE]
    hidden = []
    for place in places:
        try:
            os.stat(place)
        except PermissionError:
            hidden.append(place)
        except (OSError, ValueError):
            continue
        else:
            return place
    if hidden:
        told = f"this user may not see whether a store is at {' or '.join(hidden)}"
        raise Stop(Exit.UNCHECKED, f"{told}: {_JOIN}, or name another with --store")
    raise Stop(Exit.UNCHECKED, f"no store at {' or '.join(places)}; name it with --store")


@contextmanager
def opened(given: str | None) -> Iterator[LedgerReader]:
    """Yield a reader of the store; what it can't read ends the command."""
    from tallystick.errors import StoreCorruptError, StoreError

    try:
        with LedgerReader(store_path(given)) as reader:
            yield reader
    except StoreCorruptError as fault:
        raise Stop(Exit.REFUSED, str(fault)) from None
    except StoreError as fault:
        raise Stop(Exit.UNCHECKED, str(fault)) from None


def row_of(one: StoredReceipt) -> tuple[str, ...]:
    """Return a receipt as a row of a list."""
    ended = f"{one.status}, closes" if one.terminal else one.status
    if _is_denied(one.body):
        ended = f"{ended}, denied"
    cells = (one.timestamp, one.chain_id, one.tool_name, one.action_type, one.risk_level, ended)
    return (str(one.sequence), *(_cut(cell) for cell in cells))


def _is_denied(body: bytes) -> bool:
    """Whether the action was not let happen: the protocol's own status of that is a failure."""
    if b'"decision":"denied"' not in body:
        return False
    try:
        issuer = msgspec.json.decode(body)["issuer"]
        return bool(issuer["runtime"]["tallystick"]["decision"] == "denied")
    except (msgspec.MsgspecError, RecursionError, KeyError, TypeError):
        return False


def _cut(text: str) -> str:
    return text if len(text) <= _CELL_CHARS_MAX else text[: _CELL_CHARS_MAX - 1] + "…"


def _moment(text: str, now_ns: int, name: str) -> str:
    age = re.fullmatch(r"([0-9]{1,9})([smhdw])", text)
    if age is not None:
        return _told(now_ns // 1_000_000 - int(age[1]) * _UNITS[age[2]] * 1000)
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        text += "T00:00:00Z"
    if not is_moment(text):
        raise click.UsageError(f"--{name}: wanted is a time as 2026-01-31T12:00:00Z, or an age: 2h")
    from tallystick.model.shapes import instant_ns

    try:
        return _told((instant_ns(text) - instant_ns(_EPOCH)) // 1_000_000)
    except ValueError:
        raise click.UsageError(f"--{name}: there is no such time") from None


def _told(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    try:
        told = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        raise click.UsageError("that is before all time") from None
    return f"{told}.{rest:03d}Z"
