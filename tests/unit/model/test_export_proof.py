# SPDX-License-Identifier: Apache-2.0
"""The file that goes with an export: what it holds, and what is none."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from tallystick.errors import RefusedInput
from tallystick.limits import ARCHIVED_KEYS_MAX
from tallystick.model.export_proof import (
    ExportedChain,
    ExportProof,
    HandOver,
    read_export_proof,
)

CHAIN = ExportedChain(
    chain_id="day", closed=True, head="sha256:" + "a" * 64, length=3, sequence=3, stored=True
)
PROOF = ExportProof(
    chains=(CHAIN,),
    hand_overs=(HandOver(behind="{}", outgoing="{}"),),
    keys=("did:key:z6Mk",),
    receipts=3,
)


def test_it_is_read_as_it_was_written() -> None:
    """All of it, and it says what it is."""
    data = PROOF.encoded()
    assert read_export_proof(data) == PROOF
    assert json.loads(data)["format"] == "tally-export/v1"
    assert PROOF.stored() == {"day"}


def test_a_hand_over_that_is_no_text_can_be_written_and_read() -> None:
    """A store whose bytes were changed is exported all the same, and refused by who verifies it."""
    strange = msgspec.structs.replace(PROOF, hand_overs=(HandOver.of(b'{"\xff', b"\x00\xed\xa0"),))
    assert read_export_proof(strange.encoded()) == strange
    assert HandOver.of("{é".encode(), b"{}") == HandOver(outgoing="{é", behind="{}")


def changed(**members: Any) -> bytes:
    """Return a proof with some members changed; None leaves one out."""
    told = {**json.loads(PROOF.encoded()), **members}
    return json.dumps({name: value for name, value in told.items() if value is not None}).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'"x"',
        PROOF.encoded() + b"{}",
        b"[" * 10_000,
        changed(format="tally-export/v2"),
        changed(format=None),
        changed(chains=None),
        changed(receipts=-1),
        changed(receipts=True),
        changed(receipts="3"),
        changed(more=1),
        changed(keys=["x" * 2000]),
        changed(keys=["x"] * (ARCHIVED_KEYS_MAX + 1)),
        changed(hand_overs=[{"outgoing": "{}"}]),
        changed(chains=[{**CHAIN.to_dict(), "head": "abc"}]),
        changed(chains=[{**CHAIN.to_dict(), "length": 0}]),
        changed(chains=[{**CHAIN.to_dict(), "stored": 1}]),
        changed(chains=[CHAIN.to_dict(), CHAIN.to_dict()]),
        changed().replace(b'"receipts"', b'"receipts": 3, "receipts"'),
    ],
)
def test_what_is_none_is_refused(data: bytes) -> None:
    """By one kind of error, whatever is wrong with it."""
    with pytest.raises(RefusedInput):
        read_export_proof(data)
