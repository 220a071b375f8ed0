# SPDX-License-Identifier: Apache-2.0
"""The common root of the protocol's values: frozen, keyword-only, closed, nulls never written."""

from __future__ import annotations

from typing import Any, Self

import msgspec

from tallystick.errors import ReceiptError


class Fact(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    gc=False,  # plain trees: there is no cycle to look for
):
    """A value whose members are spelled as in the protocol; `None` means absent.

    Subclasses repeat `kw_only=True`, which msgspec does not hand down, and `frozen=True`, which
    type checkers want to see.
    """

    @classmethod
    def from_dict(cls, members: object) -> Self:
        """Return the value that `members` (the protocol's own names) describe, or refuse them."""
        try:
            return msgspec.convert(members, type=cls)
        except (msgspec.ValidationError, RecursionError) as fault:
            raise ReceiptError(*told(fault)) from None

    def to_dict(self) -> dict[str, Any]:
        """Return the plain dict in the protocol's own field names, absent members left out."""
        members: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return members


def told(fault: BaseException) -> tuple[str, str]:
    """Return message and JSON Pointer of what msgspec says of a value."""
    message, _, path = str(fault).rpartition(" - at `")
    if not message:
        return str(fault), ""
    pointer = path.rstrip("`").removeprefix("$").replace("[", ".").replace("]", "")
    return message, pointer.replace(".", "/")
