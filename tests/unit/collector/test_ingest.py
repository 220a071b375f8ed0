# SPDX-License-Identifier: Apache-2.0
"""What is stored of a body, and which bodies are refused: three ways, one answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from tests.material import full_statement, hash_of, signed, statement, wire, with_member

from tallystick.collector import ingest
from tallystick.collector.ingest import INTEGERS, parse_submission, parse_submissions
from tallystick.crypto.canonical import canonicalize
from tallystick.crypto.strict import parse_json
from tallystick.errors import MalformedInput
from tallystick.limits import BODY_BYTES_MAX, IDENTIFIER_CHARS_MAX, JSON_DEPTH_MAX, JSON_VALUES_MAX
from tallystick.model.receipt import Receipt
from tallystick.model.submission import Submission
from tallystick.serve.problem import Refusal
from tallystick.verify.receipt import examine

VECTORS = Path(__file__).parents[3] / "vectors" / "receipt"


def refused(body: bytes) -> Refusal:
    with pytest.raises(Refusal) as caught:
        parse_submission("t", body)
    assert caught.value.status == 400
    return caught.value


def spellings(value: Any) -> dict[str, bytes]:
    """Return the bytes that take each of the three ways."""
    shuffled = {name: value[name] for name in reversed(list(value))}
    return {
        "canonical": rfc8785.dumps(value),
        "compact": json.dumps(shuffled, separators=(",", ":"), ensure_ascii=False).encode(),
        "loose": json.dumps(value, indent=1).encode(),
    }


@pytest.mark.parametrize("make", [statement, full_statement])
def test_each_way_gives_the_same_columns(make: Any) -> None:
    """The spelling of a receipt changes its bytes and nothing else."""
    receipt = signed(make(3, "sha256:" + "a" * 64))
    found = []
    for body in spellings(receipt).values():
        one = parse_submission("t", body)
        assert one.body == body
        found.append({name: getattr(one, name) for name in one.__struct_fields__ if name != "body"})
    assert found[0] == found[1] == found[2]
    assert found[0]["digest"] == sha256(rfc8785.dumps(receipt)).digest()
    assert found[0]["receipt_hash"] == hash_of(receipt)
    assert found[0]["id_hash"] == sha256(receipt["id"].encode()).digest()
    assert (found[0]["sequence"], found[0]["issuer"]) == (3, "did:agent:a")


def test_the_three_ways_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Usual bytes never come to the strict parser; others do."""
    calls: list[str] = []
    strict = ingest._strict

    def noting(body: bytes) -> tuple[Any, bytes]:
        calls.append("s")
        return strict(body)

    monkeypatch.setattr(ingest, "_strict", noting)
    receipt = signed(statement())
    for name, body in spellings(receipt).items():
        parse_submission("t", body)
        assert calls == (["s"] if name == "loose" else [])


_LINES = [
    *spellings(signed(statement(2, "sha256:" + "a" * 64))).values(),
    *spellings(signed(full_statement(3, "sha256:" + "b" * 64))).values(),
    rfc8785.dumps(with_member(signed(statement(1, None)), "/id", "")),
    b"{}",
    b"not JSON",
    rfc8785.dumps(signed(statement(1, None))) * 2,
    b" ",
    b"",
]


@given(st.lists(st.sampled_from(_LINES), max_size=6))
def test_many_lines_are_read_as_each_by_itself(lines: list[bytes]) -> None:
    """What stands beside a line changes nothing of what is stored, or why it is refused."""
    for line, found in zip(lines, parse_submissions("t", lines), strict=True):
        try:
            alone: Submission | Refusal = parse_submission("t", line)
        except Refusal as refusal:
            alone = refusal
        if isinstance(alone, Refusal):
            assert isinstance(found, Refusal)
            assert (found.name, found.detail) == (alone.name, alone.detail)
        else:
            assert found == alone


def test_nulls_count_for_the_entry_and_not_for_the_hash() -> None:
    """`receipt_hash` is computed after the protocol's null rule, the digest before it."""
    receipt = signed(statement())
    nulled = json.loads(json.dumps(receipt))
    nulled["issuer"] |= {"session_id": None, "runtime": {"agent_id": None, "own": None}}
    nulled["credentialSubject"]["intent"] = None
    stripped = json.loads(json.dumps(receipt))
    stripped["issuer"]["runtime"] = {"own": None}
    for body in spellings(nulled).values():
        one = parse_submission("t", body)
        assert one.receipt_hash == hash_of(stripped)
        assert one.digest == sha256(rfc8785.dumps(nulled)).digest()
    only_runtime = signed({**statement(), "issuer": {"id": "i", "runtime": {"agent_type": None}}})
    without = {**only_runtime, "issuer": {"id": "i", "runtime": {}}}
    assert parse_submission("t", wire(only_runtime)).receipt_hash == hash_of(without)


