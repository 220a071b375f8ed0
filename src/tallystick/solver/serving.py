# SPDX-License-Identifier: Apache-2.0
"""One solver process from its settings to its end: intents over HTTP, runs beside it.

Start: who may call, then keys and home, what a crash cut off, and only then the socket. End: the
socket first, then runs that have begun; what waits stays on disk for the next start.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable

from tallystick.errors import SettingError
from tallystick.model.host import is_loopback
from tallystick.serve.access import Gate
from tallystick.serve.logs import event
from tallystick.serve.metrics import Meters
from tallystick.serve.server import Server, bound_socket, check_address, room_for, shown_address
from tallystick.serve.tls import server_context
from tallystick.serve.tokens import TokenBook
from tallystick.solver.home import held
from tallystick.solver.intake import SolverApp
from tallystick.solver.meters import METERS
from tallystick.solver.settings import SolverSettings
from tallystick.solver.setup import Solver, open_solver
from tallystick.solver.waiting import Waitlist
from tallystick.solver.workers import Workers


def run_service(
    settings: SolverSettings,
    *,
    on_ready: Callable[[str], None],
    on_start: Callable[[Server], None] = lambda _server: None,
    opened: Callable[[SolverSettings], Solver] = open_solver,
) -> None:
    """Serve until SIGTERM or SIGINT, and return when all that has begun has its bundle."""
    host, port = address_of(settings.addr)
    gate = gate_of(settings, host)
    tls = server_context(settings.tls_cert, settings.tls_key or None) if settings.tls_cert else None
    meters = Meters(METERS)
    check_address(host, port)
    solver = opened(settings)
    with held(f"{solver.home.queue}.lock", "the solver's queue"):
        line = Waitlist(solver.home, settings.queue, solver.clock)
        workers = Workers(solver, line, meters, settings.concurrency)
        listener = bound_socket(host, port)
        url = f"http{'s' if tls else ''}://{shown_address(host, listener.getsockname()[1])}"

        def ready() -> None:
            event(logging.INFO, "ready", url=url, home=solver.home.path, waiting=len(line))
            on_ready(url)

        server = Server(
            SolverApp(solver.home, line, workers, gate, meters),
            listener,
            tls=tls,
            drain_ms=settings.drain_ms,
            connections_max=room_for(settings.max_connections),
            on_ready=ready,
        )
        _ask(meters, line, workers, server)
        workers.start()
        on_start(server)
        try:
            server.run()
        finally:
            late = workers.drain(settings.drain_ms)
            event(logging.INFO, "stopped", ended_early=late, waiting=len(line))


def gate_of(settings: SolverSettings, host: str) -> Gate:
    """Return who may call, or raise where the service would stand open by mistake."""
    tokens = TokenBook(settings.tokens, time.monotonic)
    asks = bool(len(tokens))
    if not asks and not settings.allow_anonymous and not is_loopback(host):
        raise SettingError(
            f"{host} can be reached from other machines, and no credential is known: make a token "
            f"with `tally collector token add --tenant NAME --tokens {settings.tokens}`, or say "
            "--allow-anonymous"
        )
    if asks and not is_loopback(host) and not settings.tls_cert:
        event(logging.WARNING, "no_tls", meaning="tokens arrive unprotected but for a proxy's TLS")
    # Decided once: a service that asks for tokens must not open when the last one is revoked.
    return Gate(tokens=tokens, is_open=settings.allow_anonymous or not asks)


def address_of(text: str) -> tuple[str, int]:
    """Return host and port."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not re.fullmatch(r"[0-9]{1,5}", port, re.ASCII):
        raise SettingError("addr must be HOST:PORT, like 127.0.0.1:8788 or [::1]:8788")
    if int(port) > 65535:
        raise SettingError("addr has a port that does not exist")
    return host, int(port)


def _ask(meters: Meters, line: Waitlist, workers: Workers, server: Server) -> None:
    meters.ask("tally_solver_queue", lambda: len(line))
    meters.ask("tally_solver_running", lambda: workers.running)
    meters.ask("tally_connections", lambda: server.connections)
    meters.ask("tally_up", lambda: float(line.has_room))
