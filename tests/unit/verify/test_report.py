# SPDX-License-Identifier: Apache-2.0
"""The answer: verdicts that are never mixed up, and findings within their limit."""

from __future__ import annotations

import json

import pytest

from tallystick.limits import FINDING_TEXT_CHARS_MAX, FINDINGS_MAX
from tallystick.verify.report import (
    ChainReport,
    Findings,
    KeyUse,
    Report,
    Verdict,
    VerificationError,
)

DECISIVE = ("SIGNATURE_INVALID", "KEY_MISSING")
ADVISORY = "time_backwards"


def report_of(*codes: str) -> Report:
    findings = Findings()
    for code in codes:
        findings.add(code, "receipt[0]", "says so")
    return findings.report((), 1)


@pytest.mark.parametrize(
    ("codes", "verdict"),
    [
        ((), Verdict.VERIFIED),
        ((ADVISORY,), Verdict.VERIFIED),
        (("KEY_MISSING",), Verdict.UNCHECKED),
        ((ADVISORY, "KEY_MISSING"), Verdict.UNCHECKED),
        (("SIGNATURE_INVALID",), Verdict.REFUSED),
        (("KEY_MISSING", "SIGNATURE_INVALID"), Verdict.REFUSED),
        (("SIGNATURE_INVALID", "KEY_MISSING", ADVISORY), Verdict.REFUSED),
    ],
)
def test_refused_beats_unchecked_beats_verified(codes: tuple[str, ...], verdict: Verdict) -> None:
    """The verdict is that of the gravest finding, in whatever order they came."""
    report = report_of(*codes)
    assert report.verdict is verdict
    assert report.codes() == list(codes)


@pytest.mark.parametrize("verdict", list(Verdict))
def test_only_verified_is_true(verdict: Verdict) -> None:
    """`if report` is a question with one yes."""
    report = Report(verdict=verdict, findings=(), chains=(), receipts=1)
    assert bool(report) is report.verified is (verdict is Verdict.VERIFIED)
    assert str(verdict) == verdict.value


def test_ensure_returns_or_raises() -> None:
    """`.ensure()` gives a verified report back, and raises for both other verdicts."""
    good = report_of(ADVISORY)
    assert good.ensure() is good
    for code in DECISIVE:
        bad = report_of(ADVISORY, code)
        with pytest.raises(VerificationError, match=f"{code} at receipt") as caught:
            bad.ensure()
        assert caught.value.report is bad
        assert str(bad.verdict) in str(caught.value)


def test_an_error_without_a_listed_finding_still_says_the_verdict() -> None:
    """A report may be refused for what is beyond its list."""
    bare = Report(verdict=Verdict.REFUSED, findings=(), chains=(), receipts=1)
    with pytest.raises(VerificationError, match="refused"):
        bare.ensure()


def test_a_dict_of_it_is_plain_json() -> None:
    """`to_dict` holds all of the report, and nothing that JSON has not."""
    key = KeyUse(fingerprint="sha256:f", first_sequence=1, last_sequence=2)
    chain = ChainReport(
        chain_id="c", issuer="i", length=2, head="sha256:h", termination="complete", keys=(key,)
    )
    findings = Findings()
    findings.add("CHAIN_GAP", "receipt[1]", "is missing", expected=2, found=3)
    told = findings.report((chain,), 2).to_dict()
    assert json.loads(json.dumps(told)) == {
        "verdict": "refused",
        "chains": [
            {
                "chain_id": "c",
                "issuer": "i",
                "length": 2,
                "head": "sha256:h",
                "termination": "complete",
                "keys": [{"fingerprint": "sha256:f", "first_sequence": 1, "last_sequence": 2}],
            }
        ],
        "findings": [
            {
                "code": "CHAIN_GAP",
                "severity": "refused",
                "where": "receipt[1]",
                "message": "is missing",
                "expected": "2",
                "found": "3",
            }
        ],
        "receipts": 2,
        "unlisted": 0,
    }


def test_findings_at_the_limit() -> None:
    """So many findings are listed, and those beyond are counted."""
    report = report_of(*["CHAIN_GAP"] * FINDINGS_MAX)
    assert (len(report.findings), report.unlisted) == (FINDINGS_MAX, 0)
    report = report_of(*["CHAIN_GAP"] * (FINDINGS_MAX + 2))
    assert (len(report.findings), report.unlisted) == (FINDINGS_MAX, 2)


@pytest.mark.parametrize("code", DECISIVE)
def test_a_decisive_finding_behind_a_crowd_is_listed(code: str) -> None:
    """A thousand advisories do not hide what decides: it takes the place of one of them."""
    report = report_of(*[ADVISORY] * FINDINGS_MAX, code)
    assert not report.verified
    assert report.codes() == [ADVISORY] * (FINDINGS_MAX - 1) + [code]
    assert report.unlisted == 1


def test_a_refusal_takes_the_place_of_what_could_not_be_checked() -> None:
    """Where the list is full, the graver finding is listed, and none is counted twice."""
    report = report_of(*["KEY_MISSING"] * FINDINGS_MAX, "SIGNATURE_INVALID")
    assert report.verdict is Verdict.REFUSED
    assert report.codes() == ["KEY_MISSING"] * (FINDINGS_MAX - 1) + ["SIGNATURE_INVALID"]
    assert report.unlisted == 1


def test_what_is_not_listed_decides_too() -> None:
    """Where the list is full of refusals, others are counted, and the verdict stays."""
    report = report_of(*["CHAIN_GAP"] * FINDINGS_MAX, "SIGNATURE_INVALID", "KEY_MISSING")
    assert report.verdict is Verdict.REFUSED
    assert report.codes() == ["CHAIN_GAP"] * FINDINGS_MAX
    assert report.unlisted == 2


def test_advisories_give_way_from_the_end() -> None:
    """The last advisories go first, and none is counted twice."""
    findings = Findings()
    for number in range(FINDINGS_MAX):
        code = ADVISORY if number % 2 else "CHAIN_GAP"
        findings.add(code, f"receipt[{number}]", "m")
    for _ in range(FINDINGS_MAX):
        findings.add("ID_SHAPE", "receipt", "m")
    report = findings.report((), 1)
    assert len(report.findings) == FINDINGS_MAX
    assert ADVISORY not in report.codes()
    assert report.unlisted == FINDINGS_MAX


def test_has_looks_at_what_is_listed() -> None:
    """`has` finds a code among the findings."""
    findings = Findings()
    findings.add("CHAIN_GAP", "", "m")
    assert findings.has("CHAIN_GAP")
    assert not findings.has("CHAIN_REPEAT")


@pytest.mark.parametrize("over", [0, 1, 100_000])
def test_texts_at_the_limit(over: int) -> None:
    """Each text of a finding is kept up to the limit, and cut with a mark beyond it."""
    length = FINDING_TEXT_CHARS_MAX
    text = "x" * (length + over)
    findings = Findings()
    findings.add("CHAIN_GAP", text, text, expected=text, found=text)
    finding = findings.report((), 1).findings[0]
    kept = text if not over else "x" * (length - 1) + "…"
    assert (finding.where, finding.message, finding.expected, finding.found) == (kept,) * 4
    assert len(kept) == length


def test_an_unknown_code_is_our_own_bug() -> None:
    """No finding leaves without a code of the table."""
    with pytest.raises(KeyError):
        Findings().add("NO_SUCH_CODE", "", "")
