# SPDX-License-Identifier: Apache-2.0
"""What is drafted is written in its order, and nothing behind a gap."""

from __future__ import annotations

import threading
import time

import pytest

from tallystick.daemon.unwritten import Unwritten
from tallystick.errors import StoreStoppedError


def test_they_are_written_in_their_order() -> None:
    """One that was dropped is a gap: all behind it are refused."""
    unwritten = Unwritten()
    one, two, three = (unwritten.draft() for _ in range(3))
    unwritten.check(one)
    unwritten.note_written(one)
    for late in (three, one):
        with pytest.raises(StoreStoppedError, match="dropped before this one"):
            unwritten.check(late)
    unwritten.check(two)


def waiting(unwritten: Unwritten) -> threading.Thread:
    """Return a thread that waits until all is written, and is seen to wait."""
    thread = threading.Thread(target=unwritten.wait)
    thread.start()
    time.sleep(0.05)
    return thread


def test_who_waits_goes_on_when_all_is_written() -> None:
    """Not before; and where there is nothing, at once."""
    unwritten = Unwritten()
    unwritten.wait()
    one, two = unwritten.draft(), unwritten.draft()
    thread = waiting(unwritten)
    unwritten.note_written(one)
    time.sleep(0.05)
    assert thread.is_alive()
    unwritten.note_written(two)
    thread.join(20)
    assert not thread.is_alive()


def test_nobody_waits_for_what_will_not_come() -> None:
    """Be it given up before or after."""
    unwritten = Unwritten()
    unwritten.draft()
    thread = waiting(unwritten)
    assert thread.is_alive()
    unwritten.give_up()
    thread.join(20)
    assert not thread.is_alive()
    unwritten.wait()
