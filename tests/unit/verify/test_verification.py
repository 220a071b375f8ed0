# SPDX-License-Identifier: Apache-2.0
"""The three questions: one receipt, one chain, any input; and what the caller expects."""

from __future__ import annotations

import io
import json
import tracemalloc
from typing import Any

import pytest
from tests.material import (
    CHAIN,
    KEY,
    METHOD,
    OTHER_KEY,
    PUBLIC,
    Members,
    array,
    chain_of,
    hash_of,
    lines,
    signed,
    statement,
    wire,
    with_member,
)

from tallystick.crypto.canonical import canonicalize
from tallystick.crypto.digest import sha256_tagged
from tallystick.errors import LimitError, UnreadableError
from tallystick.limits import (
    FINDINGS_MAX,
    JSON_DEPTH_MAX,
    RESPONSE_BYTES_MAX,
    RESPONSE_VALUES_MAX,
    WORKERS_MAX,
)
from tallystick.model.reader import parse_receipt
from tallystick.verify.report import Report
from tallystick.verify.source import Source
from tallystick.verify.verification import (
    Expectations,
    verify_chain,
    verify_input,
    verify_receipt,
)

S = "/credentialSubject"
THREE = chain_of(3)
ONE = THREE[0]


def closed(length: int) -> list[Members]:
    def close(one: Members, at: int) -> None:
        if at == length:
            one["credentialSubject"]["chain"]["terminal"] = True

    return chain_of(length, change=close)


def told(report: Report) -> tuple[str, list[str]]:
    return str(report.verdict), report.codes()


@pytest.mark.parametrize(
    "data",
    [
        wire(ONE),
        bytearray(wire(ONE)),
        memoryview(wire(ONE)),
        ONE,
        parse_receipt(wire(ONE)),
        array([ONE]),
        json.dumps(ONE, indent=2).encode(),
        b"\n" + wire(ONE) + b"\n\n",
    ],
)
def test_one_receipt_in_every_form(data: object) -> None:
    """A receipt verifies by itself, however it is given."""
    report = verify_receipt(data, KEY)
    assert report
    assert told(report) == ("verified", [])
    assert report.receipts == 1
    assert report.chains[0].head == hash_of(ONE)


def test_a_receipt_by_itself_may_stand_anywhere() -> None:
    """The place in the chain is not judged; whatever the receipt says of itself is."""
    for receipt in (*THREE, *closed(2)):
        assert verify_receipt(receipt, PUBLIC).verified
    genesis = signed(with_member(ONE, f"{S}/chain/previous_receipt_hash", hash_of(ONE)))
    assert told(verify_receipt(genesis, PUBLIC)) == ("refused", ["CHAIN_GENESIS_HASH"])


@pytest.mark.parametrize(
    ("data", "told_of_it"),
    [
        (b"", ("unchecked", ["NOTHING_TO_VERIFY"])),
        (b" \n", ("unchecked", ["NOTHING_TO_VERIFY"])),
        (b"[]", ("unchecked", ["NOTHING_TO_VERIFY"])),
        (lines(THREE), ("refused", ["MALFORMED_TRAILING_DATA"])),
        (array(THREE[:2]), ("refused", ["MALFORMED_TRAILING_DATA"])),
        (b"{}", ("refused", None)),
        (None, ("refused", ["MALFORMED_NOT_OBJECT"])),
        (json.dumps(ONE), ("refused", ["MALFORMED_NOT_OBJECT"])),
        ([ONE], ("refused", ["MALFORMED_NOT_OBJECT"])),
    ],
)
def test_one_receipt_is_exactly_one(data: object, told_of_it: tuple[str, list[str] | None]) -> None:
    """Nothing is not verified, and several are not one."""
    verdict, codes = told_of_it
    report = verify_receipt(data, PUBLIC)
    assert str(report.verdict) == verdict
    assert codes is None or report.codes() == codes
    assert not report


def test_one_receipt_is_not_looked_for_in_millions() -> None:
    """Where one receipt is asked for, the second piece of the input is the last one read."""
    data = array([ONE])[:-1] + b",17" * 1_000_000 + b"]"
    tracemalloc.start()
    report = verify_receipt(data, PUBLIC)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert told(report) == ("refused", ["MALFORMED_TRAILING_DATA"])
    assert most < 2 * len(data)


def test_the_method_of_one_receipt() -> None:
    """An expected method is compared, and another one refused."""
    assert verify_receipt(ONE, PUBLIC, verification_method=METHOD).verified
    report = verify_receipt(ONE, PUBLIC, verification_method="did:agent:a#key-2")
    assert told(report) == ("refused", ["PROOF_METHOD_UNEXPECTED"])


