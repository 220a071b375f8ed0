# SPDX-License-Identifier: Apache-2.0
"""A private key in an environment variable: for development, CI and low stakes.

Two forms are accepted, with white space around them ignored: `u` and the 43 base64url characters
of a 32-byte seed, and a PKCS#8 PEM. Deployment consoles often store a PEM in one line, with its
line breaks written as the two characters `\\n`; a PEM has no other backslash, so these are read
as line breaks. No message quotes the value, and no frame of a traceback from here holds it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from tallystick.config import read
from tallystick.crypto.ed25519 import KeyPair
from tallystick.crypto.multibase import b64u_decode
from tallystick.errors import EncodingError, KeyEnvError, KeyFormatError
from tallystick.limits import KEY_FILE_BYTES_MAX

_SEED = re.compile(r"u[A-Za-z0-9_-]{43}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_HEX = re.compile(r"(0x)?([0-9a-fA-F]{64}|[0-9a-fA-F]{128})")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{43}=?|[A-Za-z0-9+/]{86}(==)?")
_PATH_FOR_SURE = re.compile(r"(~|\.{0,2}/|file:|[A-Za-z]:\\).*")
_PATH = re.compile(r"\S*[/\\]\S*|[\w.-]+\.(pem|key|p8|der)")
_PKCS8_BASE64 = "MC4CAQAwBQYDK2VwBCIE"

_WANTED = "wanted: `u` and the base64url of a 32-byte seed, or a PKCS#8 PEM"
_SEED_FAULT = "is not canonical base64url: unused bits of its last character are set"
_A_PATH = (
    "looks like the path of a key file, as the daemon reads it from this variable; "
    "here the key itself is wanted (FileKeyProvider reads a path)"
)


class EnvVarKeyProvider:
    """Yields the key pair of an environment variable.

    The variable is read and checked once, here: a wrong value stops the program at its start.
    """

    __slots__ = ("_key_pair", "name")

    def __init__(
        self, name: str = "AGENTRECEIPTS_KEY", *, environ: Mapping[str, str] | None = None
    ) -> None:
        """Read the key, or raise a KeyEnvError that says which forms are wanted."""
        if not _NAME.fullmatch(name) or _SEED.fullmatch(name):
            del name  # perhaps the key itself
            raise KeyEnvError("that is not the name of a variable; give its name, not its value")
        found = key_pair_in(read(name, environ))
        if isinstance(found, str):
            del environ
            raise KeyEnvError(f"{name} {found}")
        self.name = name
        self._key_pair = found

    def get_key_pair(self) -> KeyPair:
        """Return the key pair that was read."""
        return self._key_pair

    def __repr__(self) -> str:
        pair = getattr(self, "_key_pair", None)  # None while __init__ refuses
        return f"EnvVarKeyProvider({getattr(self, 'name', None)!r}, {pair!r})"


def key_pair_in(value: str | None) -> KeyPair | str:
    """Return the key pair in a value, or why there is none, in words that follow its name."""
    if value is None:
        return f"is not set; {_WANTED}"
    if len(value) > KEY_FILE_BYTES_MAX:
        return f"is larger than {KEY_FILE_BYTES_MAX} bytes; {_WANTED}"
    value = value.strip()
    if value.startswith("{"):
        return "holds JSON; store the key alone, as plain text"
    if "-----BEGIN" in value:
        return _from_pem(value)
    if _SEED.fullmatch(value):
        try:
            return KeyPair.from_seed(b64u_decode(value[1:]))
        except EncodingError:
            return _SEED_FAULT
    return f"{_other_form(value)}; {_WANTED}"


def _from_pem(value: str) -> KeyPair | str:
    if value[0] in "'\"":
        return "has quotation marks around its PEM; store it without them"
    lines = value.replace("\\r\\n", "\n").replace("\\n", "\n")
    try:
        return KeyPair.from_private_pem(lines)
    except KeyFormatError as error:
        if "\n" not in lines:
            return "holds a PEM without its line breaks; keep them, or write each as \\n"
        return f"holds no usable key: {error}"


def _other_form(value: str) -> str:
    """Say what a value looks like that is none of our two forms."""
    if not value:
        return "is empty"
    if value[0] in "'\"":
        return "begins with a quotation mark; store the value without quotes"
    if value.startswith("@Microsoft.KeyVault("):
        return (
            "holds a reference to Key Vault that Azure did not resolve; "
            "look at its status among the app's settings, and at what its identity may read"
        )
    if value.startswith("did:"):
        return "holds a did:key, which is a public key"
    if _PATH_FOR_SURE.fullmatch(value):
        return _A_PATH
    if _HEX.fullmatch(value):
        return "looks like hexadecimal"
    if value.startswith(_PKCS8_BASE64):
        return "looks like a PEM without its BEGIN and END lines"
    if _BASE64.fullmatch(value):
        return "looks like plain base64"
    if _PATH.fullmatch(value):
        return _A_PATH
    if re.fullmatch(r"u[A-Za-z0-9_-]*", value):
        return f"begins with `u` but then has {len(value) - 1} characters, not 43"
    return "holds no key in a form that we know"
