# SPDX-License-Identifier: Apache-2.0
"""Receipts on their way through a verification, some at a time, each with its signature tried."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from tallystick.crypto.checking import KEY_BYTES, SIGNATURE_BYTES, check
from tallystick.model.receipt import Receipt
from tallystick.verify.receipt import Examined
from tallystick.verify.source import Raw

# Two batches fit into a pipe, so that handing one over waits for nobody. Larger batches are slower
# in one process, too: reading and checking throw each other's tables out of the fastest cache.
BATCH_ITEMS = 32
BATCH_BYTES = 28 * 1024
_LARGE_BYTES = 64 * 1024

Examine = Callable[[list[Raw]], list[Examined]]
GuessKey = Callable[[Receipt], bytes | None]
# Signature, signed bytes, public key.
Question = tuple[bytes, bytes, bytes]


class Batch:
    """Receipts on their way through the workers."""

    def __init__(self, raws: list[Raw], size: int, *, is_large: bool) -> None:
        self.raws = raws
        self.size = size
        self.is_large = is_large
        self.examined: list[Examined] = []
        # Whose signature can be tried, and under which key.
        self.asked: list[tuple[Examined, Question]] = []
        self.is_tried = False

    def read(self, examine: Examine, guess_key: GuessKey) -> None:
        """Examine the receipts, and choose the key that each is tried with.

        What came as values, and not as bytes, has its size from now on: that of its body.
        """
        raws, self.raws = self.raws, []
        self.examined = examine(raws)
        for raw, one in zip(raws, self.examined, strict=True):
            if one.body is not None and not isinstance(raw, bytes):
                self.size += len(one.body)
            if one.signature is None or one.receipt is None:
                continue
            one.tried_key = guess_key(one.receipt)
            if one.tried_key is not None:
                assert one.body is not None  # a signature is decoded only beside its body
                self.asked.append((one, (one.signature, one.body, one.tried_key)))

    def take(self, answers: Iterable[int | bool]) -> None:
        """Note what came of trying the signatures."""
        for (one, _), fits in zip(self.asked, answers, strict=True):
            one.fits_tried_key = fits == 1
        self.asked, self.is_tried = [], True

    def try_here(self) -> None:
        """Check the signatures in this process."""
        self.take([check(*question) for _, question in self.asked])

    @property
    def is_for_checkers(self) -> bool:
        """Whether there is something to check, all of it of the sizes that it should have."""
        return bool(self.asked) and all(
            len(signature) == SIGNATURE_BYTES and len(key) == KEY_BYTES
            for _, (signature, _, key) in self.asked
        )


def tried_here(batch: Batch, examine: Examine, guess_key: GuessKey) -> Iterator[Examined]:
    """Yield what receipts say, all of it done in this process; what is large is done one by one."""
    for raws in [[raw] for raw in batch.raws] if batch.is_large else [batch.raws]:
        part = Batch(raws, 0, is_large=batch.is_large)
        part.read(examine, guess_key)
        part.try_here()
        yield from part.examined


def next_batch(source: Iterator[Raw]) -> Batch:
    """Take the next few receipts; values that are not bytes have no size before they are read."""
    raws: list[Raw] = []
    size = largest = 0
    for raw in islice(source, BATCH_ITEMS):
        raws.append(raw)
        if isinstance(raw, bytes):
            size += len(raw)
            largest = max(largest, len(raw))
        if size >= BATCH_BYTES:
            break
    return Batch(raws, size, is_large=largest >= _LARGE_BYTES)
