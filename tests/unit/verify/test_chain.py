# SPDX-License-Identifier: Apache-2.0
"""Receipts in the order of their chains: places, links, closings, advisories, bounds."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest
from tests.material import (
    CHAIN,
    ISSUER,
    KEY,
    METHOD,
    OTHER_KEY,
    OTHER_PUBLIC,
    PUBLIC,
    Members,
    chain_of,
    full_statement,
    hash_of,
    relinked,
    rotation,
    signed,
    statement,
    wire,
    with_member,
    without_member,
)

from tallystick.verify import chain as judging
from tallystick.verify.receipt import examine
from tallystick.verify.report import Findings, Report
from tallystick.verify.source import Source
from tallystick.verify.trust import Trust, TrustedKey, trust_of
from tallystick.verify.verification import verify_chain, verify_input

S = "/credentialSubject"
FIVE = chain_of(5)


def report_on(receipts: list[Any], **options: Any) -> Report:
    return verify_chain([wire(one) for one in receipts], PUBLIC, **options)


def codes_of(receipts: list[Any], **options: Any) -> list[str]:
    return report_on(receipts, **options).codes()


def places_of(receipts: list[Any]) -> list[tuple[str, str]]:
    return [(finding.code, finding.where) for finding in report_on(receipts).findings]


def test_a_whole_chain_is_told() -> None:
    """Id, issuer, length, head and key of a sound chain are in the report."""
    report = report_on(FIVE)
    assert report.verified
    (chain,) = report.chains
    assert (chain.chain_id, chain.issuer, chain.length) == (CHAIN, ISSUER, 5)
    assert chain.head == hash_of(FIVE[-1])
    assert chain.termination == "unknown"
    assert [(use.first_sequence, use.last_sequence) for use in chain.keys] == [(1, 5)]


@pytest.mark.parametrize(
    ("order", "findings"),
    [
        ([1, 2, 3, 4], [("CHAIN_GENESIS_SEQUENCE", f"receipt[0]{S}/chain/sequence")]),
        ([0, 2, 3, 4], [("CHAIN_GAP", f"receipt[1]{S}/chain/sequence")]),
        ([0, 4], [("CHAIN_GAP", f"receipt[1]{S}/chain/sequence")]),
        (
            [0, 1, 1, 2],
            [
                ("CHAIN_REPEAT", f"receipt[2]{S}/chain/sequence"),
                ("ID_DUPLICATE", "receipt[2]/id"),
            ],
        ),
        (
            [1, 0],
            [
                ("CHAIN_GENESIS_SEQUENCE", f"receipt[0]{S}/chain/sequence"),
                ("CHAIN_REPEAT", f"receipt[1]{S}/chain/sequence"),
            ],
        ),
        (
            [0, 2, 1, 3],
            [
                ("CHAIN_GAP", f"receipt[1]{S}/chain/sequence"),
                ("CHAIN_REPEAT", f"receipt[2]{S}/chain/sequence"),
            ],
        ),
    ],
)
def test_order_and_gaps(order: list[int], findings: list[tuple[str, str]]) -> None:
    """What is missing, doubled or out of order is told where it is noticed, and not again after."""
    assert places_of([FIVE[index] for index in order]) == findings


def test_gaps_say_how_much_is_missing() -> None:
    """One missing receipt is one, and three are three."""
    assert "1 receipt is missing" in report_on([FIVE[0], FIVE[2]]).findings[0].message
    assert "3 receipts are missing" in report_on([FIVE[0], FIVE[4]]).findings[0].message


def test_links_name_the_receipt_before() -> None:
    """A receipt signed over another predecessor breaks the chain, once."""
    forged = copy.deepcopy(FIVE)
    forged[2] = signed(with_member(forged[2], f"{S}/outcome/status", "failure"))
    assert places_of(forged) == [
        ("CHAIN_LINK_BROKEN", f"receipt[3]{S}/chain/previous_receipt_hash")
    ]


def test_a_first_receipt_has_no_predecessor() -> None:
    """Genesis names none, and later receipts name one."""
    first = signed(with_member(FIVE[0], f"{S}/chain/previous_receipt_hash", "sha256:" + "0" * 64))
    assert "CHAIN_GENESIS_HASH" in codes_of([first])
    second = signed(with_member(FIVE[1], f"{S}/chain/previous_receipt_hash", None))
    assert codes_of([FIVE[0], second]) == ["CHAIN_LINK_MISSING"]


def test_after_a_refused_sequence_the_chain_goes_on() -> None:
    """A sequence that is no number counts as the next one: the fault is told once."""
    odd = signed(with_member(FIVE[1], f"{S}/chain/sequence", "2"))
    third = signed(with_member(FIVE[2], f"{S}/chain/previous_receipt_hash", hash_of(odd)))
    assert codes_of([FIVE[0], odd, third]) == ["FIELD_TYPE"]


def test_another_issuer_in_a_chain() -> None:
    """One chain has one issuer, whoever holds the key."""
    receipts = chain_of(3, change=lambda one, at: one["issuer"].update(id=f"did:agent:{at == 2}"))
    report = verify_chain([wire(one) for one in receipts], PUBLIC)
    assert set(report.codes()) == {"ISSUER_CHANGED", "proof_metadata_unsigned"}
    assert report.chains[0].issuer == "did:agent:False"


def test_the_issuer_is_that_of_the_first_receipt_that_has_one() -> None:
    """Where the first receipt's issuer was refused, the second names the chain's issuer."""
    receipts = relinked([without_member(FIVE[0], "/issuer"), *FIVE[1:3]])
    report = report_on(receipts)
    assert "ISSUER_CHANGED" not in report.codes()
    assert report.chains[0].issuer == ISSUER


def test_a_chain_closes_once() -> None:
    """What follows a terminal receipt is refused; termination and status are told."""
    for status, termination in ((None, "complete"), ("interrupted", "interrupted")):
        closing = with_member(FIVE[4], f"{S}/chain/terminal", True)
        if status:
            closing = with_member(closing, f"{S}/chain/status", status)
        closing = signed(closing)
        report = report_on([*FIVE[:4], closing])
        assert report.verified
        assert report.chains[0].termination == termination
        after = signed(statement(6, hash_of(closing)))
        report = report_on([*FIVE[:4], closing, after])
        assert report.codes() == ["CHAIN_AFTER_TERMINAL"]
        assert report.chains[0].termination == termination


def test_each_receipt_is_held_against_the_key() -> None:
    """Also one whose place and link are those of the next receipt, behind others that fit."""
    for at in range(5):
        forged = [*FIVE[:at], signed(FIVE[at], OTHER_KEY), *FIVE[at + 1 :]]
        assert places_of(forged) == [("SIGNATURE_INVALID", f"receipt[{at}]/proof/proofValue")]


@pytest.mark.parametrize(("sequence", "code"), [(9, "CHAIN_GAP"), (2, "CHAIN_REPEAT")])
def test_a_link_does_not_make_up_for_a_number(sequence: int, code: str) -> None:
    """A receipt that names the one before it, and is signed, has to be the next one too."""
    odd = signed(with_member(FIVE[2], f"{S}/chain/sequence", sequence))
    assert places_of([*FIVE[:2], odd]) == [(code, f"receipt[2]{S}/chain/sequence")]


def test_a_key_that_was_tried_ahead_is_not_the_chain_s() -> None:
    """Another thread guesses the key: where it guessed another one, that one's fit says nothing."""
    trust = trust_of([PUBLIC, OTHER_PUBLIC])
    findings = Findings()
    judge = judging.Judge(trust, findings, "receipt[{}]".format, sole_chain=True, method=None)
    for at, (key, tried) in enumerate([(KEY, PUBLIC), (OTHER_KEY, OTHER_PUBLIC)]):
        examined = examine(wire(signed(FIVE[at], key)))
        examined.tried_key, examined.fits_tried_key = tried, True
        judge.take(examined, at)
    assert [one.code for one in findings.report((), 2).findings] == ["KEY_CHANGED"]


