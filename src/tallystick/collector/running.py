# SPDX-License-Identifier: Apache-2.0
"""One collector process from its settings to its end, in the only order that keeps its word.

Start: who may call, whether the address is free, then the store, the keys and the guard, and only
then the socket. End: the socket first, then what was taken is committed and covered by a
checkpoint, then the store.
"""

from __future__ import annotations

import gc
import logging
import os
import time
from collections.abc import Callable
from typing import Any, Final

from tallystick.collector.app import CollectorApp
from tallystick.collector.guard import GUARD_FILE
from tallystick.collector.log_keys import LogKeys, create_log_keys, load_log_keys
from tallystick.collector.meters import METERS
from tallystick.collector.service import LogService
from tallystick.collector.settings import Settings, hidden_password, is_postgres
from tallystick.errors import SettingError
from tallystick.serve.access import Gate
from tallystick.serve.logs import event
from tallystick.serve.metrics import Meters
from tallystick.serve.rate import RateLimit
from tallystick.serve.server import Server, bound_socket, check_address, room_for, shown_address
from tallystick.serve.tls import server_context
from tallystick.serve.tokens import TokenBook
from tallystick.store.opening import open_log_store

_ENTROPY_BYTES: Final = 4
# New objects between two looks for garbage in cycles: requests make hardly any.
_GARBAGE_OBJECTS: Final = 20_000


def run_collector(
    settings: Settings,
    *,
    on_ready: Callable[[str], None],
    on_start: Callable[[Server, LogService], None] = lambda _server, _service: None,
) -> None:
    """Serve until SIGTERM or SIGINT, and return when all that was taken is safe.

    `on_ready` is given the address as a URL; `on_start` the server, which another thread may stop,
    and what it serves.
    """
    gate = gate_of(settings)
    tls = None
    if settings.tls_cert:
        tls = server_context(
            settings.tls_cert,
            settings.tls_key or None,
            client_ca=settings.client_ca or None,
            require_client=settings.require_client_cert,
        )
    known = _known_keys(settings)
    check_address(settings.host, settings.port)
    meters = Meters(METERS)
    store = open_log_store(settings.db)
    try:
        keys = known or _first_keys(settings)
        service = LogService(
            store,
            keys,
            os.path.join(settings.keys, GUARD_FILE),
            on_commit=lambda count, seconds: _note_commit(meters, count, seconds),
            on_release=lambda _size, delay_s, sign_s: _note_release(meters, delay_s, sign_s),
        )
        try:
            service.start()
            _serve(settings, service, gate, meters, tls, on_ready=on_ready, on_start=on_start)
            service.drain()
        finally:
            service.close()
    finally:
        store.close()
    event(logging.INFO, "stopped", fault=service.fault)


def gate_of(settings: Settings) -> Gate:
    """Return who may call, or raise where the service would stand open by mistake."""
    tokens = TokenBook(settings.tokens, time.monotonic)
    asks = bool(len(tokens) or settings.certificates)
    if not asks and not settings.allow_anonymous and not settings.is_loopback:
        raise SettingError(
            f"{settings.host} can be reached from other machines, and no credential is known: "
            "make a token with `tally collector token add --tenant NAME`, or say --allow-anonymous"
        )
    if asks and not settings.is_loopback and not settings.tls_cert:
        event(logging.WARNING, "no_tls", meaning="tokens arrive unprotected but for a proxy's TLS")
    return Gate(
        tokens=tokens,
        certificates=settings.certificates,
        # Decided once: a service that asks for tokens must not open when the last one is revoked.
        is_open=settings.allow_anonymous or not asks,
    )


def settle_garbage() -> None:
    """Let the interpreter look for garbage less often: what start-up made stays, all else is brief.

    For the process that serves and nothing else, once it is ready.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_OBJECTS, 20, 50)


def _known_keys(settings: Settings) -> LogKeys | None:
    """Return the log's keys, or None where a first start on a laptop may make them."""
    if os.path.isdir(settings.keys):
        return load_log_keys(settings.keys)
    is_first = not is_postgres(settings.db) and not os.path.lexists(settings.db)
    if settings.is_loopback and is_first:
        return None
    if not is_postgres(settings.db) and os.path.lexists(settings.db):
        raise SettingError(
            f"{settings.keys} holds no keys of a log, and {settings.db} is there: bring its keys "
            "back, or name them with --keys; `tally collector keys new` begins another log, in "
            "another store"
        )
    raise SettingError(
        f"{settings.keys} holds no keys of a log: make them with "
        f"`tally collector keys new --origin NAME --keys {settings.keys}`"
    )


def _first_keys(settings: Settings) -> LogKeys:
    keys = create_log_keys(settings.keys, f"localhost/{os.urandom(_ENTROPY_BYTES).hex()}")
    event(logging.INFO, "keys_made", origin=keys.origin, directory=settings.keys)
    return keys


def _serve(
    settings: Settings,
    service: LogService,
    gate: Gate,
    meters: Meters,
    tls: Any,
    *,
    on_ready: Callable[[str], None],
    on_start: Callable[[Server, LogService], None],
) -> None:
    listener = bound_socket(settings.host, settings.port)
    port = listener.getsockname()[1]
    url = f"http{'s' if tls else ''}://{shown_address(settings.host, port)}"
    app = CollectorApp(
        service,
        gate,
        meters,
        rate=RateLimit(settings.rate, settings.burst, time.monotonic),
        body_bytes_max=settings.max_body_bytes,
        logs_requests=settings.log_requests,
        may_ask=True,
    )

    def ready() -> None:
        event(
            logging.INFO,
            "ready",
            url=url,
            db=hidden_password(settings.db),
            origin=service.log.origin,
        )
        on_ready(url)

    server = Server(
        app,
        listener,
        tls=tls,
        drain_ms=settings.drain_ms,
        connections_max=room_for(settings.max_connections),
        on_ready=ready,
        posts=app.posts,
    )
    _ask(meters, service, server)
    on_start(server, service)
    try:
        server.run()
    finally:
        app.close()


def _ask(meters: Meters, service: LogService, server: Server) -> None:
    def size() -> float:
        newest = service.log.newest
        return newest.size if newest is not None else 0

    meters.ask("tally_log_size", size)
    meters.ask("tally_log_entries", service.store.next_index)
    meters.ask("tally_store_bytes", service.store.size_bytes)
    meters.ask("tally_connections", lambda: server.connections)
    meters.ask("tally_up", lambda: float(service.fault is None))


def _note_commit(meters: Meters, count: int, seconds: float) -> None:
    meters.observe("tally_commit_receipts", count)
    meters.observe("tally_commit_seconds", seconds)


def _note_release(meters: Meters, delay_s: float, sign_s: float) -> None:
    if delay_s:
        meters.observe("tally_merge_delay_seconds", delay_s)
    meters.observe("tally_sign_seconds", sign_s)
