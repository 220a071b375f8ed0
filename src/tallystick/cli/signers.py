# SPDX-License-Identifier: Apache-2.0
"""How commands open the signer that a user names, and ask for a password where one is missing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

import click

from tallystick.cli.output import Exit, Stop
from tallystick.errors import (
    KeyFileError,
    KeyFormatError,
    MissingExtraError,
    PinRefused,
    SettingError,
    SigningError,
)
from tallystick.ports import EvmSigner, Signer

Opened = TypeVar("Opened")


def named_signer(text: str) -> Signer:
    """Return the Ed25519 signer of a path or URI, its public key looked up."""
    from tallystick.keys.signer_uri import open_signer

    def opened() -> Signer:
        signer = open_signer(text)
        signer.get_public_key()
        return signer

    return _or_stop(opened)


def named_evm_signer(text: str) -> EvmSigner:
    """Return the EVM signer of a path or URI, its address looked up and checked."""
    from tallystick.keys.signer_uri import open_evm_signer

    def opened() -> EvmSigner:
        signer = open_evm_signer(text, password=_asked if _is_interactive() else None)
        signer.get_address()
        return signer

    return _or_stop(opened)


def new_password(file: str | None) -> bytes:
    """Return the password for a new keystore: of a file, or asked for twice."""
    if file is not None:
        from tallystick.keys.evm_keystore import password_from_file

        return _or_stop(lambda: password_from_file(file))
    if not _is_interactive():
        raise Stop(Exit.USAGE, "a keystore wants a password: give the file that holds it")
    text: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return text.encode("utf-8")


def _asked() -> bytes:
    text: str = click.prompt("Password of the keystore", hide_input=True, err=True)
    return text.encode("utf-8")


def _is_interactive() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _or_stop(work: Callable[[], Opened]) -> Opened:
    try:
        return work()
    except (SettingError, KeyFileError, KeyFormatError, PinRefused) as fault:
        raise Stop(Exit.USAGE, str(fault)) from None
    except (MissingExtraError, SigningError) as fault:
        raise Stop(Exit.UNCHECKED, str(fault)) from None
