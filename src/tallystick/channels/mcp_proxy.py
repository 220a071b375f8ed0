# SPDX-License-Identifier: Apache-2.0
"""The proxy, put together: a server and its client, the rules, the daemon, the approvers."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence

import msgspec

from tallystick.channels.approvals import Approvals
from tallystick.channels.mcp_inspection import Inspection, Policy
from tallystick.channels.mcp_receipts import Receipts
from tallystick.channels.mcp_stdio import Stdio
from tallystick.channels.rules import Rules
from tallystick.deliver.daemon import DaemonEmitter
from tallystick.limits import APPROVAL_WAIT_SECONDS, ATTEST_ANSWER_MS_MAX
from tallystick.model.redact import Redactor


class ProxySettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a proxy is told."""

    command: tuple[str, ...]
    server: str
    rules: Rules
    socket: str | None = None
    spool: str | None = None
    session: str | None = None
    require_receipt: bool = False
    wait_s: float = APPROVAL_WAIT_SECONDS
    late_s: float | None = None
    approvals: str | None = None


def run_proxy(settings: ProxySettings, environ: Mapping[str, str]) -> int:
    """Run one server behind the proxy until it ends; return its exit code."""
    redactor = Redactor()

    def open_emitter() -> DaemonEmitter:
        return DaemonEmitter(
            socket_path=settings.socket,
            session_id=settings.session,
            channel="mcp",
            spool=settings.spool,
            answer_timeout_ms=ATTEST_ANSWER_MS_MAX,
            environ=environ,
        )

    receipts = Receipts(
        open_emitter,
        server=settings.server,
        redactor=redactor,
        required=settings.require_receipt,
    )
    stdio = Stdio(settings.command)
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
        clock_ns=time.time_ns,
    )
    try:
        return stdio.run(inspection)
    finally:
        receipts.close()


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
