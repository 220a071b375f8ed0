# SPDX-License-Identifier: Apache-2.0
"""What goes with exported receipts, so that a stranger sees offline whether all of them are there.

It holds the head of each chain, which of them are all that a daemon has stored, and how its earlier
keys vouch for each other: each hand-over, and the receipt behind it that the next key signed.

Nobody signs it. Whoever gets it from where the receipts can't be changed, too, needs no more; to
everybody else it shows what was lost or changed since.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

import msgspec

from tallystick.crypto.strict import parse_json
from tallystick.errors import ReceiptError, RefusedInput
from tallystick.limits import (
    ARCHIVED_KEYS_MAX,
    EXPORT_PROOF_BYTES_MAX,
    EXPORT_PROOF_VALUES_MAX,
    IDENTIFIER_CHARS_MAX,
)
from tallystick.model.fact import Fact
from tallystick.model.shapes import HASH_PATTERN, Count, Identifier, Sequence, Sha256, matcher

_FORMAT: Final = "tally-export/v1"
_is_hash: Final = matcher(HASH_PATTERN)
_Key = Annotated[str, msgspec.Meta(max_length=IDENTIFIER_CHARS_MAX)]


class ExportedChain(Fact, frozen=True, kw_only=True):
    """One chain as it was exported."""

    chain_id: Identifier
    closed: bool
    head: Sha256
    length: Sequence
    sequence: Sequence
    # Whether it is one of those that have to be there together.
    stored: bool


class HandOver(Fact, frozen=True, kw_only=True):
    """The bytes of a receipt that hands over to another key, and of the one behind it."""

    behind: str
    outgoing: str

    @classmethod
    def of(cls, outgoing: bytes, behind: bytes) -> Self:
        """Return the hand-over in these bytes; what is no text is signed by nobody either way."""
        return cls(
            behind=behind.decode(errors="replace"), outgoing=outgoing.decode(errors="replace")
        )


class ExportProof(Fact, frozen=True, kw_only=True):
    """All of it."""

    chains: tuple[ExportedChain, ...]
    format: Literal["tally-export/v1"] = _FORMAT
    hand_overs: Annotated[tuple[HandOver, ...], msgspec.Meta(max_length=ARCHIVED_KEYS_MAX)] = ()
    # Earlier keys as did:key. Of themselves they count for nothing.
    keys: Annotated[tuple[_Key, ...], msgspec.Meta(max_length=ARCHIVED_KEYS_MAX)] = ()
    receipts: Count

    def stored(self) -> frozenset[str]:
        """Return the names of the chains that have to be there together."""
        return frozenset(one.chain_id for one in self.chains if one.stored)

    def encoded(self) -> bytes:
        """Return the content of its file."""
        members: dict[str, Any] = {"format": _FORMAT, **self.to_dict()}
        return msgspec.json.format(msgspec.json.encode(members), indent=1) + b"\n"


def read_export_proof(data: bytes) -> ExportProof:
    """Return what a file holds, or raise `RefusedInput` where it is none."""
    value = parse_json(data, EXPORT_PROOF_BYTES_MAX, EXPORT_PROOF_VALUES_MAX)
    if not isinstance(value, dict) or value.get("format") != _FORMAT:
        raise RefusedInput(f"is no {_FORMAT}")
    try:
        proof = ExportProof.from_dict(value)
    except ReceiptError as fault:
        raise RefusedInput(f"{fault.where or 'it'}: {fault}") from None
    if not all(map(_is_hash, (one.head for one in proof.chains))):
        raise RefusedInput("a head is no hash")
    names = [one.chain_id for one in proof.chains]
    if len(set(names)) != len(names):
        raise RefusedInput("names a chain twice")
    return proof