def test_a_window_is_looked_at_behind_the_first_receipt() -> None:
    """A key that counted when the chain began may be over by its fourth receipt."""
    receipts = chain_of(
        5, change=lambda one, at: one.update(issuanceDate=f"203{at}-01-01T00:00:00Z")
    )
    for one in receipts:  # else each has an advisory, and none is ordinary
        one["proof"]["created"] = one["issuanceDate"]
    until = TrustedKey(public_key=PUBLIC, valid_until=receipts[2]["issuanceDate"])
    report = verify_chain([wire(one) for one in receipts], Trust(anyone=(until,)))
    assert [(one.code, one.where) for one in report.findings] == [
        ("KEY_NOT_VALID_THEN", f"receipt[{at}]/issuanceDate") for at in (3, 4)
    ]


def test_a_key_has_signed_only_what_it_signed() -> None:
    """A receipt of someone else, or without a number, is none that the chain's key stands for."""
    odd = signed(with_member(FIVE[1], f"{S}/chain/sequence", "2"))
    for receipts, last in (([*FIVE[:4], signed(FIVE[4], OTHER_KEY)], 4), ([FIVE[0], odd], 1)):
        (chain,) = report_on(receipts).chains
        assert [(use.first_sequence, use.last_sequence) for use in chain.keys] == [(1, last)]


