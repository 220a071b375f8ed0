# SPDX-License-Identifier: Apache-2.0
"""Repeated ids and keys, and delegation between chains."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.material import (
    ISSUER,
    PUBLIC,
    Members,
    chain_of,
    relinked,
    signed,
    statement,
    uuid,
    wire,
    with_member,
    without_member,
)

from tallystick.model.chain import Delegation, Delegator
from tallystick.model.reader import parse_receipt
from tallystick.verify import second_pass
from tallystick.verify.chain import Judge
from tallystick.verify.report import Findings, Report
from tallystick.verify.source import Input, Source
from tallystick.verify.state import ChainState
from tallystick.verify.trust import Trust
from tallystick.verify.verification import verify_chain, verify_input

S = "/credentialSubject"


def report_on(receipts: list[Members], *, once: bool = False) -> Report:
    data = [wire(one) for one in receipts]
    return verify_input([Source(iter(data) if once else data)], PUBLIC)


def with_ids(*numbers: int) -> list[Members]:
    return chain_of(
        len(numbers), change=lambda one, at: one.update(id=f"urn:receipt:{uuid(numbers[at - 1])}")
    )


def with_keys(*keys: str | None) -> list[Members]:
    def change(one: Members, at: int) -> None:
        if keys[at - 1] is not None:
            one["credentialSubject"]["action"]["idempotency_key"] = keys[at - 1]

    return chain_of(len(keys), change=change)


def test_repeated_ids_are_refused() -> None:
    """Each receipt with an id that came before is refused, and names where that was."""
    report = report_on(with_ids(1, 2, 1, 3, 1, 2))
    assert [(one.code, one.where) for one in report.findings] == [
        ("ID_DUPLICATE", "receipt[2]/id"),
        ("ID_DUPLICATE", "receipt[4]/id"),
        ("ID_DUPLICATE", "receipt[5]/id"),
    ]
    assert [one.message.split()[-1] for one in report.findings] == [
        "receipt[0]/id", "receipt[0]/id", "receipt[1]/id",
    ]  # fmt: skip


def test_ids_are_compared_over_all_chains() -> None:
    """One id in two chains is a repeat as well."""
    two = [chain_of(1)[0], chain_of(1, chain_id="b")[0]]
    assert report_on(two).codes() == ["ID_DUPLICATE"]


def test_repeated_keys_are_told() -> None:
    """An idempotency key that comes again in its chain is an advisory, in another chain nothing."""
    report = report_on(with_keys("a", "b", None, "a", None))
    assert [(one.code, one.where) for one in report.findings] == [
        ("duplicate_idempotency_key", f"receipt[3]{S}/action/idempotency_key")
    ]
    assert report.findings[0].found == "a"
    assert report.verified
    other = with_member(statement(chain_id="b", number=9), f"{S}/action/idempotency_key", "a")
    assert report_on([*with_keys("a"), signed(other)]).codes() == []


@pytest.mark.parametrize(("distinct", "too_many"), [(3, False), (4, True)])
def test_repeats_at_the_limit(
    monkeypatch: pytest.MonkeyPatch, distinct: int, too_many: bool
) -> None:
    """So many ids are confirmed; beyond, the report says that not all were."""
    monkeypatch.setattr(second_pass, "REPEATS_MAX", 3)
    report = report_on(with_ids(*range(1, distinct + 1), *range(1, distinct + 1)))
    assert report.codes().count("ID_DUPLICATE") == 3
    assert ("REPEATS_UNCONFIRMED" in report.codes()) is too_many
    assert str(report.verdict) == "refused"
    keys = [f"{number}" for number in range(distinct)]
    report = report_on(with_keys(*keys, *keys))
    assert report.verified
    unconfirmed = [one for one in report.findings if one.where == "input"]
    assert [one.code for one in unconfirmed] == ["duplicate_idempotency_key"] * too_many


def test_what_is_gone_is_unconfirmed() -> None:
    """A pipe can't be read again: ids that look repeated are unchecked, keys only told."""
    report = report_on(with_ids(1, 2, 1), once=True)
    assert report.codes() == ["REPEATS_UNCONFIRMED"]
    assert str(report.verdict) == "unchecked"
    report = report_on(with_keys("a", "a"), once=True)
    assert report.codes() == ["duplicate_idempotency_key"]
    assert report.verified
    assert report_on(with_ids(1, 2, 3), once=True).verified


