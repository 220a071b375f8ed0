# SPDX-License-Identifier: Apache-2.0
"""One process for a few receipts, several for many. How they work together: `test_checkers.py`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.material import PUBLIC, chain_of, wire

from tallystick.errors import LimitError
from tallystick.limits import WORKERS_MAX
from tallystick.verify import batch, checkers, workers
from tallystick.verify.receipt import examine_all
from tallystick.verify.verification import verify_chain
from tallystick.verify.workers import tried

ROOT = Path(__file__).resolve().parents[3]
ALONE = workers._BATCHES_ALONE * batch.BATCH_ITEMS
# Batches are shorter where receipts are longer.
SOUND = [wire(one) for one in chain_of(ALONE + 100)]


@pytest.mark.parametrize("count", [1, 2, 7])
@pytest.mark.parametrize("length", [0, 1, 31, 32, 33, len(SOUND)])
def test_each_is_told_at_its_place(count: int, length: int) -> None:
    """However many processes there are, receipts come out in order, tried under their key."""
    told = list(tried(SOUND[:length], examine_all, lambda _: PUBLIC, count))
    assert [one.digest for one in told] == [one.digest for one in examine_all(SOUND[:length])]
    assert all(one.fits_tried_key for one in told)


def test_others_start_only_for_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few receipts are checked here before another process has started."""

    def fail() -> None:
        raise AssertionError("started")

    monkeypatch.setattr(checkers, "CheckerProcess", fail)
    assert verify_chain(SOUND[: ALONE // 2], PUBLIC, workers=7).verified
    assert verify_chain(SOUND, PUBLIC, workers=1).verified
    with pytest.raises(AssertionError, match="started"):
        verify_chain(SOUND, PUBLIC, workers=2)


def test_a_fault_of_the_source_is_raised() -> None:
    """An error while reading comes after what was read in whole batches before."""

    def raws() -> Iterator[bytes]:
        yield from SOUND[:100]
        raise OSError("gone")

    told = tried(raws(), examine_all, lambda _: PUBLIC, 1)
    first = [next(told) for _ in range(batch.BATCH_ITEMS // 2)]
    assert len(first) == batch.BATCH_ITEMS // 2
    with pytest.raises(OSError, match="gone"):
        list(told)


@pytest.mark.parametrize("count", [0, -1, WORKERS_MAX + 1])
def test_the_number_has_bounds(count: int) -> None:
    """No workers, or too many, is a mistake of the caller."""
    with pytest.raises(LimitError, match="workers"):
        verify_chain(SOUND, PUBLIC, workers=count)


def test_one_process_needs_nothing_of_several() -> None:
    """Who verifies alone does not load what starts processes and waits for them."""
    code = (
        "import sys\n"
        "from tests.material import PUBLIC, chain_of, lines\n"
        "before = set(sys.modules)\n"
        "from tallystick import verify_chain\n"
        "assert verify_chain(lines(chain_of(3)), PUBLIC, workers=9)\n"
        "assert not {'subprocess', 'selectors', 'select'} & (set(sys.modules) - before)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
