# SPDX-License-Identifier: Apache-2.0
"""Which methods do something."""

from __future__ import annotations

from tallystick.channels.mcp_methods import (
    ACTING,
    HOUSEKEEPING,
    KNOWN,
    OPERATIONS,
    is_disguised,
    operation_of,
)
from tallystick.model.taxonomy import TAXONOMY


def test_a_method_is_one_or_the_other() -> None:
    """None sets up and acts; each type that is named is one of the taxonomy."""
    assert not HOUSEKEEPING & ACTING.keys()
    assert HOUSEKEEPING | ACTING.keys() == KNOWN
    assert {kind for kind, _ in ACTING.values() if kind is not None} <= TAXONOMY.keys()


def test_operations() -> None:
    """Each type stands for one operation; what is none of the taxonomy's is `other`."""
    assert {operation_of(kind) for kind in TAXONOMY} | {"other"} == set(OPERATIONS)
    assert operation_of("filesystem.file.delete") == "delete"
    assert operation_of("communication.email.read") == "read"
    assert operation_of("system.command.execute") == "execute"
    assert operation_of("financial.payment.initiate") == "pay"
    assert operation_of("filesystem.file.modify") == "write"
    assert operation_of(None) == operation_of("mcp.x.y") == "other"


def test_disguises() -> None:
    """A known method in another spelling is none of its own."""
    assert all(map(is_disguised, ("Tools/Call", " tools/call", "tools/call\t", "PING", "ping\0x")))
    assert not any(map(is_disguised, ("tools/call", "ping", "vendor/thing")))