def test_without_a_suspicion_there_is_no_second_pass() -> None:
    """Input is read twice only when there is something to look for."""

    class Counted:
        passes = 0

        def __iter__(self) -> Iterator[bytes]:
            self.passes += 1
            yield from [wire(one) for one in chain_of(3)]

    counted = Counted()
    assert verify_chain(counted, PUBLIC).verified
    assert counted.passes == 1


class Changing:
    """Gives something else at the second reading."""

    def __init__(self, *readings: list[Members]) -> None:
        self.readings = list(readings)

    def __iter__(self) -> Iterator[bytes]:
        return self.taken()  # a generator: nothing is taken before the first item is asked for

    def taken(self) -> Iterator[bytes]:
        yield from [wire(one) for one in self.readings.pop(0)]


def test_input_that_changes_in_between_is_told() -> None:
    """A repeat that is gone at the second reading is not forgotten."""
    doubled, single = with_ids(1, 2, 1), with_ids(1, 2, 3)
    assert verify_chain(Changing(doubled, doubled), PUBLIC).codes() == ["ID_DUPLICATE"]
    for other in (single, doubled[:2], [*doubled, doubled[0]], []):
        report = verify_chain(Changing(doubled, other), PUBLIC)
        assert "REPEATS_UNCONFIRMED" in report.codes()
        assert not report


def test_receipts_of_which_little_is_left_are_passed_over() -> None:
    """The second pass meets what the first one refused, and goes on."""
    receipts = with_ids(1, 2, 1)
    odd = [without_member(receipts[0], S), {"a": 1}, with_member(receipts[0], "/id", 7)]
    odd += [without_member(receipts[0], f"{S}/{name}") for name in ("chain", "action")]
    report = report_on([*receipts, *odd])
    assert report.codes().count("ID_DUPLICATE") == 3


def child_of(
    parent_id: str,
    receipt_id: str,
    *,
    chain_id: str = "child",
    delegator: str = ISSUER,
    number: int = 50,
) -> Members:
    one = statement(chain_id=chain_id, number=number)
    one["credentialSubject"]["delegation"] = {
        "delegator": {"id": delegator},
        "parent_chain_id": parent_id,
        "parent_receipt_id": receipt_id,
    }
    return signed(one)


PARENT = chain_of(2, chain_id="parent")


@pytest.mark.parametrize(
    ("child", "codes"),
    [
        (child_of("parent", PARENT[0]["id"]), []),
        (child_of("parent", PARENT[1]["id"]), []),
        (child_of("elsewhere", PARENT[0]["id"]), ["delegation_unresolved"]),
        (child_of("parent", f"urn:receipt:{uuid(99)}"), ["DELEGATION_PARENT_MISSING"]),
        (child_of("parent", PARENT[0]["id"], delegator="did:x"), ["DELEGATION_DELEGATOR"]),
        (child_of("child", f"urn:receipt:{uuid(50)}"), ["DELEGATION_LOOP"]),
        (
            child_of("parent", f"urn:receipt:{uuid(99)}", delegator="did:x"),
            ["DELEGATION_DELEGATOR", "DELEGATION_PARENT_MISSING"],
        ),
    ],
)
def test_delegation_is_checked_where_the_parent_is(child: Members, codes: list[str]) -> None:
    """Parent chain, receipt and issuer must fit; the order of the input does not matter."""
    assert report_on([*PARENT, child]).codes() == codes
    assert report_on([child, *PARENT]).codes() == codes


def test_a_parent_receipt_is_in_the_parent_chain() -> None:
    """The receipt that delegated is looked for in the chain that was named."""
    other = chain_of(1, chain_id="other", first_number=70)
    child = child_of("parent", other[0]["id"])
    assert report_on([*PARENT, *other, child]).codes() == ["DELEGATION_PARENT_MISSING"]


def test_several_children_of_one_receipt() -> None:
    """One receipt may delegate often; each child that names a missing one is told."""
    here = [child_of("parent", PARENT[0]["id"], chain_id=f"c{n}", number=n) for n in (60, 61)]
    assert report_on([*PARENT, *here]).codes() == []
    gone = [
        child_of("parent", f"urn:receipt:{uuid(99)}", chain_id=f"d{n}", number=n) for n in (62, 63)
    ]
    assert report_on([*gone, *PARENT, *here]).codes() == ["DELEGATION_PARENT_MISSING"] * 2


