# SPDX-License-Identifier: Apache-2.0
"""Where the daemon listens: only on a Unix socket, only in safe places, only one daemon.

A socket that nobody answers on is left over from a crash and is removed; one that a daemon answers
on is left alone. Between that look and the bind the directory is locked, so that of two daemons
that start at once exactly one gets the path, and that one which ends takes no other's away.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import socket
import stat
import time
from collections.abc import Mapping
from typing import Final

from tallystick.errors import SocketPathError
from tallystick.limits import (
    SOCKET_LOCK_MS_MAX,
    SOCKET_PATH_LINUX_BYTES_MAX,
    SOCKET_PATH_MACOS_BYTES_MAX,
    SOCKET_PROBE_MS_MAX,
)
from tallystick.model.framing import data_home, default_socket_path

DIRECTORY_MODE: Final = 0o750
SOCKET_MODE: Final = 0o660

_LOCK_PAUSE_S: Final = 0.01

# `host:port`, `[::1]:80`, `tcp://…`: whatever a dialler would take for an address.
_ADDRESS: Final = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*://.*|\[[0-9A-Fa-f:.%]*\](?::.*)?|[^/]*:[^/]*"
)


def socket_path(platform: str, environ: Mapping[str, str], given: str | None = None) -> str:
    """Return the path to listen on: what was given, else the environment's, else the default."""
    path = given or default_socket_path(platform, environ)
    if path is None:
        raise SocketPathError(
            "none", f"no default socket path on {platform}: set AGENTRECEIPTS_SOCKET"
        )
    return path


def check_socket_path(
    path: str, platform: str, environ: Mapping[str, str], *, may_be_unsafe: bool = False
) -> bool:
    """Return whether a path is in a safe place; raise where it is not and need be.

    What looks like a network address is refused whatever the caller allows.
    """
    _refuse_address(path)
    if not path.startswith("/") or "\0" in path or path.endswith("/"):
        raise SocketPathError("relative", "a socket path is absolute and names a file")
    limit = SOCKET_PATH_MACOS_BYTES_MAX if platform == "darwin" else SOCKET_PATH_LINUX_BYTES_MAX
    if len(os.fsencode(path)) >= limit:
        raise SocketPathError(
            "long", f"a socket path has at most {limit - 1} bytes here: choose a shorter one"
        )
    is_safe = _is_below(_resolved(path), safe_roots(platform, environ))
    if not is_safe and not may_be_unsafe:
        raise SocketPathError(
            "unsafe",
            f"{_shown(path)} is outside of {', '.join(safe_roots(platform, environ))}: others may"
            " be able to put a socket there; choose a path below one of these, or allow it with"
            " --unsafe-socket-path",
        )
    return is_safe


