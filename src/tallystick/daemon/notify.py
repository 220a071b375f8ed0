# SPDX-License-Identifier: Apache-2.0
"""The supervisor's ear: what systemd is told over NOTIFY_SOCKET, where there is one."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping

from tallystick.config import read, read_number
from tallystick.errors import SettingError


class Supervisor:
    """Tells the service manager how the daemon is; where nobody listens, it does nothing."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._address = read("NOTIFY_SOCKET", environ) or ""
        if self._address.startswith("@"):  # Linux's abstract names begin with a zero byte
            self._address = "\0" + self._address[1:]
        self._watchdog_ms = _watchdog_ms(environ) if self._address else 0

    @property
    def watchdog_ms(self) -> int:
        """How often a sign of life is due: half of what the manager waits. 0 is never."""
        return self._watchdog_ms

    def ready(self, status: str = "") -> None:
        """Tell that frames are taken."""
        self._tell("READY=1", f"STATUS={status}" if status else "")

    def reloading(self) -> None:
        """Tell that settings are read again; `ready` ends it."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Tell that the end has begun."""
        self._tell("STOPPING=1")

    def alive(self) -> None:
        """Give the sign of life."""
        self._tell("WATCHDOG=1")

    def more_time(self, milliseconds: int) -> None:
        """Ask for so much time before the manager loses patience with a start or an end."""
        self._tell(f"EXTEND_TIMEOUT_USEC={milliseconds * 1000}")

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        text = "\n".join(line for line in lines if line)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
                channel.setblocking(False)
                channel.sendto(text.encode(), self._address)
        except OSError:
            pass  # a manager that does not listen will notice by itself


def _watchdog_ms(environ: Mapping[str, str] | None) -> int:
    try:
        microseconds = read_number("WATCHDOG_USEC", environ)
        meant_for = read_number("WATCHDOG_PID", environ)
    except SettingError:
        return 0
    if not microseconds or meant_for not in (None, os.getpid()):
        return 0
    return max(1, microseconds // 2000)