def test_delegation_from_a_pipe_is_unconfirmed() -> None:
    """Where the input can't be read again, the parent's receipt can't be looked for."""
    child = child_of("parent", PARENT[0]["id"])
    report = report_on([*PARENT, child], once=True)
    assert report.codes() == ["REPEATS_UNCONFIRMED"]


def generations(parents: dict[str, str]) -> list[Members]:
    return [
        child_of(parent, f"urn:receipt:{uuid(900)}", chain_id=name, number=500 + at)
        for at, (name, parent) in enumerate(parents.items())
    ]


@pytest.mark.parametrize(
    ("parents", "looped"),
    [
        ({"a": "a"}, {"a"}),
        ({"a": "b", "b": "a"}, {"a", "b"}),
        ({"a": "b", "b": "c", "c": "a"}, {"a", "b", "c"}),
        ({"a": "b", "b": "c", "c": "b"}, {"a", "b", "c"}),
        ({"c": "b", "b": "c", "a": "b"}, {"a", "b", "c"}),
        ({"a": "b", "b": "c", "c": "x"}, set()),
        ({"a": "b", "b": "parent", "c": "b"}, set()),
        ({"a": "b", "b": "a", "c": "x", "d": "c"}, {"a", "b"}),
    ],
)
def test_circles_of_delegation(parents: dict[str, str], looped: set[str]) -> None:
    """A chain whose parents lead in a circle is refused, and no other."""
    report = report_on([*PARENT, *generations(parents)])
    names = {chain.chain_id for chain in report.chains}
    loops = [finding for finding in report.findings if finding.code == "DELEGATION_LOOP"]
    places = {finding.where.split("/")[0] for finding in loops}
    order = ["parent", *parents]
    assert {order[int(place[8:-1]) - 1] for place in places} == looped <= names


def test_long_lines_of_delegation_take_linear_time() -> None:
    """Tens of thousands of generations are walked over once, not once for each."""
    findings = Findings()
    stream = Input([])
    judge = Judge(Trust(), findings, sole_chain=False, method=None, where=stream.where)
    receipt = parse_receipt(wire(child_of("c0", f"urn:receipt:{uuid(1)}")))
    for at in range(1, 30_001):
        state = ChainState(f"c{at}", receipt, "w")
        state.delegation = Delegation(
            delegator=Delegator(id=ISSUER),
            parent_chain_id=f"c{at - 1}",
            parent_receipt_id=f"urn:receipt:{uuid(at)}",
        )
        judge.chains[state.chain_id] = state
    began = time.process_time()
    loops = second_pass.SecondPass(judge, stream, findings, accept_nulls=False)._loops()
    assert time.process_time() - began < 5  # minutes, if each were walked by itself
    assert loops == set()
    judge.chains["c1"].delegation = judge.chains["c30000"].delegation
    assert second_pass.SecondPass(judge, stream, findings, accept_nulls=False)._loops() == set(
        judge.chains
    )


def test_a_delegation_of_which_parts_were_refused() -> None:
    """What is left of a delegation is judged, and never raises."""
    for place in ("delegator", "parent_chain_id", "parent_receipt_id", "delegator/id"):
        child = with_member(child_of("parent", PARENT[0]["id"]), f"{S}/delegation/{place}", 7)
        report = report_on([*PARENT, *relinked([child])])
        assert report.codes()[0] == "FIELD_TYPE"


def test_a_source_that_goes_away_proves_no_absence() -> None:
    """Where the second pass broke off, a parent is not called missing."""

    class Vanishing:
        def __init__(self, data: list[Any]) -> None:
            self.data = data
            self.passes = 0

        def __iter__(self) -> Iterator[Any]:
            self.passes += 1
            source = Source(Broken(self.data)) if self.passes > 1 else self.data
            yield from source

    class Broken:
        def __init__(self, data: list[Any]) -> None:
            self.data = data

        def seekable(self) -> bool:
            return False

        def read(self, size: int) -> bytes:
            raise OSError("gone")

        readline = read

    child = child_of("parent", f"urn:receipt:{uuid(99)}")
    report = verify_input([Source(Vanishing([wire(one) for one in [*PARENT, child]]))], PUBLIC)
    assert report.codes() == ["REPEATS_UNCONFIRMED"]
    assert str(report.verdict) == "unchecked"
