# SPDX-License-Identifier: Apache-2.0
"""Writes to a ledger until it is killed, and says on standard output what was acknowledged.

    python -m tests.faults.ledger_writer FOLDER SEED [PRAGMA…]       writes 100 batches, then ends
    python -m tests.faults.ledger_writer --kill FOLDER SEED KILLS    forks writers and kills them

Lines: `<chain> <sequence> <hash>` after `commit` has returned it, `! <error>` where it raised.
Batches are of all sizes, for the root and for agents; days pass, and keys are rotated.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

from tests.ledgers import DAY_MS, Home

from tallystick.daemon.ledger import Ledger
from tallystick.errors import StoreError
from tallystick.limits import JSON_DEPTH_MAX
from tallystick.model.frame import Acknowledgement

BATCHES = 100


def write(home: Home, dice: random.Random, ledger: Ledger, batches: int) -> None:
    """Commit batches, and say what was acknowledged; stop where the store does."""
    for _ in range(batches):
        frames = []
        for _ in range(dice.randint(1, 12)):
            agent = dice.choice((None, None, "a", "b", f"c{dice.randrange(50)}"))
            frames.append(home.frame(agent_id=agent, drop_count=dice.choice((0, 0, 0, 1))))
        try:
            answers = ledger.commit(frames)
            told = [one for one in answers if isinstance(one, Acknowledgement)]
            text = "".join(f"{one.chain_id} {one.sequence} {one.hash}\n" for one in told)
            os.write(1, text.encode())
            home.now_ms += dice.choice((0, 1, 1000, 1000, -3000))
            if dice.random() < 0.03:
                home.now_ms += DAY_MS
            if dice.random() < 0.05:
                ledger.rotate()
            if dice.random() < 0.1:
                ledger.tick()
        except StoreError as error:
            os.write(1, f"! {type(error).__name__} {error}\n".encode())
            if type(error).__name__ == "StoreStoppedError":
                return


def main() -> None:
    """Write once, and let go in order where that is still possible."""
    home, dice = Home(Path(sys.argv[1]), with_key=False), random.Random(int(sys.argv[2]))
    ledger = home.open()
    for pragma in sys.argv[3:]:
        ledger._store.engine._connection.execute(f"PRAGMA {pragma}")
    write(home, dice, ledger, BATCHES)
    try:
        ledger.close()
    except StoreError as error:
        os.write(1, f"! {type(error).__name__} {error}\n".encode())


def kill() -> None:
    """Fork one writer after the other, and kill each at a random moment, sometimes at its start."""
    folder, seed, kills = Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    dice = random.Random(seed)
    warm = folder / "warm"
    warm.mkdir()
    ledger = Home(warm).open()
    ledger.close()
    assert JSON_DEPTH_MAX  # all that writers need is imported
    for number in range(kills):
        pid = os.fork()
        if pid == 0:
            try:
                home = Home(folder, with_key=False)
                home.now_ms += number * 60_000
                write(home, random.Random(seed + number), home.open(), 10_000)
            except BaseException as error:  # noqa: BLE001 - the test reads it
                os.write(1, f"! {type(error).__name__} {error}\n".encode())
            os._exit(1)
        time.sleep(dice.uniform(0, 0.12))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    if sys.argv[1] == "--kill":
        kill()
    else:
        main()
