# SPDX-License-Identifier: Apache-2.0
"""Links, heads and delegation: a receipt's place by itself."""

from __future__ import annotations

from itertools import product
from typing import Literal

import pytest

from tallystick.errors import ReceiptError
from tallystick.limits import IDENTIFIER_CHARS_MAX, JSON_INTEGER_MAX
from tallystick.model.chain import Delegation, Head, Link, is_ordinary, link_faults

DIGEST = "sha256:" + "a" * 64


def link(
    sequence: int = 1,
    previous: str | None = None,
    terminal: bool | None = None,
    status: Literal["complete", "interrupted"] | None = None,
) -> Link:
    return Link(
        chain_id="c",
        sequence=sequence,
        previous_receipt_hash=previous,
        terminal=terminal,
        status=status,
    )


def test_a_new_chain_begins_with_a_null() -> None:
    """Before the first receipt there is no hash, and the wire says so with a null."""
    first = Head(chain_id="c").link()
    assert first == link()
    assert first.to_dict() == {"chain_id": "c", "previous_receipt_hash": None, "sequence": 1}


def test_a_head_gives_the_next_link() -> None:
    """The next receipt has the next sequence and names the head's hash."""
    head = Head(chain_id="c", sequence=4, hash=DIGEST)
    assert head.link() == link(5, DIGEST)
    assert head.link(terminal=True, status="interrupted") == link(5, DIGEST, True, "interrupted")
    assert head.link(terminal=False).terminal is None


@pytest.mark.parametrize(
    ("found", "codes"),
    [
        (link(), []),
        (link(2, DIGEST), []),
        (link(2, DIGEST, True), []),
        (link(2, DIGEST, True, "complete"), []),
        (link(1, None, True, "interrupted"), []),
        (link(1, DIGEST), ["CHAIN_GENESIS_HASH"]),
        (link(2), ["CHAIN_LINK_MISSING"]),
        (link(2, DIGEST, False), ["FIELD_VALUE"]),
        (link(2, DIGEST, None, "complete"), ["CHAIN_STATUS_WITHOUT_TERMINAL"]),
        (
            link(1, DIGEST, False, "complete"),
            ["CHAIN_GENESIS_HASH", "FIELD_VALUE", "CHAIN_STATUS_WITHOUT_TERMINAL"],
        ),
    ],
)
def test_each_rule_of_a_link(found: Link, codes: list[str]) -> None:
    """Each rule that a link breaks within itself has its finding, and all are found."""
    assert [code for code, _, _ in link_faults(found)] == codes
    members = {member for _, member, _ in link_faults(found)}
    assert members <= set(Link.__struct_fields__)


def test_ordinary_links_have_no_faults() -> None:
    """The quick check never passes a link that the rules object to."""
    statuses: tuple[Literal["complete"] | None, ...] = (None, "complete")
    for sequence, previous, terminal, status in product(
        (1, 2), (None, DIGEST), (None, True, False), statuses
    ):
        one = link(sequence, previous, terminal, status)
        assert not (is_ordinary(one) and link_faults(one))
    assert is_ordinary(link())
    assert is_ordinary(link(2, DIGEST))


@pytest.mark.parametrize("sequence", [1, JSON_INTEGER_MAX])
def test_sequences_at_their_bounds(sequence: int) -> None:
    """Sequences go from 1 to the largest integer of JSON."""
    members = {"chain_id": "c", "previous_receipt_hash": None, "sequence": sequence}
    assert Link.from_dict(members).sequence == sequence


@pytest.mark.parametrize("sequence", [0, -1, JSON_INTEGER_MAX + 1, "1", 1.0, True, None])
def test_sequences_out_of_bounds(sequence: object) -> None:
    """What is no such number is refused, also where Python would take it for one."""
    with pytest.raises(ReceiptError):
        Link.from_dict({"chain_id": "c", "previous_receipt_hash": None, "sequence": sequence})


def test_the_previous_hash_is_never_left_out() -> None:
    """A link without the member is refused: absent is not null."""
    with pytest.raises(ReceiptError, match="previous_receipt_hash"):
        Link.from_dict({"chain_id": "c", "sequence": 1})


def test_chain_ids_at_their_bound() -> None:
    """A chain's name has so many characters, and not one more."""
    members = {"previous_receipt_hash": None, "sequence": 1}
    longest = {**members, "chain_id": "c" * IDENTIFIER_CHARS_MAX}
    assert Link.from_dict(longest).to_dict() == longest
    with pytest.raises(ReceiptError):
        Link.from_dict({**members, "chain_id": "c" * (IDENTIFIER_CHARS_MAX + 1)})


def test_delegation_names_its_parent() -> None:
    """Delegator, chain and receipt are all there, or it is none."""
    members = {
        "delegator": {"id": "did:agent:p"},
        "parent_chain_id": "p",
        "parent_receipt_id": "urn:receipt:00000000-0000-0000-0000-000000000000",
    }
    assert Delegation.from_dict(members).to_dict() == members
    for name in members:
        with pytest.raises(ReceiptError):
            Delegation.from_dict({key: members[key] for key in members if key != name})
