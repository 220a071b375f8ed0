# SPDX-License-Identifier: Apache-2.0
"""The public key as a file that everybody may read, and those of earlier keys beside it.

    <key>.pub                           the key that signs now
    <key>.pub.rotated-0123456789abcdef  an earlier one, named by the end of its fingerprint

What stands there already is never overwritten by another key: a restored key or half a rotation
must be seen by a person.
"""

from __future__ import annotations

import os
import stat
from typing import Final

from tallystick.crypto.digest import sha256_tagged
from tallystick.crypto.ed25519 import public_key_from, public_key_pem
from tallystick.durable.file import (
    FilePath,
    open_directory,
    read_descriptor,
    reason_of,
    shown,
    write_new,
    write_replace,
)
from tallystick.errors import (
    DurableError,
    KeyFileError,
    KeyFormatError,
    LimitError,
    PathTakenError,
)
from tallystick.limits import ARCHIVED_KEYS_MAX, KEY_FILE_BYTES_MAX

_MODE: Final = 0o644
_OPEN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_ARCHIVED: Final = ".rotated-"


def publish(path: FilePath, public_key: bytes) -> None:
    """See to it that the file holds this key, readable by all; raise where it holds another."""
    if not _exists(path):
        try:
            write_new(path, public_key_pem(public_key).encode(), _MODE)
            return
        except PathTakenError:
            pass  # somebody was quicker: what is there is judged like everything else
        except DurableError as error:
            raise KeyFileError(f"the public key could not be published: {error}") from error
    if published(path, mends=True) != public_key:
        raise KeyFileError(
            f"{shown(path)} holds another public key than the one that signs now: a restored key, "
            "or one that was put there by hand? Put the matching private key back, or, if the new "
            "one is meant, move this file away"
        )


def published(path: FilePath, *, mends: bool = False) -> bytes | None:
    """Return the key in a published file, or None where there is none.

    Looking changes nothing; who publishes may have a wrong mode mended.
    """
    try:
        directory, name = open_directory(path)
        try:
            descriptor = os.open(name, _OPEN, dir_fd=directory)
        finally:
            os.close(directory)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise KeyFileError(f"{shown(path)} could not be opened: {_words(path, error)}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise KeyFileError(f"{shown(path)} is not a regular file: refused")
        key = public_key_from(read_descriptor(descriptor, KEY_FILE_BYTES_MAX))
        if mends and stat.S_IMODE(status.st_mode) != _MODE and status.st_uid == os.geteuid():
            os.fchmod(descriptor, _MODE)
    except (KeyFormatError, LimitError) as error:
        raise KeyFileError(f"{shown(path)} holds no public key: {error}") from None
    except OSError as error:
        raise KeyFileError(f"{shown(path)} could not be read: {reason_of(error)}") from error
    finally:
        os.close(descriptor)
    return key


def replace(path: FilePath, public_key: bytes) -> None:
    """Publish the key that follows another one; for rotation alone."""
    published(path)  # refuses what is no plain file
    try:
        write_replace(path, public_key_pem(public_key).encode(), _MODE)
    except DurableError as error:
        raise KeyFileError(f"the public key could not be published: {error}") from error


def archive_path(path: FilePath, public_key: bytes) -> str:
    """Return where the public half of an earlier key is kept."""
    return f"{os.fspath(path)}{_ARCHIVED}{sha256_tagged(public_key)[-16:]}"


def archive(path: FilePath, public_key: bytes) -> str:
    """Keep the public half of a key that is going to be replaced, and return where."""
    place = archive_path(path, public_key)
    publish(place, public_key)
    return place


def archived(path: FilePath) -> list[bytes]:
    """Return the earlier keys beside a published one; nothing vouches for them yet.

    Of very many files, which somebody must have put there, the first by name are read.
    """
    folder, name = os.path.split(os.path.abspath(os.fspath(path)))
    prefix = f"{name}{_ARCHIVED}"
    found = []
    try:
        names = sorted(one for one in os.listdir(folder) if one.startswith(prefix))
    except OSError as error:
        raise KeyFileError(f"{shown(folder)} could not be read: {reason_of(error)}") from error
    for one in names[:ARCHIVED_KEYS_MAX]:
        try:
            key = published(os.path.join(folder, one))
        except KeyFileError:
            continue  # what is no key stops nobody from reading the others
        if key is not None and archive_path(path, key).endswith(one):
            found.append(key)
    return found


def _exists(path: FilePath) -> bool:
    return os.path.lexists(path)


def _words(path: FilePath, error: OSError | ValueError) -> str:
    return "it is a symbolic link: refused" if os.path.islink(path) else reason_of(error)
