# SPDX-License-Identifier: Apache-2.0
"""What the rooms above the core ask of the world, as protocols with few methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, runtime_checkable

import msgspec

from tallystick.crypto.ed25519 import KeyPair
from tallystick.crypto.secp256k1 import EvmSignature
from tallystick.limits import SAME_ID_MAX
from tallystick.model.evm_statement import EvmStatement
from tallystick.model.receipt import Receipt
from tallystick.model.submission import ChainSummary, Intent, Placed, Stored, Submission


@runtime_checkable
class Signer(Protocol):
    """Makes Ed25519 signatures; the key may live in a KMS or an HSM."""

    def sign(self, message: bytes, /) -> bytes:
        """Return the 64 bytes of the RFC 8032 signature over `message`."""
        ...

    def get_public_key(self) -> bytes:
        """Return the 32 raw bytes of the public key."""
        ...


@runtime_checkable
class EvmSigner(Protocol):
    """Makes secp256k1 signatures over statements, never over a digest that somebody gives."""

    def sign(self, statement: EvmStatement, /) -> EvmSignature:
        """Return the signature over a statement: low `s`, and recoverable to `get_address`."""
        ...

    def get_public_key(self) -> bytes:
        """Return the 64 bytes x and y of the public key."""
        ...

    def get_address(self) -> str:
        """Return the checksummed address of the key."""
        ...


@runtime_checkable
class LeasedSigner(Signer, Protocol):
    """A short-lived key that a root key hands the chain over to; `close` destroys it."""

    @property
    def root(self) -> Signer:
        """The signer that signs the hand-over, and nothing else."""
        ...

    @property
    def closing(self) -> Signer:
        """The signer of the terminal receipt, also when `sign` gives no more; then the key ends."""
        ...

    def renew(self) -> LeasedSigner:
        """Return another short-lived key from the same root, for the next chain."""
        ...

    def close(self) -> None:
        """Destroy the key: `sign` raises from now on."""
        ...


@runtime_checkable
class KeyProvider(Protocol):
    """Yields key bytes to this process; a signer does not."""

    def get_key_pair(self) -> KeyPair:
        """Return the key pair, or raise an error that says what to do."""
        ...


@runtime_checkable
class Emitter(Protocol):
    """Delivers signed receipts. It never builds, signs, links or changes one.

    One that returns before the receipt is delivered has an attribute `acknowledges` that is False;
    one that keeps what it could not deliver, and tries again itself, has `keeps` that is True.
    """

    def emit(self, receipt: Receipt, /) -> None:
        """Return when the receipt is delivered (or kept, by contract of the class); else raise."""
        ...


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt that was refused for good, as it is kept, and why."""

    receipt_id: str
    reason: str
    body: bytes

    def receipt(self) -> Receipt:
        """Return the receipt; emitting it again is a new try."""
        from tallystick.model.reader import parse_receipt  # costs a cold start 10 ms

        return parse_receipt(self.body)


@runtime_checkable
class DeadLetters(Protocol):
    """Keeps what was refused for good out of the line, and loses nothing of it."""

    def set_aside(self, receipt_id: str, reason: str, /) -> None:
        """Take a pending receipt out of the line and keep it; an unknown id changes nothing."""
        ...

    def dead_letters(self) -> tuple[DeadLetter, ...]:
        """Return what was set aside, oldest first."""
        ...


@runtime_checkable
class Wal(DeadLetters, Protocol):
    """Keeps receipts that are signed and not yet acknowledged, in order.

    One that ends with the process has an attribute `lasts` that is False.
    """

    def append(self, receipt: Receipt, /) -> None:
        """Return when the receipt is kept as safely as this log can.

        An id that is pending changes nothing; one that was set aside stands in line again, last.
        """
        ...

    def remove(self, receipt_id: str, /) -> None:
        """Forget a receipt, pending or set aside; an unknown id changes nothing."""
        ...

    def pending(self) -> Iterator[Receipt]:
        """Yield what is not yet acknowledged, oldest first."""
        ...

    def __len__(self) -> int:
        """Return how many receipts are pending."""
        ...

    def close(self) -> None:
        """Let go of files and locks."""
        ...