class BreaksOff(io.BytesIO):
    """A stream whose disk fails where its bytes end."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Return some of the bytes, or raise."""
        data = super().read(size)
        if not data:
            raise OSError("the disk is gone")
        return data


def test_what_could_not_be_read_is_no_receipt() -> None:
    """It is not counted; one that was read and is no JSON is, and what follows is judged."""
    report = verify_input([Source(BreaksOff(wire(FIVE[0]) + b"\n"))], PUBLIC)
    assert (report.codes(), report.receipts) == (["SOURCE_UNREADABLE"], 1)
    report = verify_chain([wire(FIVE[0]), b"{", wire(FIVE[1])], PUBLIC)
    assert (report.codes(), report.receipts) == (["MALFORMED_JSON"], 3)
    assert report.chains[0].length == 2


def test_an_unsigned_closing_closes_nothing() -> None:
    """A terminal receipt that its issuer did not sign is refused and does not end the chain."""
    closing = signed(with_member(FIVE[4], f"{S}/chain/terminal", True), OTHER_KEY)
    report = report_on([*FIVE[:4], closing, signed(statement(6, hash_of(closing)))])
    assert report.codes() == ["SIGNATURE_INVALID"]
    assert report.chains[0].termination == "unknown"


def test_an_unchecked_closing_is_taken_at_its_word() -> None:
    """Without a key nobody knows who closed the chain; that receipts follow is wrong anyhow."""
    closing = signed(with_member(FIVE[4], f"{S}/chain/terminal", True))
    report = verify_chain([*FIVE[:4], closing], None)
    assert report.codes() == ["KEY_MISSING"]
    assert report.chains[0].termination == "unknown"
    report = verify_chain([*FIVE[:4], closing, signed(statement(6, hash_of(closing)))], None)
    assert report.codes() == ["KEY_MISSING", "CHAIN_AFTER_TERMINAL"]


def test_a_refused_principal_is_not_a_change() -> None:
    """Where the first receipt's principal was refused, the next one's is no change."""
    first = with_member(FIVE[0], f"{S}/principal", 5)
    receipts = relinked([first, *FIVE[1:3]])
    assert codes_of(receipts) == ["FIELD_TYPE"]


def test_one_chain_or_several() -> None:
    """A second chain is refused where one was asked for, and judged where several may be."""
    other = chain_of(2, chain_id="chain:b", first_number=100)
    mixed = [FIVE[0], other[0], FIVE[1], other[1], FIVE[2]]
    report = report_on(mixed)
    assert report.codes() == ["CHAIN_MIXED", "CHAIN_MIXED"]
    assert [chain.length for chain in report.chains] == [3]
    report = verify_input([Source([wire(one) for one in mixed])], PUBLIC)
    assert report.verified
    assert [(chain.chain_id, chain.length) for chain in report.chains] == [
        (CHAIN, 3), ("chain:b", 2),
    ]  # fmt: skip


