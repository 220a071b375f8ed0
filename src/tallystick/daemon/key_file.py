# SPDX-License-Identifier: Apache-2.0
"""The daemon's key in a file, which it may also rotate.

It is opened by the rules of keys/file.py, and the folders above it must be such that nobody else
can put another file in its place. The key's bytes are kept from swap and core dumps as far as the
system lets us.
"""

from __future__ import annotations

import ctypes
import os
import stat
import sys

from tallystick.crypto import pem
from tallystick.crypto.ed25519 import ErasableKey, overwrite
from tallystick.daemon.key_source import SignAll
from tallystick.durable.file import FilePath, reason_of, shown, sync_directory, write_new
from tallystick.durable.whole import write_whole
from tallystick.errors import DurableError, KeyFileError, SigningError
from tallystick.keys.file import GIVE_A_PATH, is_key_itself, read_key_file
from tallystick.keys.local import generate_key_pair
from tallystick.ports import Signer


class FileKeySource:
    """The PKCS#8 PEM file of one Ed25519 key, and `<file>.next` while it is being rotated."""

    def __init__(self, path: FilePath, verification_method: str) -> None:
        if is_key_itself(path):
            del path  # out of the frame that a traceback shows
            raise KeyFileError(GIVE_A_PATH)
        self.path = os.fspath(path)
        self._next_path = f"{self.path}.next"
        self._method = verification_method
        self._key: ErasableKey | None = None
        self._next: ErasableKey | None = None

    @property
    def verification_method(self) -> str:
        """What proofs name as their key."""
        return self._method

    def init(self) -> None:
        """Read and check the key file."""
        check_folders(self.path)
        before, self._key = self._key, _read(self.path)
        if before is not None:
            before.erase()

    def sign(self, message: bytes, /) -> bytes:
        """Return the 64 bytes of the signature over `message`."""
        return self._held().sign(message)

    @property
    def sign_all(self) -> SignAll:
        """What signs many at once."""
        return self._held().sign_all

    def get_public_key(self) -> bytes:
        """Return the 32 raw bytes of the public key."""
        return self._held().public_key

    def stage(self) -> Signer:
        """Make the next key and put it into `<file>.next`."""
        pair = generate_key_pair()
        self.discard()
        try:
            # Whole or not there: who is killed here would else leave a file that stops each start.
            write_whole(self._next_path, pair.private_key.encode(), 0o600)
        except DurableError as error:
            raise KeyFileError(f"the next key could not be written: {error}") from error
        self._next = _read(self._next_path)
        return _AsSigner(self._next)

    def staged(self) -> Signer | None:
        """Return the key in `<file>.next`, if it is there and whole."""
        if self._next is None and os.path.lexists(self._next_path):
            self._next = _read(self._next_path)
        return None if self._next is None else _AsSigner(self._next)

    def install(self) -> None:
        """Put `<file>.next` in the place of the file."""
        staged = self._next
        if staged is None:
            raise KeyFileError("there is no next key to install")
        try:
            os.rename(self._next_path, self.path)
            sync_directory(self.path)
        except OSError as error:
            raise KeyFileError(
                f"the next key could not be installed: {reason_of(error)}"
            ) from error
        except DurableError as error:
            raise KeyFileError(f"the next key could not be installed: {error}") from error
        before, self._key, self._next = self._key, staged, None
        if before is not None:
            before.erase()

    def discard(self) -> bool:
        """Remove `<file>.next`: nothing was signed with it that anybody has seen."""
        if self._next is not None:
            self._next.erase()
            self._next = None
        try:
            os.unlink(self._next_path)
            sync_directory(self._next_path)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise KeyFileError(f"{shown(self._next_path)}: {reason_of(error)}") from error
        return True

    def teardown(self) -> None:
        """Overwrite the key in memory."""
        for key in (self._key, self._next):
            if key is not None:
                key.erase()
        self._next = None

    def __repr__(self) -> str:
        return f"FileKeySource({self.path!r}, {self._key!r})"

    def _held(self) -> ErasableKey:
        if self._key is None:
            raise SigningError("the key is not loaded yet")
        return self._key


class _AsSigner:
    """A key of ours as a signer."""

    def __init__(self, key: ErasableKey) -> None:
        self._key = key

    def sign(self, message: bytes, /) -> bytes:
        return self._key.sign(message)

    def get_public_key(self) -> bytes:
        return self._key.public_key


def make_keys(path: FilePath, public_path: FilePath) -> bytes:
    """Write a new private key and its public half where there is neither; return the latter."""
    if os.path.abspath(path) == os.path.abspath(public_path):
        raise KeyFileError("the private and the public key can't have the same path")
    for one, remedy in (
        (path, "the daemon signs with it"),
        (public_path, "move it away to make another, and keep it: it verifies what was signed"),
    ):
        if os.path.lexists(one):
            raise KeyFileError(f"{shown(one)} is there already and was not touched; {remedy}")
    pair = generate_key_pair()
    try:
        write_new(path, pair.private_key.encode(), 0o600)
        try:
            write_new(public_path, pair.public_key.encode(), 0o644)
        except BaseException:
            os.unlink(path)
            raise
    except DurableError as error:
        raise KeyFileError(f"no key was made: {error}") from error
    return pair.signing_key().public_key


def check_folders(path: FilePath) -> None:
    """Refuse a key in a folder, or below one, where somebody else could put another file."""
    folder = os.path.dirname(os.path.realpath(path))
    ours = {0, os.geteuid()}
    while True:
        try:
            status = os.lstat(folder)
        except OSError as error:
            raise KeyFileError(f"{shown(folder)}: {reason_of(error)}") from error
        is_sticky = status.st_mode & stat.S_ISVTX
        if status.st_uid not in ours:
            raise KeyFileError(
                f"{shown(folder)} belongs to user {status.st_uid}, who could replace the key in it;"
                " run this as that user, or keep the key elsewhere"
            )
        if status.st_mode & 0o022 and not is_sticky:
            raise KeyFileError(
                f"{shown(folder)} can be written by others (mode "
                f"{stat.S_IMODE(status.st_mode):04o}), who could replace the key in it; "
                "take that from them: chmod go-w"
            )
        above = os.path.dirname(folder)
        if above == folder:
            return
        folder = above


def _read(path: str) -> ErasableKey:
    data = read_key_file(path, made_by="tally daemon init")
    seed = pem.read_seed(data)
    overwrite(data)
    if isinstance(seed, str):
        raise KeyFileError(f"{shown(path)}: the key is {seed}")
    key = ErasableKey(seed=seed)
    overwrite(seed)
    _lock_in_memory(key._secret)
    return key


def _lock_in_memory(secret: bytes) -> bool:
    """Keep the page of a secret out of swap, where the system allows it."""
    if sys.implementation.name != "cpython":
        return False
    try:
        address = id(secret) + bytes.__basicsize__ - 1
        mlock = ctypes.CDLL(None).mlock
        return bool(mlock(ctypes.c_void_p(address), ctypes.c_size_t(len(secret))) == 0)
    except (OSError, AttributeError):
        return False