def test_nulls_are_accepted_with_leave() -> None:
    """The same flag works for one receipt and for a chain."""
    nulled = with_member(ONE, "/issuer/name", None)
    for verify in (verify_receipt, verify_chain):
        strict, lenient = verify(nulled, PUBLIC), verify(nulled, PUBLIC, accept_nulls=True)
        assert told(strict) == ("refused", ["FIELD_NULL"])
        assert told(lenient) == ("verified", ["nulls_normalised"])


BODY = {"b": [1.5, None, "ü"], "a": 2}
ANSWERED = signed(
    with_member(
        statement(), f"{S}/outcome/response_hash", sha256_tagged(canonicalize(BODY))
    )
)  # fmt: skip


@pytest.mark.parametrize(
    ("receipt", "body", "code"),
    [
        (ANSWERED, BODY, None),
        (ANSWERED, json.dumps(BODY, indent=1).encode(), None),
        (ANSWERED, json.dumps(BODY).encode(), None),
        (ANSWERED, {**BODY, "a": 3}, "RESPONSE_MISMATCH"),
        (ANSWERED, None, "RESPONSE_MISMATCH"),
        (ANSWERED, b'"text"', "RESPONSE_MISMATCH"),
        (ANSWERED, b"{", "RESPONSE_UNREADABLE"),
        (ANSWERED, b'{"a":1,"a":1}', "RESPONSE_UNREADABLE"),
        (ANSWERED, {"a": {1}}, "RESPONSE_UNREADABLE"),
        (ANSWERED, float("nan"), "RESPONSE_UNREADABLE"),
        (ANSWERED, [[]] * 3 + [object()], "RESPONSE_UNREADABLE"),
        (ONE, BODY, "response_not_committed"),
    ],
)
def test_a_response_is_compared_with_its_hash(
    receipt: Members, body: object, code: str | None
) -> None:
    """A body is read strictly, hashed in canonical form, and compared with what was signed."""
    expected = [] if code is None else [code]
    assert verify_receipt(receipt, PUBLIC, response_body=body).codes() == expected
    assert verify_chain([receipt], PUBLIC, responses={receipt["id"]: body}).codes() == expected


def test_a_response_of_a_broken_receipt_is_not_compared() -> None:
    """Where nothing is left of the receipt, or of its outcome, there is no hash to compare with."""
    assert verify_receipt(b"{", PUBLIC, response_body=BODY).codes() == ["MALFORMED_JSON"]
    broken = with_member(ANSWERED, f"{S}/outcome", 5)
    assert verify_receipt(broken, PUBLIC, response_body=BODY).codes() == [
        "FIELD_TYPE", "SIGNATURE_INVALID",
    ]  # fmt: skip


def test_a_response_that_can_not_be_read() -> None:
    """A mapping may read its bodies when they are asked for: what fails then is unchecked."""

    class Folder(dict[str, object]):
        def __getitem__(self, name: str) -> object:
            raise UnreadableError(f"{name} is gone")

    report = verify_chain([ANSWERED], PUBLIC, responses=Folder({ANSWERED["id"]: 1}))
    assert told(report) == ("unchecked", ["RESPONSE_UNREADABLE"])
    assert "is gone" in report.findings[0].message


def test_responses_that_belong_to_nothing() -> None:
    """Bodies that no receipt asks for are told, in the order of their names."""
    report = verify_chain(THREE, PUBLIC, responses={"z": 1, "a": 2})
    assert [(one.code, one.where) for one in report.findings] == [
        ("response_unused", "response[a]"), ("response_unused", "response[z]"),
    ]  # fmt: skip
    assert report.verified


def answered(body: bytes) -> list[str]:
    place = f"{S}/outcome/response_hash"
    digest = sha256_tagged(canonicalize(json.loads(body)))
    receipt = signed(with_member(statement(), place, digest))
    return verify_receipt(receipt, PUBLIC, response_body=body).codes()


def test_responses_at_their_limits() -> None:
    """The largest body and the most values are read; one more is unreadable."""
    assert answered(b'"' + b"x" * (RESPONSE_BYTES_MAX - 2) + b'"') == []
    assert answered(b'"' + b"x" * (RESPONSE_BYTES_MAX - 1) + b'"') == ["RESPONSE_UNREADABLE"]
    assert answered(b"[" + b"0," * (RESPONSE_VALUES_MAX - 1) + b"0]") == []
    assert answered(b"[" + b"0," * RESPONSE_VALUES_MAX + b"0]") == ["RESPONSE_UNREADABLE"]
    deepest = b"[" * JSON_DEPTH_MAX + b"]" * JSON_DEPTH_MAX
    assert answered(deepest) == []
    report = verify_receipt(ANSWERED, PUBLIC, response_body=b"[" + deepest + b"]")
    assert report.codes() == ["RESPONSE_UNREADABLE"]


