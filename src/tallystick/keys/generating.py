# SPDX-License-Identifier: Apache-2.0
"""A new key for each process: for development only, and it says so."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Final, TextIO

from tallystick.config import read, read_flag
from tallystick.crypto.ed25519 import KeyPair
from tallystick.errors import ProductionKeyProviderError
from tallystick.keys.local import generate_key_pair

_PRODUCTION: Final = "AGENTRECEIPTS_PRODUCTION"

# The processes that were warned: a forked child inherits the table, but not its parent's id.
_warned: Final[dict[int, object]] = {}


class GeneratingKeyProvider:
    """Makes a key pair when constructed, and yields that one.

    Receipts signed with it can be verified only by who was told this very public key: after a
    restart there is another one. Where AGENTRECEIPTS_PRODUCTION is exactly `true`, construction
    raises before any key is made.
    """

    __slots__ = ("_key_pair",)

    def __init__(
        self,
        *,
        environ: Mapping[str, str] | None = None,
        stderr: TextIO | None = None,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Refuse production, warn once per process, make the key."""
        if read_flag(_PRODUCTION, environ):
            raise ProductionKeyProviderError(
                f"{_PRODUCTION} is true: keys are not generated in production; "
                "load one with FileKeyProvider or EnvVarKeyProvider, or sign with a KMS"
            )
        _warn_once(environ, sys.stderr if stderr is None else stderr)
        self._key_pair = generate_key_pair(entropy=entropy)

    def get_key_pair(self) -> KeyPair:
        """Return the key pair that was made."""
        return self._key_pair

    def __repr__(self) -> str:
        pair = getattr(self, "_key_pair", None)  # None while __init__ refuses
        return f"GeneratingKeyProvider({pair!r})"


def _warn_once(environ: Mapping[str, str] | None, stderr: TextIO | None) -> None:
    mine = object()
    if stderr is None or _warned.setdefault(os.getpid(), mine) is not mine:
        return
    text = (
        "⚠ GeneratingKeyProvider is dev-only: its key ends with this process, and receipts signed "
        f"with it name an identity that no one can recognise. Set {_PRODUCTION}=true to forbid it."
    )
    if (read(_PRODUCTION, environ) or "").strip().lower() in {"true", "1", "yes", "on"}:
        text += f" {_PRODUCTION} is set, but only exactly `true` counts."
    stderr.write(text + "\n")
    stderr.flush()