def test_receipts_without_a_chain_are_only_refused() -> None:
    """Where the link was refused there is no chain to judge."""
    report = report_on([without_member(FIVE[0], f"{S}/chain"), without_member(FIVE[0], S)])
    assert report.codes() == ["FIELD_MISSING", "FIELD_MISSING"]
    assert report.chains == ()
    assert report.receipts == 2


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        (lambda one, at: one["issuer"].update(session_id=f"s{at // 3}"), ["session_changed"]),
        (
            lambda one, at: one["issuer"].update({"session_id": "s"} if at == 2 else ()),
            ["session_changed"] * 2,
        ),
        (
            lambda one, at: one["credentialSubject"]["principal"].update(id=f"p{at // 3}"),
            ["principal_changed"],
        ),
        (
            lambda one, at: one.update(issuanceDate=f"2026-01-0{1 + at % 3}T00:00:00Z"),
            ["time_backwards"],
        ),
        (lambda one, at: one.update(issuanceDate="2026-01-01T00:00:00Z"), []),
        (
            lambda one, at: one["credentialSubject"].update(colour="red"),
            ["unrecognised_fields"] * 4,
        ),
    ],
)
def test_advisories_leave_the_verdict_alone(change: Any, codes: list[str]) -> None:
    """Changes that an auditor wants to see are told, and refuse nothing."""
    report = report_on(chain_of(4, change=change))
    assert report.codes() == codes
    assert report.verified


def test_metadata_that_nobody_signed() -> None:
    """The method is outside of the signature: an unusual one is told, an unexpected one refused.

    Another fragment throughout is not told, as the threat model says.
    """
    assert codes_of([signed(one, method="did:agent:a#other") for one in FIVE]) == []
    unusual = [signed(FIVE[0], method="did:agent:b#key"), *FIVE[1:]]
    assert codes_of(unusual) == ["proof_metadata_unsigned"] * 2
    assert codes_of([signed(one, method="did:agent:b#key") for one in FIVE]) == [
        "proof_metadata_unsigned"
    ]
    assert codes_of(FIVE, verification_method=METHOD) == []
    assert codes_of(unusual, verification_method=METHOD) == ["PROOF_METHOD_UNEXPECTED"]
    broken = with_member(FIVE[0], "/proof/verificationMethod", 7)
    assert codes_of([broken, *FIVE[1:]]) == ["FIELD_TYPE"]


def delegated(parent: Members, **changes: Any) -> dict[str, Any]:
    return {
        "delegator": {"id": ISSUER},
        "parent_chain_id": parent["credentialSubject"]["chain"]["chain_id"],
        "parent_receipt_id": parent["id"],
        **changes,
    }


def test_delegation_stands_in_the_first_receipt() -> None:
    """A later receipt may repeat the delegation, and not bring or change one."""
    first = delegated(FIVE[0])

    def child(change: Any) -> list[str]:
        return codes_of(chain_of(3, chain_id="child", first_number=50, change=change))

    same = child(lambda one, at: one["credentialSubject"].update(delegation=first))
    assert same == ["delegation_unresolved"]
    once = child(
        lambda one, at: one["credentialSubject"].update({"delegation": first} if at == 1 else {})
    )
    assert once == ["delegation_unresolved"]
    late = child(
        lambda one, at: one["credentialSubject"].update({"delegation": first} if at == 3 else {})
    )
    assert late == ["DELEGATION_CHANGED"]
    other = delegated(FIVE[1])
    changed = child(
        lambda one, at: one["credentialSubject"].update(delegation=first if at == 1 else other)
    )
    assert changed == ["DELEGATION_CHANGED"] * 2 + ["delegation_unresolved"]


def calls(*outcomes: tuple[str, str | None]) -> list[str]:
    def change(one: Members, at: int) -> None:
        status, correlation = outcomes[at - 1]
        one["credentialSubject"]["outcome"]["status"] = status
        if correlation is not None:
            one["credentialSubject"]["correlation_id"] = correlation

    report = report_on(chain_of(len(outcomes), change=change))
    assert report.verified
    return [finding.where for finding in report.findings]