@pytest.mark.parametrize(
    ("link", "sequence", "terminal"),
    [
        ({"sequence": 1}, 1, None),
        ({"sequence": 1, "terminal": True}, 1, "complete"),
        ({"sequence": 1, "terminal": True, "status": "interrupted"}, 1, "interrupted"),
        ({"sequence": 1, "terminal": True, "status": "odd"}, 1, "complete"),
        ({"sequence": 1, "terminal": False, "status": "complete"}, 1, None),
        ({"sequence": 0}, 0, None),
        ({"sequence": -1}, None, None),
        ({"sequence": True}, None, None),
        ({"sequence": "1"}, None, None),
        ({"sequence": 1.5}, None, None),
        ({"sequence": 2**53}, None, None),
        ({}, None, None),
    ],
)
def test_sequence_and_end_are_read_leniently(
    link: dict[str, Any], sequence: int | None, terminal: str | None
) -> None:
    """What is no sequence is none; nothing in a link is a reason to refuse."""
    receipt = signed(statement())
    receipt["credentialSubject"]["chain"] = {"chain_id": "c", **link}
    one = parse_submission("t", json.dumps(receipt).encode())
    assert (one.sequence, one.terminal) == (sequence, terminal)


@pytest.mark.parametrize("path", INTEGERS, ids="/".join)
@pytest.mark.parametrize("spelling", ["2.0", "2e0", "20e-1"])
def test_an_integer_has_one_spelling(path: tuple[str, ...], spelling: str) -> None:
    """Bytes that verifiers refuse can't take the place of the honest receipt of the same digest."""
    receipt = with_member(full_statement(), "/" + "/".join(path), 2)
    receipt = with_member(signed(receipt), "/unknown", 2.5)
    body = canonicalize(receipt)
    name = path[-1].encode()
    other = body.replace(b'"%s":2' % name, b'"%s":%s' % (name, spelling.encode()))
    assert other != body
    assert parse_submission("t", body).receipt_id == receipt["id"]
    with pytest.raises(Refusal, match=f"/{path[-1]} is an integer spelled as a fraction"):
        parse_submission("t", other)


def test_every_integer_of_the_protocol_is_known() -> None:
    """The paths are those of the schema that is read from our own types."""
    schema = msgspec.json.schema(Receipt)

    def integers(node: dict[str, Any], path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for stated in (node, *node.get("anyOf", ())):
            name = stated.get("$ref", "").rpartition("/")[2]
            choice = schema["$defs"][name] if name else stated
            if choice.get("type") == "integer":
                yield path
            for inner, member in choice.get("properties", {}).items():
                yield from integers(member, (*path, inner))

    assert sorted(integers(schema, ())) == sorted(INTEGERS)


@pytest.mark.parametrize(
    ("issuer", "read"),
    [({"id": "a"}, "a"), ("did:b", "did:b"), ({"id": 5}, ""), ({}, ""), ([], ""), (None, "")],
)
def test_an_issuer_may_be_anything(issuer: Any, read: str) -> None:
    """An issuer that can't be read is empty, and stored."""
    assert (
        parse_submission("t", json.dumps({**signed(statement()), "issuer": issuer}).encode()).issuer
        == read
    )


@pytest.mark.parametrize(
    "path",
    [
        ("id",),
        ("credentialSubject", "chain", "chain_id"),
        ("credentialSubject", "action", "type"),
        ("proof", "proofValue"),
    ],
)
@pytest.mark.parametrize("change", ["absent", "null", "empty", "number", "parent"])
def test_the_four_members_are_asked_for(path: tuple[str, ...], change: str) -> None:
    """Absent, null, empty or of another type: 400 with a pointer."""
    receipt: Any = json.loads(json.dumps(signed(statement())))
    place = receipt
    for step in path[:-1]:
        place = place[step]
    if change == "absent":
        del place[path[-1]]
    elif change == "parent" and len(path) > 1:
        parent = receipt
        for step in path[:-2]:
            parent = parent[step]
        parent[path[-2]] = 5
    else:
        place[path[-1]] = {"null": None, "empty": "", "number": 5}.get(change)
    refusal = refused(wire(receipt))
    assert refusal.name == "malformed-receipt"
    assert (refusal.members or {})["where"] == "/" + "/".join(path)


@pytest.mark.parametrize("text", ["x" * (IDENTIFIER_CHARS_MAX + 1), "a\0b"])
@pytest.mark.parametrize("name", ["id", "issuer", "chain_id", "type"])
def test_names_that_no_index_can_hold_are_refused(name: str, text: str) -> None:
    """Over the bound, or with a NUL, which databases cut texts at."""
    receipt: Any = json.loads(json.dumps(signed(statement())))
    if name == "id":
        receipt["id"] = text
    elif name == "issuer":
        receipt["issuer"]["id"] = text
    elif name == "chain_id":
        receipt["credentialSubject"]["chain"]["chain_id"] = text
    else:
        receipt["credentialSubject"]["action"]["type"] = text
    assert refused(rfc8785.dumps(receipt)).name == "malformed-receipt"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"\xff", "MALFORMED_ENCODING"),
        (b"\xef\xbb\xbf{}", "MALFORMED_ENCODING"),
        (b"nope", "MALFORMED_JSON"),
        (b'{"a":NaN}', "MALFORMED_NUMBER"),
        (b'{"a":0.10000000000000000001}', "MALFORMED_NUMBER"),
        (b'{"a":"\\ud800"}', "MALFORMED_SURROGATE"),
        (b'{"a":1,"a":1}', "MALFORMED_DUPLICATE_KEY"),
        (b'{"a":1e400,"b":1,"b":2}', "MALFORMED_NUMBER"),
        (b"[" * (JSON_DEPTH_MAX + 1) + b"]" * (JSON_DEPTH_MAX + 1), "MALFORMED_DEPTH"),
        (b"[" + b"0," * 70_000 + b"0]", "MALFORMED_SIZE"),
        (b"{} {}", "MALFORMED_TRAILING_DATA"),
    ],
)
def test_what_two_parsers_may_read_differently_is_refused(body: bytes, code: str) -> None:
    """The code is the verifier's own."""
    refusal = refused(body)
    assert refusal.name == "malformed-json"
    assert refusal.members == {"code": code}


