# SPDX-License-Identifier: Apache-2.0
"""Portions between two processes, and which frames are stated ahead of their place."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.frames import body
from tests.ledgers import ISSUER, NOON_MS, PEER
from tests.portions import (
    PRINCIPAL,
    SETTINGS,
    TANGO,
    here,
    ids,
    mixed_bodies,
    plain_frame,
    portion_of,
    unusual_bodies,
    usual_bodies,
)

from tallystick.chain.gapped import Gap, filled
from tallystick.chain.straight import state_straight
from tallystick.daemon.disclosing import parse_policy
from tallystick.daemon.drafting import draft_receipt
from tallystick.daemon.portion import (
    Answer,
    Statement,
    encoded,
    ids_in,
    new_gap,
    state,
    statements_of,
)
from tallystick.daemon.portion import portion_of as portion_in
from tallystick.daemon.terms import Terms, draft_settings_of
from tallystick.keys.forensic import generate_forensic_key_pair
from tallystick.model.chain import Head
from tallystick.store.ledger import row_around

UNUSUAL = unusual_bodies()
LINK = Head(chain_id="c", sequence=6, hash="sha256:" + "a" * 64).link()
USUAL: dict[str, dict[str, Any]] = {
    "the usual one": {},
    "one that asks": {"ack": True},
    "no server, no input": {"tool": {"name": "t"}, "input": None},
    "a failure": {"error": "no such file", "decision": "denied"},
    "one that waits": {"decision": "pending"},
    "a known type": {"action_type": "filesystem.file.delete"},
    "all of its texts": {
        "agent_type": "a", "capture_method": "b", "correlation_id": "ä", "idempotency_key": "d",
        "issuer_model": "e", "issuer_name": "f", "model": "g", "operator_id": "h",
        "output": {"isError": True}, "prompt_preview": "p" * 9000, "target_resource": "/a",
        "target_system": "x", "rule": {"name": "r"},
    },
    "plain numbers": {"usage": {"input_tokens": 7, "all": [1, None, True]}, "input": [0.5]},
    "losses that are none": {"drop_count": 0, "late": False},
}  # fmt: skip


def test_a_question_is_read_as_it_was_asked() -> None:
    """All of its members, whatever bytes the bodies are."""
    portion = portion_of([b"", b"\0\xff", *mixed_bodies()], number=2**40, moment_ms=0)
    assert portion_in(encoded(portion)) == portion


def test_an_answer_is_read_as_it_was_given() -> None:
    """Of each frame its statement, or nothing."""
    portion = portion_of(mixed_bodies())
    stated = here(portion)
    assert {type(one) for one in stated} == {Statement, type(None)}
    assert statements_of(encoded(Answer(portion.number, stated)), portion) == stated


@pytest.fixture
def answered() -> list[Any]:
    """An answer to two frames, taken apart."""
    portion = portion_of([body(), b"junk"])
    found: list[Any] = msgspec.msgpack.decode(encoded(Answer(1, here(portion))))
    return found


@pytest.mark.parametrize("name", ["number", "too few", "too many", "none"])
def test_an_answer_to_something_else_is_none(answered: list[Any], name: str) -> None:
    """It is to this very portion, and tells of each of its frames."""
    number, (stated, nothing) = answered
    changed: dict[str, Any] = {
        "number": [number + 1, [stated, nothing]],
        "too few": [number, [stated]],
        "too many": [number, [stated, nothing, nothing]],
        "none": [number, []],
    }
    with pytest.raises(ValueError, match="to something else"):
        statements_of(msgspec.msgpack.encode(changed[name]), portion_of([body(), b"junk"]))


@pytest.mark.parametrize(
    "name", ["a map", "a text", "a column too few", "text for bytes", "number as text", "a bool"]
)
def test_an_answer_of_another_form_is_none(answered: list[Any], name: str) -> None:
    """Nothing is made of it."""
    number, (stated, nothing) = answered
    changed: dict[str, Any] = {
        "a map": {"number": number},
        "a text": [number, ["x", nothing]],
        "a column too few": [number, [stated[:-1], nothing]],
        "text for bytes": [number, [[*stated[:2], 7, *stated[3:]], nothing]],
        "number as text": ["1", [stated, nothing]],
        "a bool": [number, [[1, *stated[1:]], nothing]],
    }
    with pytest.raises(ValueError, match="another form"):
        statements_of(msgspec.msgpack.encode(changed[name]), portion_of([body(), b"junk"]))


@pytest.mark.parametrize("cut", [0, 1, -1])
def test_bytes_that_are_no_answer_are_none(answered: list[Any], cut: int) -> None:
    """Half an answer, and more than one, are none; nor are texts that are no text."""
    portion, piece = portion_of([body(), b"junk"]), msgspec.msgpack.encode(answered)
    for wrong in (piece[:cut], piece + piece, piece.replace(b"urn:receipt", b"\xffrn:receipt")):
        with pytest.raises(ValueError, match=r"."):
            statements_of(wrong, portion)
    assert statements_of(piece, portion)[1] is None


@pytest.mark.parametrize("name", USUAL)
def test_what_is_stated_is_what_the_daemon_states(name: str) -> None:
    """Filled in, it is the very statement, and its row's columns are that one's."""
    one = body(**USUAL[name])
    portion = portion_of([one])
    stated = state(one, portion, SETTINGS, new_gap(), ids())
    assert stated is not None
    frame = plain_frame(one).frame
    draft: Any = draft_receipt(frame, PEER, PRINCIPAL, SETTINGS, is_parsed=True)
    there = state_straight(chain=LINK, moment=portion.moment, ids=ids(), **draft)
    assert filled(stated.before, LINK, stated.after) == (there.statement, there.hash)
    first, last = row_around(there.receipt_id, there.subject, draft["issuer"], there.hash)
    assert first == (
        stated.receipt_id, "c", 7, stated.action_type, stated.tool_name, stated.risk_level,
        stated.status, portion.moment, ISSUER, PRINCIPAL,
    )  # fmt: skip
    assert last == (there.hash, LINK.previous_receipt_hash, stated.session_id, 0)
    assert stated.asks is frame.ack
    made = ids()
    assert ids_in(stated) == (made(), made())


@pytest.mark.parametrize("name", UNUSUAL)
def test_what_is_unusual_is_for_who_asked(name: str) -> None:
    """Refusals, losses, agents, secrets and odd numbers: nothing is said of them."""
    one = UNUSUAL[name]
    assert state(one, portion_of([one]), SETTINGS, new_gap(), ids()) is None


def test_what_is_sealed_is_for_who_asked() -> None:
    """What a policy elects is not stated ahead; what it does not elect is."""
    terms = Terms(
        issuer_id=ISSUER,
        parameters=parse_policy("filesystem.file.delete"),
        forensic_key=generate_forensic_key_pair().public_key,
    )
    settings = draft_settings_of(terms)
    grave, other = body(action_type="filesystem.file.delete"), body()
    stated = here(portion_of([grave, other]), settings)
    assert [one is None for one in stated] == [True, False]


def test_patterns_of_the_terms_hold() -> None:
    """A text that only the terms call a secret is for who asked."""
    one = portion_of([body(error="tango 12")])
    assert here(one, draft_settings_of(TANGO)) == [None]
    (stated,) = here(one)
    assert stated is not None
    assert b"tango 12" in stated.before + stated.after


def test_a_gap_is_known_to_nobody() -> None:
    """Each has a name of its own; whose is guessed is no gap, and no statement."""
    one = body(usage={"chain_id": "x", "previous_receipt_hash": None, "sequence": 1})
    stated = [state(one, portion_of([one]), SETTINGS, new_gap(), ids()) for _ in range(2)]
    assert stated[0] == stated[1] is not None
    assert new_gap().link != new_gap().link
    with pytest.raises(ValueError, match="another place"):
        state(one, portion_of([one]), SETTINGS, Gap("x"), ids())


def test_the_ids_of_a_statement_can_be_read() -> None:
    """Those that were drawn for its action and for itself; where they are none, it is refused."""
    (stated,) = here(portion_of([body()]))
    assert stated is not None
    first = "00000000-0000-7000-8000-000000000001"
    second = "00000000-0000-7000-8000-000000000002"
    assert ids_in(stated) == (first, second)
    no_version = stated.before.replace(b"-7000-8000-", b"-4000-8000-")
    upper = stated.receipt_id.replace("0000", "AAAA")
    for changed in (
        {"receipt_id": second},
        {"receipt_id": stated.receipt_id + "\n"},
        {"receipt_id": upper},
        {"before": no_version},
        {"before": b""},
        {"before": stated.before.replace(b"act_", b"act-")},
    ):
        with pytest.raises(ValueError, match="its ids are none"):
            ids_in(msgspec.structs.replace(stated, **changed))


def test_an_id_that_an_emitter_writes_is_not_taken() -> None:
    """What stands in a text behind the action is no id of it."""
    text = '"action":{"id":"act_11111111-1111-7111-8111-111111111111"'
    one = body(error=text, prompt_preview=text, usage={"action": {"id": text}})
    (stated,) = here(portion_of([one]))
    assert stated is not None
    assert ids_in(stated)[0].startswith("00000000")


def test_each_frame_has_its_own_moment_and_user() -> None:
    """What a portion says of them stands in all of its statements."""
    late = portion_of(usual_bodies(3), moment_ms=NOON_MS + 1)
    for one in here(late):
        assert one is not None
        assert b'"timestamp":"2026-03-10T12:00:00.001Z"' in one.before
        assert b'"issuanceDate":"2026-03-10T12:00:00.001Z"' in one.after
        assert PRINCIPAL.encode() in one.after
