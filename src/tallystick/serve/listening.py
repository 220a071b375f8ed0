# SPDX-License-Identifier: Apache-2.0
"""Accepts connections, and keeps count of those that are still shaking hands.

A connection counts as one only once its handshake is done, and until then it holds a file: who
opens many and says nothing must not take all of them. Where too many shake hands, the one that has
done so for longest is dropped: honest clients need a moment, and are seldom the oldest.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Final

from tallystick.limits import HANDSHAKES_MAX, REQUEST_HEAD_MS_MAX
from tallystick.serve.logs import event

# What a lack of files or memory looks like; all else that fails here is one client's affair.
_SHORTAGES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE_S: Final = 0.2


class Listening:
    """One listening socket, in the manner of an `asyncio.Server`."""

    def __init__(
        self,
        listener: socket.socket,
        connection: Callable[[], asyncio.Protocol],
        tls: ssl.SSLContext | None,
    ) -> None:
        """Begin to accept; belongs to the loop that runs now."""
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._connection = connection
        self._tls = tls
        self._arriving: dict[asyncio.Task[None], None] = {}  # oldest first
        self._accepting = self._loop.create_task(self._run())

    @property
    def arriving(self) -> int:
        """How many connections are not yet made."""
        return len(self._arriving)

    def close(self) -> None:
        """Accept no more; who is shaking hands goes. Again does nothing."""
        self._accepting.cancel()
        for task in list(self._arriving):
            task.cancel()
        self._listener.close()

    async def wait_closed(self) -> None:
        """Return when nothing of it runs any more."""
        await asyncio.gather(self._accepting, *self._arriving, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                accepted, _ = await self._loop.sock_accept(self._listener)
            except OSError as fault:
                if fault.errno in _SHORTAGES:
                    event(logging.WARNING, "not_accepting", reason=fault.strerror or str(fault))
                    await asyncio.sleep(_PAUSE_S)
                continue  # that one went away before it was taken
            if len(self._arriving) >= HANDSHAKES_MAX:
                oldest = next(iter(self._arriving))
                del self._arriving[oldest]
                oldest.cancel()
            task = self._loop.create_task(self._take(accepted))
            self._arriving[task] = None
            task.add_done_callback(self._arrived)

    def _arrived(self, task: asyncio.Task[None]) -> None:
        self._arriving.pop(task, None)

    async def _take(self, accepted: socket.socket) -> None:
        """Make a connection of a socket, or let it go."""
        try:
            await self._loop.connect_accepted_socket(
                self._connection,
                accepted,
                ssl=self._tls,
                ssl_handshake_timeout=REQUEST_HEAD_MS_MAX / 1000 if self._tls else None,
            )
        except OSError:  # TLS has its errors among these
            accepted.close()
        except asyncio.CancelledError:
            accepted.close()
            raise
