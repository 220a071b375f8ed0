# SPDX-License-Identifier: Apache-2.0
"""The questions that a caller may ask: is this receipt genuine, is this chain, is this input?

Each gives a `Report` and none raises for what the input holds. `verify_receipt` looks at one
receipt by itself; `verify_chain` at one whole chain; `verify_input` at any number of chains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import islice

import msgspec

from tallystick.crypto.canonical import canonicalize
from tallystick.crypto.digest import sha256_tagged
from tallystick.crypto.strict import parse_json
from tallystick.errors import CanonicalError, Error, LimitError, MalformedInput
from tallystick.limits import (
    JSON_DEPTH_MAX,
    RESPONSE_BYTES_MAX,
    RESPONSE_VALUES_MAX,
    WORKERS_MAX,
)
from tallystick.verify.chain import Judge
from tallystick.verify.completeness import Completeness
from tallystick.verify.coverage import Coverage, Holdings
from tallystick.verify.receipt import Examined, examine, examine_all, plain_copy
from tallystick.verify.report import ChainReport, Findings, Report
from tallystick.verify.second_pass import SecondPass
from tallystick.verify.source import Input, Source
from tallystick.verify.state import ChainState
from tallystick.verify.trust import Trust, trust_of
from tallystick.verify.workers import tried


class Expectations(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller knows from elsewhere and wants to see confirmed."""

    chain_id: str | None = None
    length: int | None = None
    head: str | None = None
    terminal: bool = False
    verification_method: str | None = None
    # Chains that must be there, with the length and the head that each must have.
    ends: Mapping[str, tuple[int, str]] = {}
    # Receipt id → response body: bytes of strict JSON, or any JSON value.
    responses: Mapping[str, object] = {}


def verify_receipt(
    data: object,
    key: object,
    *,
    accept_nulls: bool = False,
    verification_method: str | None = None,
    response_body: object = msgspec.UNSET,
) -> Report:
    """Return the report on one receipt by itself; its place in a chain is not judged.

    `data` is bytes, a dict or a `Receipt`; `key` a PEM, 32 raw bytes, a did:key, several of these,
    or a `Trust`.
    """
    trust, findings = trust_of(key), Findings()
    trust.report_unusable(findings)
    source = Source(data if isinstance(data, (bytes, bytearray, memoryview)) else [data])
    items = list(islice(Input([source]), 2))  # a second one is one too many
    if not items:
        _nothing(findings)
        return findings.report((), 0)
    judge = _LoneJudge(
        trust, findings, "receipt[{}]".format, sole_chain=True, method=verification_method
    )
    examined = examine(items[0], accept_nulls=accept_nulls)
    judge.take(examined, 0)
    if response_body is not msgspec.UNSET:
        _check_response(examined, response_body, "receipt[0]", findings)
    if len(items) > 1:
        message = "holds more than one receipt; verify_chain takes those"
        findings.add("MALFORMED_TRAILING_DATA", "input", message)
    return findings.report(tuple(chain.report() for chain in judge.chains.values()), 1)


def verify_chain(
    data: object,
    key: object,
    *,
    chain_id: str | None = None,
    expected_length: int | None = None,
    expected_head: str | None = None,
    require_terminal: bool = False,
    verification_method: str | None = None,
    responses: Mapping[str, object] | None = None,
    accept_nulls: bool = False,
    workers: int = 1,
) -> Report:
    """Return the report on one chain, which must be whole: from sequence 1, in order.

    `data` is bytes (an array or JSON Lines), a binary stream, or an iterable of receipts.
    """
    return verify_input(
        [Source(data)],
        key,
        Expectations(
            chain_id=chain_id,
            length=expected_length,
            head=expected_head,
            terminal=require_terminal,
            verification_method=verification_method,
            responses=responses or {},
        ),
        sole_chain=True,
        accept_nulls=accept_nulls,
        workers=workers,
    )


def verify_input(
    sources: Iterable[Source],
    key: object,
    expectations: Expectations | None = None,
    *,
    sole_chain: bool = False,
    accept_nulls: bool = False,
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
    holdings: Holdings | None = None,
) -> Report:
    """Return the report on all chains of the input. The verdict is the same for any `workers`.

    With `holdings`, what a log holds of these chains is compared with the input.
    """
    expectations = expectations or Expectations()
    if not 1 <= workers <= WORKERS_MAX:
        raise LimitError(f"workers: {workers} is not between 1 and {WORKERS_MAX}")
    trust, findings, stream = trust_of(key), Findings(), Input(sources)
    trust.report_unusable(findings)
    judge = Judge(
        trust,
        findings,
        stream.where,
        sole_chain=sole_chain,
        method=expectations.verification_method,
    )
    responses = _Responses(expectations.responses, findings)
    completeness = None
    if stream.has_whole or trust.has_earlier:
        completeness = Completeness(judge, stream, findings, trust, expectations.ends)

    examined = partial(examine_all, accept_nulls=accept_nulls)
    for index, one in enumerate(tried(stream, examined, judge.guess_key, workers)):
        judge.take(one, index)
        if responses.bodies:
            responses.check(one, stream.where(index))
        if completeness is not None:
            completeness.take(one, index)
        if progress is not None:
            progress(index + 1)
    if judge.receipts == 0 and not findings.has("SOURCE_UNREADABLE"):
        _nothing(findings)
    for where, message in judge.open_calls():
        findings.add("incomplete_tool_roundtrip", where, message)
    responses.report_unused()
    _check_expectations(judge, expectations, findings)
    if completeness is not None:
        completeness.tell()
    SecondPass(judge, stream, findings, accept_nulls=accept_nulls).run()
    if holdings is not None:
        Coverage(judge, trust, findings, accept_nulls=accept_nulls).run(holdings, stream)
    return findings.report(tuple(chain.report() for chain in judge.chains.values()), judge.receipts)


