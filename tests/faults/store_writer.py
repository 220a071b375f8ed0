# SPDX-License-Identifier: Apache-2.0
"""Writes to a store until it is killed, and says on standard output what was acknowledged.

Lines: `<receipt number> <index> <leaf hash>` after `place` has returned it, `! <error>` where it
raised. Usage: store_writer.py DB FIRST-NUMBER [PRAGMA…]
"""

from __future__ import annotations

import random
import sys
from itertools import count

from tests.submissions import note_of, submission

from tallystick.errors import StoreError
from tallystick.model.submission import Submission
from tallystick.store.opening import open_log_store
from tallystick.store.sqlite import SqliteEngine


def receipt(number: int) -> Submission:
    """Return the receipt of a number: always the same one."""
    return submission(str(number), chain_id=f"chain-{number % 7}", sequence=number // 7)


def main() -> None:
    """Write, sign now and then, and never stop by itself."""
    db, first = sys.argv[1], int(sys.argv[2])
    dice = random.Random(first)
    store = open_log_store(db)
    engine = store.engine
    if isinstance(engine, SqliteEngine):
        for pragma in sys.argv[3:]:
            engine._connection.execute(f"PRAGMA {pragma}")
    at = first
    for turn in count():
        size = dice.randint(1, 12)
        numbers = list(range(at, at + size))
        if at > first:
            numbers.append(dice.randrange(first, at))  # one that is there already
        try:
            for number, placed in zip(
                numbers, store.place([receipt(one) for one in numbers]), strict=True
            ):
                sys.stdout.write(f"{number} {placed.index} {placed.leaf_hash.hex()}\n")
            at += size
            if turn % 5 == 4:
                intent = store.advance()
                store.release(intent.number, note_of(intent))
        except StoreError as error:
            sys.stdout.write(f"! {type(error).__name__} {int(error.is_transient)} {error}\n")
            if not error.is_transient and type(error).__name__ == "StoreStoppedError":
                break
        sys.stdout.flush()
        if turn == 400:
            break


if __name__ == "__main__":
    main()
