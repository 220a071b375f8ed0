# SPDX-License-Identifier: Apache-2.0
"""Which key the settings name, a file's or a signer's, and what lies beside it.

key           a file: `rotate` makes the next one
signer        a URI: no key is on this host; `rotate` hands over to `next_signer`
next_signer   also beside a file: that is how its chains move to a token or a service
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tallystick.daemon.key_file import FileKeySource, check_folders
from tallystick.daemon.key_source import SignerKeySource
from tallystick.daemon.key_succession import KeySuccession
from tallystick.daemon.settings import Settings
from tallystick.keys.signer_uri import open_signer, parse_signer_uri
from tallystick.ports import Signer

_PUBLIC: Final = ".pub"


def key_source_of(settings: Settings) -> KeySuccession:
    """Return where signatures come from; nobody is asked for one yet."""
    method, successor = settings.verification_method, successor_of(settings)
    if not settings.signer:
        return KeySuccession(FileKeySource(settings.key, method), successor)
    # There is no key to replace, but what we publish and remember lies there.
    check_folders(settings.public_key)
    return KeySuccession(SignerKeySource(open_signer(settings.signer), method), successor)


def successor_of(settings: Settings) -> Signer | None:
    """Return the signer that a rotation hands over to, where one is named."""
    return open_signer(settings.next_signer) if settings.next_signer else None


class NextSigner:
    """Who is to sign next, as settings name it: looked for at first, and named last of all."""

    def __init__(self, keys: KeySuccession, settings: Settings) -> None:
        self._keys = keys
        self._uri = settings.next_signer

    def seek(self, settings: Settings) -> Callable[[], None]:
        """Return what names it, for when all of these settings are taken; nothing changes before.

        One that is named already is not named again: it may have taken over.
        """
        if settings.next_signer == self._uri:
            return lambda: None
        successor = successor_of(settings)

        def name() -> None:
            self._keys.take_successor(successor)
            self._uri = settings.next_signer

        return name


def key_kind(settings: Settings) -> str:
    """Return where the key lives, in a word: `file`, or the scheme of a signer's URI."""
    return parse_signer_uri(settings.signer).scheme if settings.signer else "file"


def beside_key(settings: Settings, ending: str) -> str:
    """Return the path of something that is kept beside the key: by the published one, if need be.

    So it stays where it is when a file's chains are handed over to a signer.
    """
    return (settings.key or settings.public_key.removesuffix(_PUBLIC)) + ending
