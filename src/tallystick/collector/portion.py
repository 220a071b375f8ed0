# SPDX-License-Identifier: Apache-2.0
"""Lines of a batch on their way to the parser process, and what it found on its way back.

A question is a number and the lines; an answer is the same number, and for each line the columns
of a submission or the reason of a refusal. Neither tenant nor body comes back: who asks has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from tallystick.crypto.merkle import HASH_BYTES
from tallystick.model.submission import Submission
from tallystick.serve.problem import PROBLEMS, Refusal
from tallystick.verify.pieces import size_mark

Parsed = Submission | Refusal

_NUMBER_BYTES: Final = 8
_Digest = Annotated[bytes, msgspec.Meta(min_length=HASH_BYTES, max_length=HASH_BYTES)]
# Of a submission all but tenant and body.
_Columns = tuple[str, str, str, int | None, str, str | None, str, _Digest, _Digest]
# The number of the line, the name of the problem, its detail, and its members.
_Refused = tuple[int, str, str, dict[str, str]]
_Answer = tuple[int, list[_Columns | None], list[_Refused]]

_ENCODE: Final = msgspec.msgpack.Encoder().encode
_DECODE: Final = msgspec.msgpack.Decoder(_Answer).decode


def question(number: int, lines: Sequence[bytes]) -> bytes:
    """Return a portion as a framed piece; no line holds a line feed, and none is empty."""
    size = _NUMBER_BYTES + sum(map(len, lines)) + len(lines)
    return b"\n".join((size_mark(size) + number.to_bytes(_NUMBER_BYTES), *lines))


def lines_asked(piece: bytes) -> tuple[int, list[bytes]]:
    """Return number and lines of a question, whose frame has been taken off."""
    return int.from_bytes(piece[:_NUMBER_BYTES]), piece[_NUMBER_BYTES + 1 :].split(b"\n")


def answer(number: int, parsed: Sequence[Parsed]) -> bytes:
    """Return what was found, as a piece."""
    columns: list[_Columns | None] = []
    refused: list[_Refused] = []
    for at, one in enumerate(parsed):
        if isinstance(one, Refusal):
            columns.append(None)
            refused.append((at, one.name, one.detail, one.members or {}))
        else:
            columns.append(
                (
                    one.receipt_id,
                    one.issuer,
                    one.chain_id,
                    one.sequence,
                    one.action_type,
                    one.terminal,
                    one.receipt_hash,
                    one.digest,
                    one.id_hash,
                )
            )
    return _ENCODE((number, columns, refused))


def parsed_from(piece: bytes, number: int, tenant: str, lines: Sequence[bytes]) -> list[Parsed]:
    """Return what an answer says of these lines, or raise `ValueError` where it is none to them."""
    try:
        found, columns, refused = _DECODE(piece)
    except msgspec.MsgspecError as fault:
        raise ValueError("it has another form") from fault
    if found != number or len(columns) != len(lines):
        raise ValueError("it is to something else")
    refusals = {at: (name, detail, members) for at, name, detail, members in refused}
    if len(refusals) != len(refused) or len(refused) != columns.count(None):
        raise ValueError("it refuses something else")
    parsed: list[Parsed] = []
    for at, (one, line) in enumerate(zip(columns, lines, strict=True)):
        if one is None:
            name, detail, members = refusals.get(at, ("", "", {}))
            if name not in PROBLEMS:
                raise ValueError("it refuses for no reason that there is")
            parsed.append(Refusal(name, detail, members=members or None))
            continue
        (
            receipt_id,
            issuer,
            chain_id,
            sequence,
            action_type,
            terminal,
            receipt_hash,
            digest,
            id_hash,
        ) = one
        parsed.append(
            Submission(
                tenant=tenant,
                receipt_id=receipt_id,
                issuer=issuer,
                chain_id=chain_id,
                sequence=sequence,
                action_type=action_type,
                terminal=terminal,
                receipt_hash=receipt_hash,
                digest=digest,
                id_hash=id_hash,
                body=line,
            )
        )
    return parsed


def is_same(one: Parsed, other: Parsed) -> bool:
    """Whether two found the same in a line."""
    if isinstance(one, Refusal) or isinstance(other, Refusal):
        return (
            isinstance(one, Refusal)
            and isinstance(other, Refusal)
            and (one.name, one.detail, one.members or {})
            == (other.name, other.detail, other.members or {})
        )
    return one == other
