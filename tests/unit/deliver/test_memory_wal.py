# SPDX-License-Identifier: Apache-2.0
"""The log in memory: order, dead letters, a bound."""

from __future__ import annotations

import pytest
from tests.deliveries import receipts

from tallystick.deliver.memory_wal import MemoryWal
from tallystick.errors import WalFullError
from tallystick.ports import Wal


def test_it_is_a_log() -> None:
    """What is appended is pending, oldest first, until it is removed."""
    with MemoryWal() as wal:
        assert isinstance(wal, Wal)
        for receipt in receipts(3):
            wal.append(receipt)
        wal.append(receipts(1)[0])
        assert list(wal.pending()) == receipts(3)
        wal.remove(receipts(2)[1].id)
        wal.remove("unknown")
        assert [receipt.link.sequence for receipt in wal.pending()] == [1, 3]
        assert len(wal) == 2
        assert repr(wal) == "MemoryWal(2 pending)"


def test_what_is_set_aside_is_not_pending() -> None:
    """It is a dead letter until it is removed, or appended again, last."""
    wal = MemoryWal()
    for receipt in receipts(3):
        wal.append(receipt)
    wal.set_aside(receipts(1)[0].id, "no")
    wal.set_aside("unknown", "no")
    wal.set_aside(receipts(2)[1].id, "x" * 10_000)
    assert [receipt.link.sequence for receipt in wal.pending()] == [3]
    first, second = wal.dead_letters()
    assert (first.reason, first.receipt()) == ("no", receipts(1)[0])
    assert len(second.reason) == 500
    wal.append(receipts(1)[0])
    assert [receipt.link.sequence for receipt in wal.pending()] == [3, 1]
    wal.remove(receipts(2)[1].id)
    assert wal.dead_letters() == ()


def test_it_is_bounded() -> None:
    """Pending receipts and dead letters count; what is removed makes room."""
    size = len(receipts(1)[0].to_json())
    wal = MemoryWal(size_max=2 * size + 100)
    wal.append(receipts(1)[0])
    wal.append(receipts(2)[1])
    wal.set_aside(receipts(1)[0].id, "no")
    with pytest.raises(WalFullError, match=r"is full: 1 receipts in it wait"):
        wal.append(receipts(3)[2])
    wal.append(receipts(1)[0])
    for receipt in receipts(2):
        wal.remove(receipt.id)
    for receipt in receipts(2):
        wal.append(receipt)
    assert len(wal) == 2


def test_pending_is_what_it_was_when_asked() -> None:
    """What is removed meanwhile is left out, what is added meanwhile is not seen."""
    wal = MemoryWal()
    for receipt in receipts(3):
        wal.append(receipt)
    seen = []
    for receipt in wal.pending():
        seen.append(receipt.link.sequence)
        wal.remove(receipts(2)[1].id)
        wal.append(receipts(4)[3])
    assert seen == [1, 3]