@pytest.mark.parametrize(
    ("expectations", "codes"),
    [
        ({"expected_length": 3}, []),
        ({"expected_length": 2}, ["EXPECTED_LENGTH"]),
        ({"expected_length": 4}, ["EXPECTED_LENGTH"]),
        ({"expected_length": 0}, ["EXPECTED_LENGTH"]),
        ({"expected_head": hash_of(THREE[2])}, []),
        ({"expected_head": hash_of(THREE[1])}, ["EXPECTED_HEAD"]),
        ({"expected_head": ""}, ["EXPECTED_HEAD"]),
        ({"expected_length": 9, "expected_head": "x"}, ["EXPECTED_LENGTH", "EXPECTED_HEAD"]),
        ({"require_terminal": True}, ["EXPECTED_TERMINAL"]),
        ({"chain_id": CHAIN}, []),
        ({"chain_id": CHAIN, "expected_length": 3}, []),
        ({"chain_id": "other"}, ["CHAIN_UNKNOWN"]),
        ({"chain_id": "other", "expected_length": 0}, ["CHAIN_UNKNOWN"]),
        ({"chain_id": "other", "require_terminal": True}, ["CHAIN_UNKNOWN"]),
        (
            {"chain_id": "other", "expected_head": hash_of(THREE[2])},
            ["CHAIN_UNKNOWN", "EXPECTED_HEAD"],
        ),
    ],
)
def test_expectations_of_one_chain(expectations: dict[str, Any], codes: list[str]) -> None:
    """What the caller knows from elsewhere is compared; all that differs is told."""
    report = verify_chain(THREE, PUBLIC, **expectations)
    assert report.codes() == codes
    assert report.verified is (not codes)


def test_a_closed_chain_is_what_was_required() -> None:
    """With a terminal receipt the requirement is met."""
    assert verify_chain(closed(3), PUBLIC, require_terminal=True).verified
    assert not verify_chain(closed(3)[:2], PUBLIC, require_terminal=True)


@pytest.mark.parametrize("data", [b"", b"[]", [], iter([]), b"\n\n"])
def test_nothing_is_not_verified(data: object) -> None:
    """An empty input is unchecked, and refused when something was expected of it."""
    assert told(verify_chain(data, PUBLIC)) == ("unchecked", ["NOTHING_TO_VERIFY"])
    expecting = verify_chain(
        data, PUBLIC, chain_id=CHAIN, expected_length=0, expected_head="x", require_terminal=True
    )
    codes = ["NOTHING_TO_VERIFY", "EXPECTED_TERMINAL", "EXPECTED_HEAD"]
    assert told(expecting) == ("refused", codes)


class Broken(io.BytesIO):
    """A stream that breaks where its bytes end."""

    def readline(self, size: int | None = -1, /) -> bytes:
        if not (line := super().readline(size)):
            raise OSError(5, "Input/output error")
        return line


@pytest.mark.parametrize(
    "expectations",
    [
        {"expected_length": 3},
        {"expected_head": hash_of(THREE[2])},
        {"require_terminal": True},
        {"chain_id": CHAIN, "require_terminal": True, "expected_length": 9, "expected_head": "x"},
    ],
)
def test_what_was_not_read_is_not_missed(expectations: dict[str, Any]) -> None:
    """What is expected may stand where nobody could read: that is unchecked, not refused."""
    for read in (0, 2):
        report = verify_chain(Broken(lines(THREE[:read])), PUBLIC, **expectations)
        assert told(report) == ("unchecked", ["SOURCE_UNREADABLE"])
    one, gone = Source(lines(THREE)), Source(Broken(b""))
    asked = Expectations(chain_id="other", length=2, terminal=True)
    report = verify_input([one, gone], PUBLIC, asked)
    assert told(report) == ("unchecked", ["SOURCE_UNREADABLE"])


def test_what_was_read_is_too_much_whatever_follows() -> None:
    """A chain that is too long, or closed elsewhere, does not get better by what was not read."""
    report = verify_chain(Broken(lines(THREE)), PUBLIC, expected_length=2)
    assert told(report) == ("refused", ["SOURCE_UNREADABLE", "EXPECTED_LENGTH"])
    report = verify_chain(Broken(lines(closed(3))), PUBLIC, expected_length=4, expected_head="x")
    expected = ["SOURCE_UNREADABLE", "EXPECTED_LENGTH", "EXPECTED_HEAD"]
    assert told(report) == ("refused", expected)


