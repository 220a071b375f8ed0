# SPDX-License-Identifier: Apache-2.0
"""A socket that listens, with its path: whose it is, and how it goes away."""

from __future__ import annotations

import os
import re
from typing import Final

from tallystick.daemon.socket_path import (
    DIRECTORY_MODE,
    SOCKET_MODE,
    identity,
    listen,
    place_link,
    remove,
)
from tallystick.errors import SettingError

# What the kernel keeps in line; it cuts this to its own bound.
BACKLOG: Final = 4096

# One number more means "no group" to the kernel.
_GROUP_MAX: Final = 0xFFFF_FFFE


class Listener:
    """Owns the path while it listens; `withdraw` gives it back, and no other daemon's."""

    def __init__(
        self, path: str, *, group: int | None = None, socket_mode: int = SOCKET_MODE
    ) -> None:
        """Listen, or raise `SocketPathError` and leave everything as it was."""
        self.path = path
        self._links: list[str] = []
        self.socket = listen(
            path,
            directory_mode=DIRECTORY_MODE,
            socket_mode=socket_mode,
            group=group,
            backlog=BACKLOG,
        )
        self.socket.setblocking(False)
        self._own = identity(path)

    @property
    def is_in_place(self) -> bool:
        """Whether the path still leads here: who may write to the folder can take it away."""
        return self._own is not None and identity(self.path) == self._own

    def also_at(self, link: str | None) -> None:
        """Put a symbolic link where older emitters look; without one, go on without."""
        if link is not None and place_link(link, self.path):
            self._links.append(link)

    def withdraw(self) -> None:
        """Remove the path and its links, so that nobody new comes; who waits can be let in yet."""
        if self._own is not None:
            remove(self.path, self._own)
        self._own = None
        for link in self._links:
            try:
                if os.readlink(link) == self.path:
                    os.unlink(link)
            except OSError:
                pass  # gone, or somebody else's by now
        self._links.clear()

    def close(self) -> None:
        """Withdraw, and listen no more."""
        self.withdraw()
        self.socket.close()


def group_id(name: str, setting: str) -> int | None:
    """Return the number of the group that a setting names, None for none, or raise
    `SettingError`.
    """
    if not name:
        return None
    import grp  # only who names a group asks the system for it

    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        if re.fullmatch(r"[0-9]{1,10}", name, re.ASCII) and int(name) <= _GROUP_MAX:
            return int(name)
        raise SettingError(
            f"{setting}: there is no group {name!r}; make it (`groupadd`), or name another"
        ) from None
