# SPDX-License-Identifier: Apache-2.0
"""What passes between a collector, its log and its store: facts that nobody changes on the way."""

from __future__ import annotations

import msgspec
import pytest

from tallystick.model import submission
from tallystick.model.submission import Batch, Intent

FACTS = [
    kind
    for kind in vars(submission).values()
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct)
]


def test_facts_are_frozen() -> None:
    """A place that was given, or a checkpoint that was intended, stays what it was."""
    assert len(FACTS) >= 6
    assert all(kind.__struct_config__.frozen for kind in FACTS)
    batch = Batch(4, 8, 1000, bytes(32))
    with pytest.raises(AttributeError):
        batch.start = 5  # type: ignore[misc]
    assert batch == Batch(4, 8, 1000, bytes(32))


def test_an_intent_has_no_note_before_it_is_signed() -> None:
    """Durable first, signed after: the note comes with a value of its own."""
    intent = Intent(number=1, time_s=5, size=8, root=bytes(32))
    assert intent.note is None
    signed = msgspec.structs.replace(intent, note=b"note")
    assert (intent.note, signed.note) == (None, b"note")
