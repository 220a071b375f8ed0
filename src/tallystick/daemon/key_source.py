# SPDX-License-Identifier: Apache-2.0
"""Where the daemon's signatures come from: what each source can do, and any signer as one.

See key_file.py for a key in a file, and key_succession.py for who follows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from tallystick.errors import SettingError
from tallystick.ports import Signer

# What is signed, and then forgotten, to see that a key can be used: no receipt begins like this.
DOES_IT_SIGN: Final = b"tallystick: does this key sign?"


# Returns the signatures over several messages, in their order.
SignAll = Callable[[Sequence[bytes]], list[bytes]]


class KeySource(Protocol):
    """A signer that can be got ready, handed over to its successor, and put away."""

    @property
    def verification_method(self) -> str:
        """What proofs name as their key."""
        ...

    def init(self) -> None:
        """Get ready to sign, or raise an error that says what to do."""
        ...

    def sign(self, message: bytes, /) -> bytes:
        """Return the 64 bytes of the signature over `message`."""
        ...

    @property
    def sign_all(self) -> SignAll | None:
        """What signs many at once, where a key in this process refuses none for its own sake."""
        ...

    def get_public_key(self) -> bytes:
        """Return the 32 raw bytes of the public key."""
        ...

    def stage(self) -> Signer:
        """Make or take the next key, kept so that a crash does not lose it; nothing changes yet."""
        ...

    def staged(self) -> Signer | None:
        """Return the next key that a crash has left, if any."""
        ...

    def install(self) -> None:
        """Sign with the staged key from now on, also after a restart."""
        ...

    def discard(self) -> bool:
        """Forget the staged key; return whether there was anything to remove."""
        ...

    def teardown(self) -> None:
        """Destroy the key where it is held in memory: `sign` raises from now on."""
        ...


class SignerKeySource:
    """Any signer: its key lives in a token or a service, and stays there."""

    def __init__(self, signer: Signer, verification_method: str) -> None:
        self._signer = signer
        self._method = verification_method

    @property
    def verification_method(self) -> str:
        """What proofs name as their key."""
        return self._method

    def init(self) -> None:
        """Have it sign once: a key that may be looked up, but not used, is found out here."""
        self._signer.get_public_key()
        self._signer.sign(DOES_IT_SIGN)

    def sign(self, message: bytes, /) -> bytes:
        """Return the 64 bytes of the signature over `message`."""
        return self._signer.sign(message)

    @property
    def sign_all(self) -> None:
        """Nothing: each message is a request of its own, which may be refused."""
        return None

    def get_public_key(self) -> bytes:
        """Return the 32 raw bytes of the public key."""
        return self._signer.get_public_key()

    def stage(self) -> Signer:
        """Raise: no key is made here."""
        raise SettingError("no next signer is named: set next_signer to the one to hand over to")

    def staged(self) -> Signer | None:
        """Return None: nothing is kept here."""
        return None

    def install(self) -> None:
        """Raise, as `stage` does."""
        self.stage()

    def discard(self) -> bool:
        """Do nothing: a signer keeps its key."""
        return False

    def teardown(self) -> None:
        """Close the signer where it can be."""
        close = getattr(self._signer, "close", None)
        if close is not None:
            close()