@pytest.mark.parametrize(
    ("outcomes", "open_calls"),
    [
        ([("pending", "a"), ("success", "a")], []),
        ([("pending", "a"), ("failure", "a")], []),
        ([("pending", "a"), ("pending", "b"), ("success", "b"), ("success", "a")], []),
        ([("pending", "a")], [0]),
        ([("pending", None)], [0]),
        ([("pending", None), ("pending", None), ("success", None)], [0, 1]),
        ([("pending", "a"), ("success", "b")], [0]),
        ([("success", "a"), ("pending", "a")], [1]),
        ([("pending", "a"), ("success", None)], [0]),
        ([("pending", "a"), ("success", "a"), ("pending", "a")], [2]),
    ],
)
def test_calls_without_a_result(
    outcomes: list[tuple[str, str | None]], open_calls: list[int]
) -> None:
    """A pending receipt is complete when a later one of its chain has its correlation id."""
    assert calls(*outcomes) == [f"receipt[{index}]" for index in open_calls]


@pytest.mark.parametrize(
    ("chains", "ids"), [(("a", "b"), ("a", "a")), (("a", "a\0b"), ("b\0c", "c"))]
)
def test_results_count_in_their_own_chain(chains: tuple[str, str], ids: tuple[str, str]) -> None:
    """A result with the same correlation id in another chain closes no call, however named."""

    def change(status: str, correlation: str) -> Any:
        def set_outcome(one: Members, at: int) -> None:
            one["credentialSubject"]["outcome"]["status"] = status
            one["credentialSubject"]["correlation_id"] = correlation

        return set_outcome

    call = chain_of(1, chain_id=chains[0], change=change("pending", ids[0]))
    answer = chain_of(1, chain_id=chains[1], first_number=9, change=change("success", ids[1]))
    report = verify_input([Source([wire(call[0]), wire(answer[0])])], PUBLIC)
    assert report.codes() == ["incomplete_tool_roundtrip"]


@pytest.mark.parametrize(
    ("issuer", "previous", "codes"),
    [
        (ISSUER, {"chain_id": CHAIN}, []),
        (ISSUER, {"chain_id": "c"}, ["incomplete_tool_roundtrip"]),
        (ISSUER, {"chain_id": 7}, ["incomplete_tool_roundtrip"]),
        (ISSUER, [CHAIN], ["incomplete_tool_roundtrip"]),
        ("did:agent:other", {"chain_id": CHAIN}, ["incomplete_tool_roundtrip"]),
    ],
)
def test_a_result_may_stand_in_the_next_chain(
    issuer: str, previous: object, codes: list[str]
) -> None:
    """A call may outlast its chain: the result counts in the chain that its issuer went on with."""

    def call(one: Members, at: int) -> None:
        one["credentialSubject"]["outcome"]["status"] = "pending"
        one["credentialSubject"]["correlation_id"] = "a"

    def answer(one: Members, at: int) -> None:
        one["credentialSubject"]["correlation_id"] = "a"
        one["issuer"]["id"] = issuer
        one["issuer"]["runtime"] = {"tallystick": {"previous_chain": previous}}

    first = chain_of(1, change=call)
    second = chain_of(1, chain_id="b", first_number=9, change=answer)
    report = verify_input([Source([wire(first[0]), wire(second[0])])], PUBLIC)
    assert [code for code in report.codes() if code == "incomplete_tool_roundtrip"] == codes


@pytest.mark.parametrize(("count", "findings"), [(3, 3), (4, 4), (6, 4)])
def test_open_calls_at_the_limit(
    monkeypatch: pytest.MonkeyPatch, count: int, findings: int
) -> None:
    """So many open calls are followed, and those beyond are counted in one finding."""
    monkeypatch.setattr(judging, "OPEN_ROUNDTRIPS_MAX", 3)
    places = calls(*[("pending", f"{number}") for number in range(count)])
    assert len(places) == findings
    assert places[:3] == ["receipt[0]", "receipt[1]", "receipt[2]"]
    assert places[3:] == (["input"] if count > 3 else [])