class _LoneJudge(Judge):
    """Judges a receipt that stands by itself: any place in a chain will do."""

    def _judge_place(self, _state: ChainState, _link: object, _at: int) -> bool:
        return True


def _nothing(findings: Findings) -> None:
    findings.add("NOTHING_TO_VERIFY", "input", "holds no receipt")


def _check_expectations(judge: Judge, expected: Expectations, findings: Findings) -> None:
    chains = judge.chains
    wanted = expected.chain_id
    # What was not read may hold what is missed here: then nobody can tell that it is missing.
    was_read = not findings.has("SOURCE_UNREADABLE")
    has_all_chains = was_read and not findings.has("CHAINS_OVER_LIMIT")
    if wanted is not None and wanted not in chains and judge.receipts and has_all_chains:
        findings.add("CHAIN_UNKNOWN", "input", "does not hold this chain", expected=wanted)
    if expected.terminal:
        if not chains and has_all_chains:
            findings.add("EXPECTED_TERMINAL", "input", "holds no closed chain")
        for state in chains.values():
            if was_read and not state.is_closed and wanted in (None, state.chain_id):
                findings.add("EXPECTED_TERMINAL", state.where, "begins a chain that is not closed")
    for chain_id, (length, head) in expected.ends.items():
        one = Expectations(length=length, head=head)
        found = chains.get(chain_id)
        if found is not None:
            _check_end(found, one, findings, is_final=was_read or found.is_closed)
        elif has_all_chains:
            findings.add("CHAIN_UNKNOWN", "input", "does not hold this chain", expected=chain_id)
    if expected.length is None and expected.head is None:
        return
    if wanted is None and len(chains) > 1:
        code = "EXPECTED_LENGTH" if expected.length is not None else "EXPECTED_HEAD"
        message = "holds several chains; name the one that you mean"
        findings.add(code, "input", message, found=f"{len(chains)} chains")
        return
    target = chains.get(wanted) if wanted is not None else next(iter(chains.values()), None)
    is_final = has_all_chains if target is None else was_read or target.is_closed
    _check_end(target, expected, findings, is_final=is_final)


def _check_end(
    target: ChainState | None, expected: Expectations, findings: Findings, *, is_final: bool
) -> None:
    length, head = (target.length, target.head) if target is not None else (0, "")
    place = target.where if target is not None else "input"
    if (
        expected.length is not None
        and expected.length != length
        and (is_final or expected.length < length)
    ):
        findings.add(
            "EXPECTED_LENGTH", place, "begins a chain of another length",
            expected=expected.length, found=length,
        )  # fmt: skip
    if expected.head is not None and expected.head != head and is_final:
        findings.add(
            "EXPECTED_HEAD", place, "begins a chain with another head",
            expected=expected.head, found=head or "none",
        )  # fmt: skip


class _Responses:
    """The response bodies that the caller supplied, and which were used."""

    def __init__(self, bodies: Mapping[str, object], findings: Findings) -> None:
        self.bodies = bodies
        self._findings = findings
        self._unused = set(bodies)

    def check(self, examined: Examined, where: str) -> None:
        """Compare the receipt's response hash with the body that was supplied for it."""
        receipt = examined.receipt
        if receipt is not None and receipt.id in self.bodies:
            self._unused.discard(receipt.id)
            try:
                body = self.bodies[receipt.id]
            except Error as fault:  # a mapping may read its bodies when they are asked for
                place = f"{where}/credentialSubject/outcome/response_hash"
                self._findings.add("RESPONSE_UNREADABLE", place, f"the supplied body: {fault}")
            else:
                _check_response(examined, body, where, self._findings)

    def report_unused(self) -> None:
        """Note the bodies that belong to no receipt."""
        for name in sorted(self._unused):
            self._findings.add("response_unused", f"response[{name}]", "fits no receipt's id")


def _check_response(examined: Examined, body: object, where: str, findings: Findings) -> None:
    subject = examined.receipt.credentialSubject if examined.receipt is not None else None
    if subject is None or subject.outcome is None:
        return
    place = f"{where}/credentialSubject/outcome/response_hash"
    try:
        value = body
        if isinstance(body, bytes):
            value = parse_json(body, RESPONSE_BYTES_MAX, RESPONSE_VALUES_MAX)
        value = plain_copy(value, JSON_DEPTH_MAX, RESPONSE_VALUES_MAX, RESPONSE_BYTES_MAX)
        digest = sha256_tagged(canonicalize(value))
    except (MalformedInput, CanonicalError) as fault:
        findings.add("RESPONSE_UNREADABLE", place, f"the supplied body: {fault}")
        return
    if subject.outcome.response_hash is None:
        findings.add("response_not_committed", place, "is absent, and a body was supplied")
    elif subject.outcome.response_hash != digest:
        findings.add(
            "RESPONSE_MISMATCH",
            place,
            "is not the hash of the supplied body",
            expected=subject.outcome.response_hash,
            found=digest,
        )


__all__ = [
    "ChainReport",
    "Expectations",
    "Trust",
    "verify_chain",
    "verify_input",
    "verify_receipt",
]
