# SPDX-License-Identifier: Apache-2.0
"""The emitter that only holds."""

from __future__ import annotations

from tests.deliveries import receipts

from tallystick import Emitter, InMemoryEmitter


def test_receipts_are_held_in_order() -> None:
    """What was emitted is there, as a copy that stays as it is."""
    emitter = InMemoryEmitter()
    assert isinstance(emitter, Emitter)
    assert emitter.acknowledges
    for receipt in receipts(3):
        emitter.emit(receipt)
    held = emitter.receipts
    assert held == tuple(receipts(3))
    assert repr(emitter) == "InMemoryEmitter(3 receipts)"
    emitter.clear()
    assert emitter.receipts == ()
    assert held == tuple(receipts(3))