class PlacesReceipts(Protocol):
    """Gives receipts their places, durably and in one order."""

    def place(
        self, submissions: Sequence[Submission], /, *, on_written: Callable[[], None] = ...
    ) -> tuple[Placed, ...]:
        """Sequence a batch in one commit: contiguous indexes for what is new, in this order.

        A receipt that this tenant already has (equal digest) keeps its first place. `on_written` is
        called when what is left is mostly waiting, for the disk or for a server; not for errors.
        """
        ...

    def placed(self, tenant: str, digest: bytes, /) -> Placed | None:
        """Return the place of a receipt by the digest of its whole canonical form."""
        ...

    def next_index(self) -> int:
        """Return how many entries were sequenced, integrated or not."""
        ...


class KeepsCheckpoints(Protocol):
    """Keeps checkpoints: intents before they are signed, and notes before they are shown."""

    def advance(self) -> Intent:
        """Fence, integrate all entries before the fence, and store the next checkpoint's intent.

        Where an intent waits for its note, that one is returned and nothing is changed.
        """
        ...

    def pending(self) -> Intent | None:
        """Return the intent that waits for its note, where there is one."""
        ...

    def release(self, number: int, note: bytes, /) -> None:
        """Store the signed note of an intent; another note for the same number is an error."""
        ...

    def released(self) -> Intent | None:
        """Return the newest checkpoint that has its note."""
        ...

    def checkpoint_of(self, size: int, /) -> Intent | None:
        """Return the newest released checkpoint of exactly this size."""
        ...


class ReadsTree(Protocol):
    """Reads the log's tree."""

    def leaf_hashes(self, start: int, stop: int, /) -> bytes:
        """Return the leaf hashes of entries [start, stop), 32 bytes each."""
        ...

    def entries(self, start: int, stop: int, /) -> tuple[bytes, ...]:
        """Return the 87-byte entries of [start, stop)."""
        ...

    def tile(self, level: int, number: int, width: int, /) -> bytes | None:
        """Return the first `width` hashes of a hash tile, or None where the tree has fewer."""
        ...


class ReadsReceipts(Protocol):
    """Reads what a tenant has stored."""

    def by_id(
        self, tenant: str, receipt_id: str, /, *, limit: int = SAME_ID_MAX
    ) -> tuple[Stored, ...]:
        """Return the receipts under an id, oldest first, at most `limit`."""
        ...

    def leaves_under(
        self, tenant: str, receipt_id: str, /, *, limit: int = SAME_ID_MAX
    ) -> tuple[bytes, ...]:
        """Return the leaf hashes of the receipts under an id, as `by_id` orders them."""
        ...

    def by_leaf(self, tenant: str, leaf_hash: bytes, /) -> Stored | None:
        """Return the receipt of one leaf."""
        ...

    def chains(
        self, tenant: str, *, issuer: str | None, since_ms: int | None, after: int, limit: int
    ) -> tuple[ChainSummary, ...]:
        """Return chains by the index of their first entry (> `after`), at most `limit`."""
        ...

    def chain(
        self, tenant: str, chain_id: str, *, after: tuple[int, int], limit: int
    ) -> tuple[Stored, ...]:
        """Return receipts of a chain whose (sequence, index) is above `after`, in that order.

        A receipt without a sequence counts as -1. At most `limit`, and no more once their bodies
        have `READ_PAGE_BYTES_MAX` bytes, so that a page may end before its time.
        """
        ...


class Store(Protocol):
    """What a service asks of any store."""

    def size_bytes(self) -> int:
        """Return what the store takes on disk."""
        ...

    def ping(self) -> None:
        """Return when the store answers a read."""
        ...

    def probe(self) -> None:
        """Return when the store has made a real durable write."""
        ...

    def close(self) -> None:
        """Let go of files, locks and connections."""
        ...


class LogStore(PlacesReceipts, KeepsCheckpoints, ReadsTree, ReadsReceipts, Store, Protocol):
    """Durable home of a collector's receipts and of the log over them.

    Each write method returns only when its transaction is on stable storage, and raises
    `StoreError` otherwise; after a failed commit the outcome is unknown and the store stops. Reads
    may run on other threads than writes. `clock_ms` is the store's one clock: a database's own
    where several processes share it.
    """
