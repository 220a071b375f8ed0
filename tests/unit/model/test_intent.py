# SPDX-License-Identifier: Apache-2.0
"""Intents: what is refused, and what an id is over."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest
import rfc8785
from tests.solving import asked, body, intent, signed

from tallystick.errors import IntentError, LimitError, MalformedInput
from tallystick.limits import INTENT_CRITERIA_MAX, JOB_TYPE_CHARS_MAX
from tallystick.model.intent import SIGNING_PREFIX, intent_of, parse_intent, signing_bytes


def test_an_id_is_the_hash_of_the_canonical_intent() -> None:
    """The id is the SHA-256 of the RFC 8785 form, made here by another implementation."""
    found = parse_intent(body())
    assert found.intent_id == sha256(rfc8785.dumps(asked())).hexdigest()
    assert found.intent_hash == "sha256:" + found.intent_id


@pytest.mark.parametrize(
    "change",
    [
        {"requester": "bob"},
        {"createdAt": "2026-03-04T05:00:00.0Z"},
        {"expiresAt": "2026-03-05T00:00:01Z"},
        {"expiresAt": None},
        {"jobType": "safe_report"},
        {"inputs": {"subject": "soil", "data": {"ph": 6.6}}},
        {"inputs": {"subject": "soil", "data": {"ph": 6.5, "__proto__": {"amount": 999}}}},
        {"constraints": {}},
        {"acceptanceCriteria": []},
        {"acceptanceCriteria": [{"type": "a"}]},
        {"meta": {"ticket": 1}},
        {"nonce": "2"},
    ],
)
def test_no_member_is_left_out_of_the_id(change: dict[str, Any]) -> None:
    """Two intents that differ in any member have two ids, where the reference had one."""
    assert intent(**change).intent_id != intent().intent_id


def test_the_signature_is_no_part_of_the_id() -> None:
    """Signing an intent does not make another one of it."""
    found = intent_of(signed())
    assert found.intent_id == intent().intent_id
    assert signing_bytes(found) == SIGNING_PREFIX + rfc8785.dumps(asked())


def test_spelling_does_not_count() -> None:
    """Space, the order of members and escapes are no part of what is asked."""
    value = asked()
    turned = json.dumps(dict(reversed(value.items())), indent=3, ensure_ascii=True).encode()
    assert parse_intent(turned).intent_id == intent().intent_id


def test_integer_like_keys_and_odd_names_keep_their_order() -> None:
    """Keys that a JavaScript object would reorder or lose are hashed like all others."""
    data = {"b": 1, "10": 2, "9": 3, "__proto__": 4, "constructor": 5}
    value = asked(inputs={"subject": "x", "data": data})
    assert intent_of(value).intent_id == sha256(rfc8785.dumps(value)).hexdigest()


@pytest.mark.parametrize(
    ("change", "code", "where"),
    [
        ({"priority": 1}, "INTENT_UNKNOWN_FIELD", ""),
        ({"intentId": "0" * 64}, "INTENT_UNKNOWN_FIELD", ""),
        ({"intentVersion": "0.1.0"}, "INTENT_VERSION", "/intentVersion"),
        ({"intentVersion": 1}, "INTENT_SHAPE", "/intentVersion"),
        ({"requester": ""}, "INTENT_SHAPE", "/requester"),
        ({"requester": "x" * 1025}, "INTENT_SHAPE", "/requester"),
        ({"createdAt": "yesterday"}, "INTENT_TIME", "/createdAt"),
        ({"createdAt": "2026-02-30T00:00:00Z"}, "INTENT_TIME", "/createdAt"),
        ({"expiresAt": "2026-03-05"}, "INTENT_TIME", "/expiresAt"),
        ({"expiresAt": 5}, "INTENT_SHAPE", "/expiresAt"),
        ({"jobType": "a b"}, "INTENT_SHAPE", "/jobType"),
        ({"jobType": "SAFE_REPORT\n"}, "INTENT_SHAPE", "/jobType"),
        ({"jobType": "A" * (JOB_TYPE_CHARS_MAX + 1)}, "INTENT_SHAPE", "/jobType"),
        ({"jobType": "../up"}, "INTENT_SHAPE", "/jobType"),
        ({"inputs": []}, "INTENT_SHAPE", "/inputs"),
        ({"acceptanceCriteria": [{}]}, "INTENT_SHAPE", "/acceptanceCriteria/0"),
        (
            {"acceptanceCriteria": [{"type": "a"}] * (INTENT_CRITERIA_MAX + 1)},
            "INTENT_SHAPE",
            "/acceptanceCriteria",
        ),
        ({"signature": {"scheme": "none", "value": ""}}, "INTENT_SHAPE", "/signature/scheme"),
        ({"signature": {"scheme": "ed25519"}}, "INTENT_SHAPE", "/signature"),
    ],
)
def test_refusals_are_named(change: dict[str, Any], code: str, where: str) -> None:
    """What is no intent is refused with a code and a place, also in members of ours within."""
    with pytest.raises(IntentError) as caught:
        intent_of(asked(**change))
    assert (caught.value.code, caught.value.where) == (code, where)


@pytest.mark.parametrize(
    ("name", "place"),
    [("expiresAt", ""), ("meta", ""), ("signature", ""), ("nonce", "")],
)
def test_null_is_no_second_spelling_of_absent(name: str, place: str) -> None:
    """A null would give one meaning two ids."""
    with pytest.raises(IntentError) as caught:
        intent_of({**asked(), name: None})
    assert (caught.value.code, caught.value.where) == ("INTENT_NULL", f"{place}/{name}")


@pytest.mark.parametrize(
    "missing", ["intentVersion", "requester", "createdAt", "jobType", "inputs"]
)
def test_required_members_are_required(missing: str) -> None:
    """An intent without them is none."""
    with pytest.raises(IntentError, match=missing):
        intent(**{missing: None})


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b'{"jobType":"A","jobType":"B"}', "MALFORMED_DUPLICATE_KEY"),
        (b'{"inputs":{"a":1e400}}', "MALFORMED_NUMBER"),
        (b'{"inputs":{"a":12345678901234567891}}', "MALFORMED_NUMBER"),
        (b"{} {}", "MALFORMED_TRAILING_DATA"),
        (b"\xff", "MALFORMED_ENCODING"),
        (b'{"meta":"\\ud800"}', "MALFORMED_SURROGATE"),
        (b"[" * 100, "MALFORMED_DEPTH"),
        (b"", "MALFORMED_JSON"),
    ],
)
def test_json_is_strict(data: bytes, code: str) -> None:
    """Two readers never see two intents in the same bytes."""
    with pytest.raises(MalformedInput) as caught:
        parse_intent(data)
    assert caught.value.code == code


def test_other_json_is_no_intent() -> None:
    """An array, a text or a number is refused by name."""
    for data in (b"[]", b'"a"', b"1", b"null"):
        with pytest.raises(IntentError, match="is not an object"):
            parse_intent(data)


def test_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """An intent over the limit is refused before it is parsed."""
    monkeypatch.setattr("tallystick.model.intent.INTENT_BYTES_MAX", 100)
    with pytest.raises((MalformedInput, LimitError), match="over the limit of 100"):
        parse_intent(body())


def test_values_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """So are the values in it."""
    monkeypatch.setattr("tallystick.model.intent.INTENT_VALUES_MAX", 5)
    with pytest.raises(MalformedInput, match="values"):
        parse_intent(body(inputs={"subject": "a", "data": {str(n): n for n in range(50)}}))