@pytest.mark.parametrize("body", [b"", b"   ", b"\r\n"])
def test_nothing_is_told_apart_from_nonsense(body: bytes) -> None:
    """An empty body has a name of its own."""
    assert refused(body).name == "empty-body"


def test_no_way_lets_more_values_through() -> None:
    """Where verifiers refuse a receipt for its size, all its spellings are refused."""
    runtime = {"list": [0] * (JSON_VALUES_MAX + 1)}
    receipt = with_member(signed(statement()), "/issuer/runtime", runtime)
    for body in spellings(receipt).values():
        assert refused(body).members == {"code": "MALFORMED_SIZE"}
        assert [type(one) for one in parse_submissions("t", [body])] == [Refusal]
        assert [fault.code for fault in examine(body).faults] == ["MALFORMED_SIZE"]


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(extra=_VALUES, spaced=st.booleans())
def test_a_shorter_way_never_says_otherwise(extra: Any, spaced: bool) -> None:
    """For any value beside the four members, the quick way gives what the strict one gives."""
    receipt = {**signed(statement()), "extra": extra}
    body = json.dumps(receipt, separators=None if spaced else (",", ":"), ensure_ascii=False)
    try:
        data = body.encode()
    except UnicodeEncodeError:
        return
    try:
        expected: Submission | str = ingest._of_value(
            "t", data, *ingest._strict(data), canonicalize
        )
    except Refusal as refusal:
        expected = refusal.name
    try:
        found: Submission | str = parse_submission("t", data)
    except Refusal as refusal:
        found = refusal.name
    assert found == expected


@given(st.data())
def test_no_second_key_gets_through(data: st.DataObject) -> None:
    """A member that is there twice is refused, wherever it stands and however it is spelled."""
    body = wire(signed(statement()))
    places = [index for index in range(len(body)) if body[index : index + 1] == b"{"]
    at = data.draw(st.sampled_from(places)) + 1
    end = body.index(b'"', at + 1) + 1
    key = body[at:end]
    spelled = key[:1] + b"\\u%04x" % key[1] + key[2:] if data.draw(st.booleans()) else key
    twice = body[:at] + spelled + b":0," + body[at:]
    assert refused(twice).members == {"code": "MALFORMED_DUPLICATE_KEY"}


@pytest.mark.parametrize("case", sorted(VECTORS.iterdir()), ids=lambda path: path.name)
def test_vectors_are_stored_unless_they_are_no_receipts(case: Path) -> None:
    """What the verifier refuses as malformed is 400; all else is stored, with its hash."""
    body = next(case.glob("input.*")).read_bytes()
    try:
        value = parse_json(body, BODY_BYTES_MAX)  # the size is bounded at the door
    except MalformedInput as fault:
        expected = fault.code if body.strip() else None
        members = refused(body).members or {}
        assert members.get("code") == expected
        return
    one = _submission_or_none(body)
    if one is None:
        assert refused(body).name in ("malformed-receipt", "malformed-json")
        return
    assert one.digest == sha256(rfc8785.dumps(value)).digest()
    signed_bytes = examine(body).body
    if b"null" not in body and signed_bytes is not None:
        assert one.receipt_hash == "sha256:" + sha256(signed_bytes).hexdigest()


def _submission_or_none(body: bytes) -> Submission | None:
    try:
        return parse_submission("t", body)
    except Refusal:
        return None
