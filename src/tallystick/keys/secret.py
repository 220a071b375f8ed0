# SPDX-License-Identifier: Apache-2.0
"""Private keys that a secret manager keeps: fetched once, read strictly, never shown."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Final

from tallystick.crypto.ed25519 import KeyPair
from tallystick.errors import Error, KeySecretError
from tallystick.keys.env import key_pair_in
from tallystick.keys.remote import Line
from tallystick.limits import KEY_FILE_BYTES_MAX

# PKCS#8 of an Ed25519 key: 16 bytes that are always the same, then the seed.
_DER_BYTES: Final = 48


class RemoteKeyProvider:
    """Yields the key pair of a secret, which is fetched and read once, at construction."""

    __slots__ = ("_key_pair", "name")

    def __init__(self, name: str, line: Line, fetch: Callable[[], str | bytes | None]) -> None:
        """Fetch and read the secret, or raise a KeySecretError that says what to do."""
        self.name = name
        found = line.ask("secret", lambda: key_pair_in_secret(fetch()), _failure)
        if isinstance(found, str):
            raise KeySecretError(f"the secret {name} {found}")
        self._key_pair = found

    def get_key_pair(self) -> KeyPair:
        """Return the key pair that was read."""
        return self._key_pair

    def __repr__(self) -> str:
        pair = getattr(self, "_key_pair", None)  # None while __init__ refuses
        return f"{type(self).__name__}({getattr(self, 'name', None)!r}, {pair!r})"


def key_pair_in_secret(value: str | bytes | None) -> KeyPair | str:
    """Return the key pair in a secret, or why there is none, in words that follow its name."""
    if isinstance(value, bytes):
        if len(value) > KEY_FILE_BYTES_MAX:
            return f"is larger than {KEY_FILE_BYTES_MAX} bytes; a private key is smaller"
        # Random bytes are all ASCII once in 2^32 keys; a text that was cut off is likelier.
        if len(value) == 32 and not value.isascii():
            return KeyPair.from_seed(value)
        if len(value) == _DER_BYTES and not value.isascii():
            value = b"-----BEGIN PRIVATE KEY-----\n%s\n-----END PRIVATE KEY-----" % b64encode(value)
        value = value.decode("utf-8", "replace")
    return key_pair_in(value)


def _failure(text: str, is_transient: bool) -> Error:
    return KeySecretError(text, is_transient=is_transient)