def safe_roots(platform: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the folders below which only the system and the user create files."""
    if platform == "darwin":
        home = data_home(environ)
        named = ["/var/run", environ.get("TMPDIR", "")]
        named += [] if home is None else [f"{home}/agent-receipts"]
    else:
        named = ["/run", "/var/run", environ.get("XDG_RUNTIME_DIR", "")]
    return tuple(one.rstrip("/") for one in named if one.startswith("/") and one.rstrip("/"))


def listen(
    path: str,
    *,
    directory_mode: int = DIRECTORY_MODE,
    socket_mode: int = SOCKET_MODE,
    group: int | None = None,
    backlog: int = 4096,
) -> socket.socket:
    """Return a socket that listens at a path, or raise `SocketPathError` and leave all as it was.

    `group` is who may connect; the directory is given to it too, where it is made here.
    """
    _refuse_address(path)
    directory = _open_folder(os.path.dirname(path), directory_mode, group)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        clear_stale(path)
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _bind(server, path, directory, mode=socket_mode, group=group)
            server.listen(backlog)
        except BaseException:
            server.close()
            raise
    except OSError as fault:
        raise SocketPathError("bind", f"{_shown(path)}: {fault.strerror}") from fault
    finally:
        os.close(directory)
    return server


def clear_stale(path: str) -> None:
    """Remove a socket that nobody listens on; refuse a live one and whatever is no socket."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    except OSError as fault:
        raise SocketPathError("unreachable", f"{_shown(path)}: {fault.strerror}") from fault
    if not stat.S_ISSOCK(found.st_mode):
        raise SocketPathError("not-a-socket", f"{_shown(path)} is there and is no socket")
    if is_live(path):
        raise SocketPathError("live", f"another daemon is already listening at {_shown(path)}")
    again = os.lstat(path)
    if (again.st_dev, again.st_ino) == (found.st_dev, found.st_ino):
        os.unlink(path)


def remove(path: str, own: tuple[int, int]) -> None:
    """Remove the socket of this identity, unless there is another one, or one is being bound."""
    try:
        directory = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return  # the folder went first, or leads elsewhere
    try:
        _lock_for_a_while(directory)
        if identity(path) == own:
            os.unlink(path)
    except OSError:
        pass  # the next daemon finds it stale and removes it
    finally:
        os.close(directory)


def identity(path: str) -> tuple[int, int] | None:
    """Return what tells a socket from every other one that is there at the time, or None."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISSOCK(found.st_mode) else None


def is_live(path: str) -> bool:
    """Whether somebody accepts connections at a path; raise where that can't be told."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(SOCKET_PROBE_MS_MAX / 1000)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except (BlockingIOError, TimeoutError):
            return True  # its backlog is full: somebody has not come to accept yet
        except OSError as fault:
            raise SocketPathError(
                "unreachable", f"{_shown(path)} could not be tried: {fault.strerror}"
            ) from fault
    return True


def place_link(link: str, path: str) -> bool:
    """Put a symbolic link to the socket where older emitters look (macOS); never over a file."""
    folder = os.path.dirname(link)
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if os.path.islink(link):
            if os.readlink(link) == path:
                return True
            if os.lstat(link).st_uid != os.geteuid():
                return False
            os.unlink(link)
        os.symlink(path, link)
    except OSError:
        return False  # a convenience: the daemon does not depend on it
    return True


def legacy_link(platform: str, environ: Mapping[str, str]) -> str | None:
    """Return where emitters of old look on macOS, or None elsewhere."""
    folder = environ.get("TMPDIR", "")
    if platform != "darwin" or not folder.startswith("/"):
        return None
    return f"{folder.rstrip('/')}/agentreceipts/events.sock"


def _refuse_address(path: str) -> None:
    if _ADDRESS.fullmatch(path) and not path.startswith("/"):
        raise SocketPathError(
            "network", "the daemon listens on Unix sockets only: a network peer can't be attested"
        )


def _resolved(path: str) -> str:
    """Return a path with all links of what exists of it followed; loops and errors are refused."""
    parent, rest = os.path.dirname(path), os.path.basename(path)
    try:
        if os.path.lexists(path):
            return os.path.realpath(path, strict=True)
        while not os.path.lexists(parent):
            parent, name = os.path.split(parent)
            rest = f"{name}/{rest}"
        return os.path.normpath(f"{os.path.realpath(parent, strict=True)}/{rest}")
    except OSError as fault:
        raise SocketPathError(
            "unresolved", f"{_shown(path)} can't be followed: {fault.strerror}"
        ) from fault


def _is_below(path: str, roots: tuple[str, ...]) -> bool:
    return any(path.startswith(os.path.realpath(root).rstrip("/") + "/") for root in roots)


def _open_folder(folder: str, mode: int, group: int | None) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    try:
        parent = os.path.dirname(folder)
        if not os.path.lexists(folder):
            os.makedirs(parent, mode=0o755, exist_ok=True)
            try:
                os.mkdir(folder, mode & 0o700)
                made = os.open(folder, flags | os.O_NOFOLLOW)
                try:
                    if group is not None:
                        os.fchown(made, -1, group)
                    os.fchmod(made, mode)  # whatever the umask was
                finally:
                    os.close(made)
            except FileExistsError:
                pass  # another daemon starts at the same time
        directory = os.open(folder, flags)
    except OSError as fault:
        hint = ""
        if isinstance(fault, PermissionError):
            hint = "; name a place of yours with --socket, or set XDG_RUNTIME_DIR"
        raise SocketPathError("directory", f"{_shown(folder)}: {fault.strerror}{hint}") from fault
    found = os.fstat(directory)
    is_shared = found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX
    if is_shared or found.st_uid not in (0, os.geteuid()):
        os.close(directory)
        raise SocketPathError(
            "directory", f"{_shown(folder)} belongs to another user, or all may write to it"
        )
    return directory


def _lock_for_a_while(directory: int) -> None:
    """Lock a folder against who binds in it; who keeps the lock on purpose holds up no end."""
    end_s = time.monotonic() + SOCKET_LOCK_MS_MAX / 1000
    while True:
        try:
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end_s:
                return
            time.sleep(_LOCK_PAUSE_S)
        else:
            return


def _bind(
    server: socket.socket, path: str, directory: int, *, mode: int, group: int | None
) -> None:
    name = os.path.basename(path)
    # Nobody may connect before group and mode are set: at a start no other thread creates files.
    before = os.umask(0o177)
    try:
        server.bind(path)
    except OSError as fault:
        if fault.errno == errno.EADDRINUSE:
            raise SocketPathError("live", f"{_shown(path)} was taken a moment ago") from fault
        raise
    finally:
        os.umask(before)
    try:
        if group is not None:
            os.chown(name, -1, group, dir_fd=directory, follow_symlinks=False)
        os.chmod(name, mode, dir_fd=directory)
    except BaseException:
        os.unlink(name, dir_fd=directory)
        raise


def _shown(path: str) -> str:
    return path if path.isprintable() else repr(path)
