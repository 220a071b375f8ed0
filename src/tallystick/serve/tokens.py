# SPDX-License-Identifier: Apache-2.0
"""API keys and bearer tokens of one service: a file that holds their salted hashes.

A token is `tally_<id>_<secret>`. The id finds the row, the secret has 256 bits of its own, so one
round of SHA-256 over salt and secret is all that guessing could ever be made to cost. The token
itself is shown once, when it is made, and is kept nowhere.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from hmac import compare_digest
from typing import Final, Literal

import msgspec

from tallystick.durable.file import (
    FilePath,
    open_directory,
    read_bounded,
    reason_of,
    shown,
    write_replace,
)
from tallystick.errors import DurableError, LimitError, RefusedInput, SettingError, UnreadableError
from tallystick.limits import TENANT_CHARS_MAX, TOKENS_FILE_BYTES_MAX, TOKENS_MAX

Access = Literal["all", "write", "read", "metrics"]

TENANT_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@:-]*", re.ASCII)
# The tenant of a service that asks for no credential.
ANONYMOUS: Final = "anonymous"

_MODE: Final = 0o600
_TOKEN: Final = re.compile(r"tally_([0-9a-f]{12})_([A-Za-z0-9_-]{43})", re.ASCII)
_NO_HASH: Final = bytes(32)


class Token(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is kept of one token: enough to know it again, too little to use it."""

    id: str
    tenant: str
    access: Access
    salt: bytes
    hash: bytes
    made_at: str
    note: str = ""

    def __repr__(self) -> str:
        return f"Token(id={self.id!r}, tenant={self.tenant!r}, access={self.access!r})"


class _Content(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: Literal[1]
    tokens: tuple[Token, ...]


_DECODE: Final = msgspec.json.Decoder(_Content).decode


def check_tenant(name: str) -> str:
    """Return the name of a tenant, or raise `RefusedInput`."""
    if len(name) > TENANT_CHARS_MAX or not TENANT_PATTERN.fullmatch(name):
        raise RefusedInput(
            f"a tenant's name has up to {TENANT_CHARS_MAX} letters, digits and . _ @ : -, and "
            "begins with a letter or a digit"
        )
    return name


def read_tokens(path: FilePath) -> tuple[Token, ...]:
    """Return the tokens of a file; one that is not there holds none."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as fault:
        raise UnreadableError(f"{shown(path)} could not be read: {reason_of(fault)}") from fault
    return _read(path)


def add_token(
    path: FilePath,
    tenant: str,
    *,
    access: Access = "all",
    note: str = "",
    made_at: str,
    entropy: Callable[[int], bytes] = os.urandom,
) -> tuple[str, Token]:
    """Make a token, put it into the file, and return it: it is not shown again."""
    check_tenant(tenant)
    token_id, salt = entropy(6).hex(), entropy(16)
    secret = _spelled(entropy(32))
    text = f"tally_{token_id}_{secret}"
    token = Token(
        id=token_id,
        tenant=tenant,
        access=access,
        salt=salt,
        hash=_hash(salt, secret),
        made_at=made_at,
        note=note,
    )
    with _changing(path) as known:
        if len(known) >= TOKENS_MAX:
            raise LimitError(f"{shown(path)} holds {TOKENS_MAX} tokens; revoke some first")
        _write(path, (*known, token))
    return text, token


def revoke_token(path: FilePath, token_id: str) -> Token:
    """Take a token out of the file; a running service forgets it within a second."""
    with _changing(path) as known:
        gone = [token for token in known if token.id == token_id]
        if not gone:
            raise RefusedInput(f"{shown(path)} has no token with this id")
        _write(path, tuple(token for token in known if token.id != token_id))
    return gone[0]


class TokenBook:
    """The tokens of a file, read again when it changes.

    There may be no file before the first token. One that goes away again is a fault like one that
    can't be read: who removed it has revoked nothing.
    """

    def __init__(self, path: FilePath, monotonic: Callable[[], float]) -> None:
        self._path = path
        self._monotonic = monotonic
        self._looked_at = monotonic()
        self._state = self._look()
        self._by_id = {token.id: token for token in read_tokens(path)}
        self.fault: str | None = None

    def __len__(self) -> int:
        return len(self._by_id)

    def find(self, text: str) -> Token | None:
        """Return what is known of a token, or None; the time tells nothing about the secret."""
        self._refresh()
        parts = _TOKEN.fullmatch(text)
        if parts is None:
            return None
        token = self._by_id.get(parts[1])
        salt, wanted = (token.salt, token.hash) if token is not None else (_NO_HASH, _NO_HASH)
        is_right = compare_digest(_hash(salt, parts[2]), wanted)
        return token if is_right else None

    def _refresh(self) -> None:
        now = self._monotonic()
        if now - self._looked_at < 1:
            return
        self._looked_at = now
        try:
            state = self._look()
            if state is None:
                if self._state is not None:
                    raise UnreadableError(f"{shown(self._path)} is no longer there")
                known = read_tokens(self._path)
            elif state == self._state and self.fault is None:
                return
            else:
                known = _read(self._path)
            self._by_id = {token.id: token for token in known}
            self.fault = None
            self._state = state
        except (SettingError, UnreadableError) as fault:
            # Fail closed: a revocation that can't be read must not be ignored.
            self._by_id = {}
            self.fault = str(fault)

    def _look(self) -> tuple[int, int, int] | None:
        """Return what tells the file from what it was before, or None where there is none."""
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as fault:
            why = reason_of(fault)
            raise UnreadableError(f"{shown(self._path)} could not be read: {why}") from fault
        return found.st_ino, found.st_mtime_ns, found.st_size


@contextmanager
def _changing(path: FilePath) -> Iterator[tuple[Token, ...]]:
    """Yield the tokens while nobody else changes them: a revocation must not be undone.

    The lock is the directory's, which leaves no file behind.
    """
    import fcntl

    try:
        directory, _ = open_directory(path)
    except (OSError, ValueError) as fault:
        raise DurableError(f"{shown(path)} could not be replaced: {reason_of(fault)}") from fault
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield read_tokens(path)
    finally:
        os.close(directory)


def _read(path: FilePath) -> tuple[Token, ...]:
    try:
        return _DECODE(read_bounded(path, TOKENS_FILE_BYTES_MAX)).tokens
    except LimitError as fault:
        raise SettingError(str(fault)) from None
    except (msgspec.MsgspecError, UnicodeError):
        raise SettingError(f"{shown(path)} is no file of tokens") from None


def _hash(salt: bytes, secret: str) -> bytes:
    return sha256(salt + secret.encode("ascii")).digest()


def _spelled(data: bytes) -> str:
    from tallystick.crypto.multibase import b64u_encode

    return b64u_encode(data)


def _write(path: FilePath, tokens: tuple[Token, ...]) -> None:
    content = msgspec.json.encode(_Content(version=1, tokens=tokens))
    write_replace(path, msgspec.json.format(content, indent=1) + b"\n", _MODE)
