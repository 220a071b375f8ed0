# SPDX-License-Identifier: Apache-2.0
"""Many rows for SQLite in one statement that is given each column as one long value.

The interpreter's lock is needed for each value that is bound and after each statement, and other
threads want it, too. SQLite cuts the columns up while it inserts, and needs no lock for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import accumulate, chain
from typing import Final, NamedTuple, cast

# An integer in decimal; and where a value begins, and how long it is.
_INTEGER: Final = "%20d"
_PLACE: Final = "%10d%10d"
_INTEGERS: Final = range(-(2**63), 2**63)

# How row `i` has its value from what is bound for a column.
_SAME: Final = "?"
_COUNTED: Final = "? + i"
_NUMBERS: Final = "CAST(substr(?, i * 20 + 1, 20) AS INTEGER)"
_EVEN: Final = "substr(?, i * ? + 1, ?)"
_UNEVEN: Final = (
    "substr(?, CAST(substr(?, i * 20 + 1, 10) AS INTEGER), "
    "CAST(substr(?, i * 20 + 11, 10) AS INTEGER))"
)


class _Packed(NamedTuple):
    """A column: how each row has its value, from what is bound for all of them."""

    cell: str
    values: tuple[object, ...]


def packed_insertion(
    head: str, columns: Sequence[Sequence[object]], tail: str, bytes_max: int
) -> tuple[str, list[object]] | None:
    """Return one statement that inserts all rows, and its values.

    None where a column holds other things than integers or bytes, or more bytes than that.
    """
    cells: list[str] = []
    count = len(columns[0])
    values: list[object] = [count]
    for column in columns:
        if len(column) != count:
            raise ValueError("the columns are not of one length")
        packed = _packed(column, bytes_max)
        if packed is None:
            return None
        cells.append(packed.cell)
        values += packed.values
    return _statement(head, tuple(cells), tail), values


@cache
def _statement(head: str, cells: tuple[str, ...], tail: str) -> str:
    return (
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?) "
        # Without a WHERE, SQLite takes an ON of the tail for one of a join.
        f"{head} SELECT {', '.join(cells)} FROM n WHERE true {tail}"
    )


def _packed(column: Sequence[object], bytes_max: int) -> _Packed | None:
    first = column[0]
    if type(column) is range and column.step == 1:
        return _Packed(_COUNTED, (first,))
    kinds = {*map(type, column)}
    if kinds == {int}:
        if column.count(first) == len(column):
            return _Packed(_SAME, (first,))
        return _packed_integers(cast("Sequence[int]", column))
    if kinds == {bytes}:
        if column[-1] is first and column.count(first) == len(column):
            return _Packed(_SAME, (bytearray(cast("bytes", first)),))
        return _packed_bytes(cast("Sequence[bytes]", column), bytes_max)
    return None


def _packed_integers(column: Sequence[int]) -> _Packed | None:
    if min(column) not in _INTEGERS or max(column) not in _INTEGERS:
        return None  # SQLite would take the nearest that it has
    text = _INTEGER * len(column) % tuple(column)
    return _Packed(_NUMBERS, (bytearray(text, "ascii"),))


def _packed_bytes(column: Sequence[bytes], bytes_max: int) -> _Packed | None:
    sizes = [*map(len, column)]
    if sum(sizes) > bytes_max:
        return None
    # As a `bytearray` it binds at once; for `bytes` the module looks for an adapter first.
    whole = bytearray().join(column)
    if sizes.count(sizes[0]) == len(sizes):
        return _Packed(_EVEN, (whole, sizes[0], sizes[0]))
    starts = accumulate(sizes[:-1], initial=1)
    both = tuple(chain.from_iterable(zip(starts, sizes, strict=True)))
    places = bytearray(_PLACE * len(sizes) % both, "ascii")
    return _Packed(_UNEVEN, (whole, places, places))
