# SPDX-License-Identifier: Apache-2.0
"""Leases: a root key lends one chain to a session key that lives in this process only.

The root (a KMS, an HSM) signs the first receipt of the chain, a key rotation that names the session
key; the session key signs all others. So a session costs one remote signature, receipts may be of
any size, and a verifier follows the chain with the root's public key alone.

    chain = ReceiptChain(signer=SessionSigner(KMSSigner("alias/agent")), …)

What a stolen session key can do, and for how long: docs/adr/0008-leases.md.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import timedelta
from threading import Lock

from tallystick.crypto.digest import sha256_tagged
from tallystick.crypto.ed25519 import ErasableKey, KeyPair, overwrite
from tallystick.crypto.multibase import b64u_encode, did_key_encode
from tallystick.errors import LeaseExpired, LimitError, SigningError
from tallystick.keys.local import LocalSigner
from tallystick.limits import HAND_OVER_BYTES_MAX, LEASE_RECEIPTS_MAX, LEASE_SECONDS_MAX
from tallystick.ports import Signer


class SessionSigner:
    """A signer whose key was made here, and whose chain a root signer lends to it.

    `root` signs the hand-over and nothing else, `sign` every receipt of an action, and `closing`
    one terminal receipt, after which the key is gone. `sign` raises LeaseExpired when `max_age`
    (counted from the hand-over) or `max_receipts` is reached; the answer is a new chain with the
    lease that `renew` gives.
    """

    __slots__ = (
        "_began",
        "_began_ticking",
        "_closing",
        "_clock",
        "_entropy",
        "_key",
        "_latest",
        "_lock",
        "_max_age_ns",
        "_monotonic",
        "_process",
        "_receipts",
        "_root",
        "max_age",
        "max_receipts",
    )

    def __init__(
        self,
        root_signer: Signer | KeyPair,
        *,
        max_age: timedelta = timedelta(hours=1),
        max_receipts: int = 10_000,
        clock: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], int] = time.monotonic_ns,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Make the session key. The root is not asked for anything yet; `warm_up` asks."""
        if not timedelta(0) < max_age <= timedelta(seconds=LEASE_SECONDS_MAX):
            raise LimitError(f"max_age: wanted is up to {LEASE_SECONDS_MAX} seconds")
        if not 0 < max_receipts <= LEASE_RECEIPTS_MAX:
            raise LimitError(f"max_receipts: wanted is 1 to {LEASE_RECEIPTS_MAX}")
        self.max_age = max_age
        self.max_receipts = max_receipts
        self._max_age_ns = max_age // timedelta(microseconds=1) * 1000
        # Both: the one can be set back, the other may stand still while a machine is frozen.
        self._clock = clock
        self._monotonic = monotonic
        self._entropy = entropy
        self._process = os.getpid()
        # Guards key, count and time: a key is never erased while it signs.
        self._lock = Lock()
        self._receipts = 0
        self._began: int | None = None
        self._latest = self._began_ticking = 0
        self._key = _new_key(entropy)
        root = LocalSigner(root_signer) if isinstance(root_signer, KeyPair) else root_signer
        self._root = _Root(self, root)
        self._closing = _Closing(self)

    @property
    def root(self) -> Signer:
        """The signer of the hand-over. It signs that one statement and no other."""
        return self._root

    @property
    def closing(self) -> Signer:
        """The signer of the terminal receipt, also after `max_age`. It signs once, and ends it."""
        return self._closing

    def sign(self, message: bytes, /) -> bytes:
        """Return the session key's signature; raise LeaseExpired when the lease is used up."""
        self._refuse_other_process()
        with self._lock:
            self._refuse_unlent()
            if self._receipts >= self.max_receipts:
                raise LeaseExpired(
                    f"the lease was for {self.max_receipts} receipts: begin a new chain"
                )
            if self._age_ns() >= self._max_age_ns:
                raise LeaseExpired(f"the lease was for {self.max_age}: begin a new chain")
            signature = self._key.sign(message)
            self._receipts += 1
            return signature

    def get_public_key(self) -> bytes:
        """Return the 32 raw bytes of the session key's public half."""
        return self._key.public_key

    def warm_up(self) -> None:
        """Fetch the root's public key: at a cold start, before a request waits for it."""
        self._root.get_public_key()

    def renew(self) -> SessionSigner:
        """Return a new lease from the same root, for the next chain.

        A root that names its key by an alias is asked anew, so it follows a rotation in the KMS.
        """
        root = self._root.signer
        anew = getattr(root, "anew", None)
        return SessionSigner(
            root if anew is None else anew(),
            max_age=self.max_age,
            max_receipts=self.max_receipts,
            clock=self._clock,
            monotonic=self._monotonic,
            entropy=self._entropy,
        )

    def close(self) -> None:
        """Destroy the session key: from now on nothing is signed with it.

        The memory that holds it is overwritten. Copies that the interpreter and libsodium's
        binding made on their way are freed, but not overwritten: Python can't reach them.
        """
        with self._lock:
            self._key.erase()

    @property
    def receipts(self) -> int:
        """How many receipts the session key has signed; hand-over and terminal do not count."""
        return self._receipts

    @property
    def age(self) -> timedelta:
        """How long ago the root handed over; zero before that."""
        with self._lock:
            return timedelta(microseconds=self._age_ns() // 1000)

    @property
    def is_closed(self) -> bool:
        """Whether the key is destroyed."""
        return self._key.is_erased

    def _begin(self) -> None:
        with self._lock:
            self._began = self._latest = self._clock()
            self._began_ticking = self._monotonic()

    def _end(self, message: bytes) -> bytes:
        self._refuse_other_process()
        with self._lock:
            self._refuse_unlent()
            signature = self._key.sign(message)
            self._key.erase()
            return signature

    def _age_ns(self) -> int:
        if self._began is None:
            return 0
        # A clock that is set back makes no lease younger.
        self._latest = max(self._latest, self._clock())
        return max(self._latest - self._began, self._monotonic() - self._began_ticking)

    def _refuse_unlent(self) -> None:
        if self._key.is_erased:
            raise SigningError("the lease has ended and its key is destroyed")
        if self._began is None:
            raise SigningError(
                "the root has not handed this chain over: no verifier would know the session key"
            )

    def _refuse_other_process(self) -> None:
        if os.getpid() != self._process:
            raise SigningError(
                "this lease belongs to the process that forked: two writers would fork the chain. "
                "Begin a chain of your own, with renew()"
            )

    def __repr__(self) -> str:
        key = getattr(self, "_key", None)  # None while __init__ refuses
        shown = None if key is None else did_key_encode(key.public_key)
        return f"SessionSigner(public_key={shown!r}, receipts={getattr(self, '_receipts', 0)})"


class _Root:
    """The root, for one statement: the hand-over to one session key."""

    __slots__ = ("_lease", "_lock", "_signature", "_statement", "signer")

    def __init__(self, lease: SessionSigner, signer: Signer) -> None:
        self.signer = signer
        self._lease = lease
        self._lock = Lock()
        self._statement: bytes | None = None
        self._signature = b""

    def sign(self, message: bytes, /) -> bytes:
        """Return the root's signature over the hand-over."""
        self._lease._refuse_other_process()
        with self._lock:
            if self._statement is None:
                self._refuse_other_statements(message)
                self._signature = self.signer.sign(message)
                self._statement = message
                self._lease._begin()
            elif self._statement != message:
                raise SigningError("the root signs one statement of a lease, and that is done")
            return self._signature

    def get_public_key(self) -> bytes:
        """Return the 32 raw bytes of the root's public key."""
        return self.signer.get_public_key()

    def _refuse_other_statements(self, message: bytes) -> None:
        if self._lease.is_closed:
            raise SigningError("the lease has ended: its key is destroyed")
        old = f'"old_key_fingerprint":"{sha256_tagged(self.get_public_key())}"'
        new = f'"new_public_key":"u{b64u_encode(self._lease.get_public_key())}"'
        if old.encode() not in message or new.encode() not in message:
            raise SigningError("the root of a lease signs the hand-over to its key, and only that")
        if len(message) > HAND_OVER_BYTES_MAX:
            raise LimitError(
                f"the receipt that hands the chain over has {len(message)} bytes, and services "
                f"sign {HAND_OVER_BYTES_MAX} at most: shorten issuer, principal or chain_id"
            )


class _Closing:
    """The session key, for its last receipt."""

    __slots__ = ("_lease", "_lock", "_signature", "_statement")

    def __init__(self, lease: SessionSigner) -> None:
        self._lease = lease
        self._lock = Lock()
        self._statement: bytes | None = None
        self._signature = b""

    def sign(self, message: bytes, /) -> bytes:
        """Return the last signature of the session key, and destroy it."""
        with self._lock:
            if self._statement != message:
                self._signature = self._lease._end(message)
                self._statement = message
            return self._signature

    def get_public_key(self) -> bytes:
        """Return the 32 raw bytes of the session key's public half."""
        return self._lease.get_public_key()


def _new_key(entropy: Callable[[int], bytes]) -> ErasableKey:
    seed = entropy(32)
    try:
        return ErasableKey(seed=seed)
    finally:
        if entropy is os.urandom:  # bytes that nobody else holds
            overwrite(seed)
        del seed
