# SPDX-License-Identifier: Apache-2.0
"""The proxy, put together: a server and its client, the rules, the daemon, the approvers."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import msgspec

from tallystick.channels.approval_places import Place, announce, new_token, withdraw
from tallystick.channels.approval_service import ApprovalService, Desk
from tallystick.channels.approvals import Approvals
from tallystick.channels.mcp_inspection import Inspection
from tallystick.channels.mcp_receipts import Receipts
from tallystick.channels.mcp_session import Policy
from tallystick.channels.mcp_stdio import Stdio
from tallystick.channels.rules import Rules
from tallystick.deliver.daemon import DaemonEmitter
from tallystick.errors import SettingError
from tallystick.limits import APPROVAL_WAIT_SECONDS_MAX, ATTEST_ANSWER_MS_MAX, ATTEST_WRITE_MS_MAX
from tallystick.model.framing import data_home
from tallystick.model.redact import Redactor
from tallystick.serve.logs import event

_M_ARENA_MAX: Final = -8


class ProxySettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a proxy is told."""

    command: tuple[str, ...]
    server: str
    rules: Rules
    socket: str | None = None
    spool: str | None = None
    session: str | None = None
    require_receipt: bool = False
    wait_s: float = APPROVAL_WAIT_SECONDS_MAX
    late_s: float | None = None
    approvals: str | None = None


def run_proxy(
    settings: ProxySettings, environ: Mapping[str, str], clock_ns: Callable[[], int]
) -> int:
    """Run one server behind the proxy until it ends; return its exit code."""
    keep_one_heap()
    redactor = Redactor()

    def open_emitter() -> DaemonEmitter:
        return DaemonEmitter(
            socket_path=settings.socket,
            session_id=settings.session,
            channel="mcp",
            spool=settings.spool,
            answer_timeout_ms=ATTEST_ANSWER_MS_MAX,
            write_timeout_ms=ATTEST_WRITE_MS_MAX,
            environ=environ,
        )

    receipts = Receipts(
        open_emitter,
        server=settings.server,
        redactor=redactor,
        required=settings.require_receipt,
    )
    try:
        stdio = Stdio(settings.command)
    except SettingError:
        receipts.close()
        raise
    inspection = Inspection(
        Policy(
            server=settings.server,
            rules=settings.rules,
            wait_s=settings.wait_s,
            late_s=settings.late_s,
        ),
        receipts,
        Approvals(redactor),
        to_client=stdio.to_client.write,
        to_server=stdio.to_server.write,
        clock_ns=clock_ns,
    )
    try:
        with approval_desk(settings, inspection):
            return stdio.run(inspection)
    finally:
        stdio.end()
        receipts.close()


@contextmanager
def approval_desk(settings: ProxySettings, inspection: Inspection) -> Iterator[None]:
    """Serve and announce the approval API for as long as the block lasts, where rules need it."""
    if not settings.rules.may_pause:
        yield
        return
    if settings.approvals is None:
        raise SettingError("rules pause calls, and there is no place to announce it: --approvals")
    token = new_token()
    service = ApprovalService(
        Desk(
            server=settings.server,
            listing=inspection.approving.listing,
            settle=inspection.approving.settle,
        ),
        token,
    )
    place = Place(pid=os.getpid(), port=service.port, server=settings.server, token=token)
    service.start()
    try:
        path = announce(settings.approvals, place)
        try:
            event(logging.INFO, "mcp_approvals", port=service.port, file=path)
            yield
        finally:
            withdraw(path)
    finally:
        service.close()


def keep_one_heap() -> None:
    """Have all threads take memory from one heap: what one takes and another frees is used again.

    They hold the interpreter's lock anyway. Only glibc knows of this; elsewhere nothing is done.
    """
    import ctypes

    try:
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
    except (AttributeError, OSError):
        pass


def server_name(command: Sequence[str]) -> str:
    """Return what a server is called that nobody has named: its program."""
    return os.path.basename(command[0]) or "server"


def runtime_folder(environ: Mapping[str, str], user: int) -> str | None:
    """Return the user's runtime directory, also where a host starts servers without saying."""
    named = environ.get("XDG_RUNTIME_DIR")
    if named:
        return named
    usual = f"/run/user/{user}"
    return usual if sys.platform.startswith("linux") and os.path.isdir(usual) else None


def spool_folder(environ: Mapping[str, str]) -> str | None:
    """Return where frames wait for a daemon that is down, unless told otherwise; made here."""
    home = data_home(environ)
    if home is None:
        return None
    base = f"{home}/agent-receipts"
    try:
        os.makedirs(base, mode=0o700, exist_ok=True)
    except OSError:
        return None
    return f"{base}/spool"
