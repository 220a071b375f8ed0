# SPDX-License-Identifier: Apache-2.0
"""Facts: frozen, closed, and `None` means absent."""

from __future__ import annotations

import pytest
from tests.material import envelope

from tallystick.errors import ReceiptError
from tallystick.model.action import Outcome, StateChange, Target
from tallystick.model.fact import told

DIGEST = "sha256:" + "a" * 64


def test_members_come_and_go_by_the_protocols_names() -> None:
    """`from_dict` and `to_dict` are inverse, nested values included."""
    members = {
        "response_disclosure": envelope(),
        "state_change": {"after_hash": DIGEST, "before_hash": DIGEST},
        "status": "success",
    }
    outcome = Outcome.from_dict(members)
    assert outcome.state_change == StateChange(after_hash=DIGEST, before_hash=DIGEST)
    assert outcome.to_dict() == members


def test_absent_members_are_not_written() -> None:
    """`None` is not a null on the wire but no member at all."""
    assert Outcome(status="success").to_dict() == {"status": "success"}
    assert Target().to_dict() == {}


def test_facts_do_not_change() -> None:
    """A fact's members cannot be set, and equal facts are one fact."""
    target = Target(system="s")
    with pytest.raises(AttributeError):
        target.system = "t"  # type: ignore[misc]  # that it is refused is the test
    assert target == Target(system="s")
    assert hash(target) == hash(Target(system="s"))


@pytest.mark.parametrize(
    ("members", "where", "word"),
    [
        ({"status": "success", "colour": "red"}, "", "colour"),
        ({"status": 1}, "/status", "str"),
        ({"status": "maybe"}, "/status", "maybe"),
        ({}, "", "status"),
        (
            {"status": "success", "state_change": {"after_hash": 1, "before_hash": ""}},
            "/state_change/after_hash",
            "str",
        ),
        (
            {"status": "success", "response_disclosure": {**envelope(), "recipients": [1]}},
            "/response_disclosure/recipients/0",
            "object",
        ),
        ([], "", "object"),
        (None, "", "object"),
    ],
)
def test_refusals_name_the_place(members: object, where: str, word: str) -> None:
    """What is no such fact is refused with the JSON Pointer of the fault."""
    with pytest.raises(ReceiptError, match=word) as caught:
        Outcome.from_dict(members)
    assert caught.value.where == where


def test_a_circle_is_refused() -> None:
    """A dict that holds itself ends in a refusal, not in a crash."""
    circle: dict[str, object] = {}
    circle["state_change"] = circle
    with pytest.raises(ReceiptError):
        Outcome.from_dict(circle)


def test_told_reads_messages_without_a_place() -> None:
    """A message that names no place is passed on whole."""
    assert told(ValueError("no place")) == ("no place", "")
    assert told(ValueError("bad - at `$.a[3].b`")) == ("bad", "/a/3/b")
