# SPDX-License-Identifier: Apache-2.0
"""Private keys in files that only their owner can read.

The checks look at the descriptor that is then read, so nothing can be swapped in between. What
they do not look at are the directories above: who may write there can put another key in place.
"""

from __future__ import annotations

import errno
import os
import re
import shlex
import stat

from tallystick.crypto.ed25519 import KeyPair
from tallystick.durable.file import FilePath, read_descriptor, shown
from tallystick.errors import KeyFileError, KeyFormatError, LimitError
from tallystick.limits import KEY_FILE_BYTES_MAX

# Not blocking: opening a FIFO would otherwise wait for its writer before we can refuse it.
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

# A PEM, or what `keys/env.py` and `keys/forensic.py` read as the text of a key. Not compiled: it is
# looked at where nothing can be read, as a rule once.
_KEY_ITSELF = (
    r"\s*(?:.*-----BEGIN .*|MC4CAQAwBQYDK2V[uw]BCIE\S*|u[A-Za-z0-9_-]{43}"
    r"|(?:0x)?[0-9a-fA-F]{64}|[A-Za-z0-9+/]{43}=)\s*"
)
GIVE_A_PATH = "that is a key itself, or looks like one; give the path of the file that holds it"

_LINK = "is a symbolic link; give the path of the file that it points to"
_NOT_A_FILE = "is not a regular file; a private key is read from a plain file only"


class FileKeyProvider:
    """Yields the key pair of a PKCS#8 PEM file.

    The file is read and checked once, here: a wrong path or mode stops the program at its start
    and not at its first signature. A key that changes on disk needs a new provider.
    """

    __slots__ = ("_key_pair", "path")

    def __init__(self, path: FilePath) -> None:
        """Read the key, or raise a KeyFileError that says what to do."""
        if is_key_itself(path):
            del path  # out of the frame that a traceback shows
            raise KeyFileError(GIVE_A_PATH)
        self.path = os.fspath(path)
        data = read_key_file(self.path)
        try:
            self._key_pair = KeyPair.from_private_pem(data)
        except KeyFormatError as error:
            reason = str(error)
        else:
            return
        del data  # out of the frame that a traceback shows
        raise KeyFileError(f"{shown(self.path)}: {reason}")

    def get_key_pair(self) -> KeyPair:
        """Return the key pair that was read."""
        return self._key_pair

    def __repr__(self) -> str:
        pair = getattr(self, "_key_pair", None)  # None while __init__ refuses
        return f"FileKeyProvider({getattr(self, 'path', None)!r}, {pair!r})"


def read_key_file(path: FilePath, *, made_by: str | None = "tally keygen") -> bytes:
    """Return the bytes of a file that holds a secret, after checking who else could read it.

    `made_by` is the command that makes such a file, for whoever has none; None for a password's.
    """
    if is_key_itself(path):
        del path  # out of the frame that a traceback shows
        raise KeyFileError(GIVE_A_PATH)
    path = os.fspath(path)
    try:
        descriptor = os.open(path, _OPEN)
    except (OSError, ValueError) as error:
        raise KeyFileError(f"{shown(path)} {_open_fault(path, error, made_by)}") from error
    try:
        fault = _file_fault(path, os.fstat(descriptor))
        if fault is not None:
            raise KeyFileError(f"{shown(path)} {fault}")
        return read_descriptor(descriptor, KEY_FILE_BYTES_MAX)
    except LimitError as error:
        raise KeyFileError(f"{shown(path)} {error}; a private key is smaller") from None
    except OSError as error:
        raise KeyFileError(f"{shown(path)} could not be read: {error.strerror}") from error
    finally:
        os.close(descriptor)


def is_key_itself(path: FilePath) -> bool:
    """Whether somebody gave a key where its path is wanted: no message may repeat that."""
    text = os.fspath(path)
    return re.fullmatch(_KEY_ITSELF, text, re.DOTALL) is not None and not os.path.lexists(text)


def _open_fault(path: str, error: OSError | ValueError, made_by: str | None) -> str:
    if not isinstance(error, OSError):
        return "is no path that can be opened"
    if error.errno in {errno.ELOOP, errno.EMLINK} and os.path.islink(path):
        return _LINK
    if error.errno in {errno.ENXIO, errno.ENODEV, errno.EOPNOTSUPP}:
        return _NOT_A_FILE  # a socket, or a device without a driver
    if error.errno == errno.ENOENT:
        if not made_by:
            return "does not exist"
        return f"does not exist; `{_made(path, made_by)}` makes a key"
    return f"could not be opened: {error.strerror}"


def _made(path: str, made_by: str) -> str:
    """Return the command that makes this very file, where it is called as that command calls it."""
    folder, name = os.path.split(path)
    is_elsewhere = made_by == "tally keygen" and name == "signing.key" and folder
    return f"{made_by} --out {shown(folder)}" if is_elsewhere else made_by


def _file_fault(path: str, status: os.stat_result) -> str | None:
    if not stat.S_ISREG(status.st_mode):
        return _NOT_A_FILE
    owner = os.geteuid()
    if status.st_uid not in {owner, 0}:
        return (
            f"belongs to user {status.st_uid}, not to this process's user {owner} or root; "
            f"run `chown {owner} {shlex.quote(path)}` if the key is yours"
        )
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077 and path.endswith(".pub"):
        private = shown(path.removesuffix(".pub"))
        return f"is a public key by its name; the private one is wanted, probably {private}"
    if mode & 0o077:
        return (
            f"is open to group or others (mode {mode:04o}); run `chmod 600 {shlex.quote(path)}`, "
            "and replace the key if anyone else may have read it"
        )
    if status.st_size > KEY_FILE_BYTES_MAX:
        return f"is larger than {KEY_FILE_BYTES_MAX} bytes; a private key is smaller"
    return None
