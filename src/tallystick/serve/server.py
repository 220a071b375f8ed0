# SPDX-License-Identifier: Apache-2.0
"""uvicorn with what a service in the open needs: bounds on its clients, and an orderly end.

On SIGTERM or SIGINT it takes no more connections, lets requests that have begun end, and returns;
a second signal does not wait. What was acknowledged is durable before that, so nothing is lost in
either case.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final

import uvicorn

from tallystick.errors import SettingError
from tallystick.limits import (
    FILES_RESERVED,
    KEEP_ALIVE_MS_MAX,
    REQUEST_HEAD_MS_MAX,
    SERVED_CONNECTIONS_MAX,
)
from tallystick.serve.logs import event
from tallystick.serve.post import Posts
from tallystick.serve.protocol import GuardedProtocol

_WALK_S: Final = 0.5
_BACKLOG: Final = 2048


class Server(uvicorn.Server):
    """Serves one ASGI application on one socket until it is told to stop."""

    def __init__(
        self,
        app: Any,
        listener: socket.socket,
        *,
        tls: ssl.SSLContext | None = None,
        drain_ms: int = 10_000,
        connections_max: int = SERVED_CONNECTIONS_MAX,
        on_ready: Callable[[], None] | None = None,
        posts: Posts | None = None,
    ) -> None:
        """Take an application, who takes posts past it, and a socket that is bound already."""
        config = uvicorn.Config(
            app,
            access_log=False,
            log_config=None,
            lifespan="off",
            interface="asgi3",
            ws="none",
            http=GuardedProtocol,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_MS_MAX // 1000,
            timeout_graceful_shutdown=max(1, -(-drain_ms // 1000)),
        )
        super().__init__(config)
        self._listener = listener
        self._tls = tls
        self._connections_max = connections_max
        self._on_ready = on_ready
        self._posts = posts
        self._walk: asyncio.Task[None] | None = None

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self.server_state.connections)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002
        """Listen."""
        loop = asyncio.get_running_loop()
        await self.lifespan.startup()

        def connection() -> GuardedProtocol:
            return GuardedProtocol(
                self.config,
                self.server_state,
                self.lifespan.state,
                loop,
                connections_max=self._connections_max,
                posts=self._posts,
            )

        server = await loop.create_server(
            connection,
            sock=self._listener,
            ssl=self._tls,
            backlog=_BACKLOG,
            ssl_handshake_timeout=REQUEST_HEAD_MS_MAX / 1000 if self._tls else None,
        )
        self.servers = [server]
        self._walk = loop.create_task(self._walk_over_connections())
        self.started = True
        if self._on_ready is not None:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let what has begun come to its end."""
        event(logging.INFO, "draining", connections=self.connections)
        await super().shutdown(sockets)
        if self._walk is not None:
            self._walk.cancel()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End on SIGTERM and SIGINT. uvicorn raises them again; then the store stayed open."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {one: signal.signal(one, self._stop) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    def stop(self) -> None:
        """End, from any thread."""
        self.should_exit = True

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True

    async def _walk_over_connections(self) -> None:
        now = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(_WALK_S)
            for connection in list(self.server_state.connections):
                connection.expire(now())  # type: ignore[union-attr]  # all are of our own kind


def room_for(connections: int) -> int:
    """Return how many connections may be open: as many as leave files for all else.

    Raises this process's own limit as far as it may. Who only connects must not stop the store.
    """
    import resource  # not everywhere; only who serves needs it

    wanted = connections + FILES_RESERVED
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):  # some systems have a lower limit yet
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
            soft = raised
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    room = max(1, soft - FILES_RESERVED)
    event(logging.WARNING, "few_files", limit=soft, wanted=wanted, connections=room)
    return room


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a listening socket of a host and port, or raise `SettingError`."""
    listener = _bound(host, port, listens=True)
    listener.setblocking(False)
    return listener


def check_address(host: str, port: int) -> None:
    """Raise `SettingError` where no socket can be had: before a first start has made anything.

    Nothing listens: who calls meanwhile is refused, and not kept waiting.
    """
    _bound(host, port, listens=False).close()


def _bound(host: str, port: int, *, listens: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        if listens:
            listener.listen(_BACKLOG)
    except OSError as fault:
        listener.close()
        raise SettingError(
            f"{shown_address(host, port)} can't be listened on: {fault.strerror or fault}; "
            "--addr names another address"
        ) from None
    return listener


def shown_address(host: str, port: int) -> str:
    """Return host and port as a URL has them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
