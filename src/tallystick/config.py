# SPDX-License-Identifier: Apache-2.0
"""One table of everything that can be set from outside, and the only readers of the environment.

`docs/reference/configuration.md` is generated from `VARIABLES`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final, Literal

import msgspec


class Variable(msgspec.Struct, frozen=True, kw_only=True):
    """One setting: what it is called, what it takes, and what it is for."""

    name: str
    environment: str
    kind: Literal["text", "flag"]
    default: str
    purpose: str
    secret: bool = False


VARIABLES: Final = (
    Variable(
        name="key",
        environment="AGENTRECEIPTS_KEY",
        kind="text",
        default="",
        purpose=(
            "Signing key for EnvVarKeyProvider: `u` and the 43 base64url characters of a 32-byte "
            "seed, or a PKCS#8 PEM (line breaks may be written as `\\n`). The daemon reads the "
            "same variable as the path of a key file."
        ),
        secret=True,
    ),
    Variable(
        name="production",
        environment="AGENTRECEIPTS_PRODUCTION",
        kind="flag",
        default="false",
        purpose="Exactly `true` forbids generated keys: GeneratingKeyProvider raises.",
    ),
)


def read(environment: str, environ: Mapping[str, str] | None = None) -> str | None:
    """Return the text of one environment variable, or None where it is not set."""
    return (os.environ if environ is None else environ).get(environment)


def read_flag(environment: str, environ: Mapping[str, str] | None = None) -> bool:
    """Tell whether a flag is set: only the exact text `true` sets it."""
    return read(environment, environ) == "true"