def test_a_place_is_free_again_after_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is on calls that are open at one moment."""
    monkeypatch.setattr(judging, "OPEN_ROUNDTRIPS_MAX", 1)
    outcomes = [(status, f"{number}") for number in range(9) for status in ("pending", "success")]
    assert calls(*outcomes) == []


def lone(number: int, **issuer: str) -> bytes:
    one = statement(chain_id=f"chain:{number}", number=number)
    one["issuer"] |= issuer
    return wire(signed(one))


def judged_with(monkeypatch: pytest.MonkeyPatch, room: int, receipts: list[bytes]) -> Report:
    monkeypatch.setattr(judging, "CHAIN_STATE_BYTES_MAX", room)
    return verify_input([Source(receipts)], PUBLIC)


def test_chains_at_the_limit_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chains are judged as long as there is room; beyond, they are unchecked, said once."""
    receipts = [lone(number) for number in range(1, 9)]
    room = next(
        room
        for room in range(1000, 100_000, 10)
        if judged_with(monkeypatch, room, receipts).verified
    )
    fitting = judged_with(monkeypatch, room, receipts)
    assert len(fitting.chains) == 8
    over = judged_with(monkeypatch, room, [*receipts, lone(9), lone(10), lone(1)])
    assert over.codes()[0] == "CHAINS_OVER_LIMIT"
    assert over.codes().count("CHAINS_OVER_LIMIT") == 1
    assert len(over.chains) == 8
    assert over.chains[0].length == 2
    tight = judged_with(monkeypatch, room - 10, receipts)
    assert str(tight.verdict) == "unchecked"
    assert tight.codes() == ["CHAINS_OVER_LIMIT"]


@pytest.mark.parametrize(
    "grow",
    [
        lambda one: one["issuer"].update(session_id="s" * 1000),
        lambda one: one["credentialSubject"]["principal"].update(id="p" * 1000),
    ],
)
def test_names_that_grow_are_counted(monkeypatch: pytest.MonkeyPatch, grow: Any) -> None:
    """A later receipt's longer names are kept only where there is room for them."""
    receipts = [
        wire(one) for one in chain_of(2, change=lambda one, at: grow(one) if at == 2 else None)
    ]
    assert judged_with(monkeypatch, 10_000, receipts).verified
    report = judged_with(monkeypatch, 2000, receipts)
    assert "CHAINS_OVER_LIMIT" in report.codes()
    assert str(report.verdict) == "unchecked"


def test_a_method_that_does_not_fit_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Metadata that nobody signed can't fill the memory either."""
    receipts = [wire(signed(FIVE[0], method="m" * 1000)), wire(FIVE[1])]
    assert "CHAINS_OVER_LIMIT" not in judged_with(monkeypatch, 10_000, receipts).codes()
    assert "CHAINS_OVER_LIMIT" in judged_with(monkeypatch, 2000, receipts).codes()


def test_keys_of_a_chain_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Endless rotation does not fill the memory: the report then goes without the keys."""
    pairs = [(KEY, PUBLIC, OTHER_PUBLIC), (OTHER_KEY, OTHER_PUBLIC, PUBLIC)]
    receipts: list[Members] = []
    previous = None
    for sequence in range(1, 11):
        key, old, new = pairs[sequence % 2 - 1]
        one = with_member(statement(sequence, previous), f"{S}/keyRotation", rotation(old, new))
        receipts.append(signed(one, key))
        previous = hash_of(one)
    data = [wire(one) for one in receipts]
    fitting = judged_with(monkeypatch, 10_000, data)
    assert fitting.verified
    assert len(fitting.chains[0].keys) == 10
    tight = judged_with(monkeypatch, 3000, data)
    assert tight.codes() == ["CHAINS_OVER_LIMIT"]
    assert len(tight.chains[0].keys) < 10


def test_an_issuer_that_does_not_fit_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """An issuer that only the second receipt names is counted like all others."""
    first = without_member(FIVE[0], "/issuer")
    second = with_member(FIVE[1], "/issuer/id", "i" * 1000)
    receipts = [wire(one) for one in relinked([first, second])]
    assert "CHAINS_OVER_LIMIT" in judged_with(monkeypatch, 2200, receipts).codes()


def test_a_receipt_of_everything_is_verified() -> None:
    """A chain whose receipt uses every member of the protocol is sound."""
    report = report_on([signed(full_statement())])
    assert report.verified
    assert set(report.codes()) == {"delegation_unresolved"}
    assert report.chains[0].termination == "complete"
