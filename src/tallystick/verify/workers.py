# SPDX-License-Identifier: Apache-2.0
"""Examines a stream of receipts batch by batch, in order, in one process or in several.

Four fifths of the time go into signatures, and the rest holds the interpreter's lock: what gains
are processes that check, and nothing else. They are begun only for many receipts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tallystick.verify.batch import Examine, GuessKey, next_batch, tried_here
from tallystick.verify.receipt import Examined
from tallystick.verify.source import Raw

# So many are checked before another process would have started.
_BATCHES_ALONE = 16


def tried(
    raws: Iterable[Raw], examine: Examine, guess_key: GuessKey, workers: int
) -> Iterator[Examined]:
    """Yield what each receipt says, in order, its signature tried under the key that is guessed."""
    source = iter(raws)
    count = 0
    while workers == 1 or count < _BATCHES_ALONE:
        batch = next_batch(source)
        if not batch.raws:
            return
        count += 1
        yield from tried_here(batch, examine, guess_key)
    from tallystick.verify.checkers import tried_together  # costs a cold start 10 ms

    yield from tried_together(source, examine, guess_key, workers)