def test_chains_beyond_the_limit_are_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain that found no room may be the one that is asked for."""
    monkeypatch.setattr("tallystick.verify.chain.CHAIN_STATE_BYTES_MAX", 2000)
    data = lines([*THREE, *chain_of(2, chain_id="b", first_number=50)])
    report = verify_input([Source(data)], PUBLIC, Expectations(chain_id="b", length=2))
    assert told(report) == ("unchecked", ["CHAINS_OVER_LIMIT"])
    report = verify_input([Source(data)], PUBLIC, Expectations(chain_id=CHAIN, length=4))
    assert told(report) == ("refused", ["CHAINS_OVER_LIMIT", "EXPECTED_LENGTH"])


def test_several_chains_and_one_expectation() -> None:
    """Length and head belong to one chain: where several are, the caller names it."""
    other = chain_of(2, chain_id="b", first_number=50)
    sources = [Source(lines(THREE), name="a.jsonl"), Source(array(other), name="b.json")]
    assert verify_input(sources, PUBLIC).verified
    for expectations, code in (
        (Expectations(length=3), "EXPECTED_LENGTH"),
        (Expectations(head=hash_of(THREE[2])), "EXPECTED_HEAD"),
    ):
        report = verify_input(sources, PUBLIC, expectations)
        assert told(report) == ("refused", [code])
        assert report.findings[0].found == "2 chains"
    named = Expectations(chain_id="b", length=2, head=hash_of(other[1]))
    assert verify_input(sources, PUBLIC, named).verified
    closing = Expectations(chain_id="b", terminal=True)
    assert verify_input(sources, PUBLIC, closing).codes() == ["EXPECTED_TERMINAL"]
    assert verify_input(sources, PUBLIC, Expectations(terminal=True)).codes() == [
        "EXPECTED_TERMINAL", "EXPECTED_TERMINAL",
    ]  # fmt: skip


def test_places_name_their_source() -> None:
    """A finding says in which source it is, and counts within it."""
    broken = [ONE, with_member(THREE[1], "/colour", "red")]
    sources = [Source(lines(THREE), name="a"), Source(array(broken), name="b")]
    report = verify_input(sources, PUBLIC)
    assert "b:receipt[1]/colour" in [finding.where for finding in report.findings]


def test_progress_is_told_after_each_receipt() -> None:
    """The caller hears of each receipt once, in order."""
    heard: list[int] = []
    verify_input([Source(lines(THREE))], PUBLIC, progress=heard.append)
    assert heard == [1, 2, 3]


@pytest.mark.parametrize("workers", [1, 2, WORKERS_MAX])
def test_workers_within_their_limits(workers: int) -> None:
    """From one to the limit, the number of threads changes nothing."""
    assert verify_chain(THREE, PUBLIC, workers=workers) == verify_chain(THREE, PUBLIC)


@pytest.mark.parametrize("workers", [0, -1, WORKERS_MAX + 1])
def test_workers_beyond_their_limits(workers: int) -> None:
    """Other numbers are the caller's mistake."""
    with pytest.raises(LimitError, match="workers"):
        verify_chain(THREE, PUBLIC, workers=workers)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_refusal_behind_a_thousand_advisories(workers: int) -> None:
    """However many advisories come first, what refuses is listed and decides."""
    noisy = chain_of(
        FINDINGS_MAX + 1, change=lambda one, at: one["credentialSubject"].update(colour="red")
    )
    report = verify_chain(noisy, PUBLIC, workers=workers)
    assert report.verified
    assert (len(report.findings), report.unlisted) == (FINDINGS_MAX, 1)
    noisy[-1] = signed(noisy[-1], OTHER_KEY)
    report = verify_chain(noisy, PUBLIC, workers=workers)
    assert str(report.verdict) == "refused"
    assert report.codes().count("SIGNATURE_INVALID") == 1
    assert len(report.findings) == FINDINGS_MAX


def test_verification_goes_on_after_a_finding() -> None:
    """Each of several faults is told, also behind input that is no JSON."""
    data = lines([THREE[0]]) + b"{\n" + lines([with_member(THREE[1], "/colour", 1)]) + b"5\n"
    report = verify_chain(data + lines([THREE[2]]), PUBLIC)
    assert report.codes() == [
        "MALFORMED_JSON", "FIELD_UNKNOWN", "SIGNATURE_INVALID", "MALFORMED_NOT_OBJECT",
        "CHAIN_LINK_BROKEN",
    ]  # fmt: skip
    assert report.receipts == 5
