# SPDX-License-Identifier: Apache-2.0
"""The verifier's answer: a verdict, the findings behind it, and what is known of each chain."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final, Self

import msgspec

from tallystick.errors import Error
from tallystick.limits import FINDING_TEXT_CHARS_MAX, FINDINGS_MAX
from tallystick.model.chain import Termination
from tallystick.verify.findings import CODES, Severity


class Verdict(StrEnum):
    """Yes, no, and could not check: three answers that are never mixed up."""

    VERIFIED = "verified"
    REFUSED = "refused"
    UNCHECKED = "unchecked"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that the verifier found: a stable code, a place, and what was expected there."""

    code: str
    severity: Severity
    where: str
    message: str
    expected: str = ""
    found: str = ""


class KeyUse(msgspec.Struct, frozen=True, kw_only=True):
    """Which key signed a stretch of a chain; the fingerprint is over the raw public key."""

    fingerprint: str
    first_sequence: int
    last_sequence: int


class ChainReport(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one chain."""

    chain_id: str
    issuer: str
    length: int
    head: str
    termination: Termination
    keys: tuple[KeyUse, ...] = ()


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Verdict and findings. Truthy only when the verdict is `verified`."""

    verdict: Verdict
    findings: tuple[Finding, ...]
    chains: tuple[ChainReport, ...]
    receipts: int
    # Findings beyond the limit: they decided the verdict like all others, and are not listed.
    unlisted: int = 0
    # How many of all findings, listed or not, are no advisories.
    decisive: int = 0

    @property
    def verified(self) -> bool:
        """Whether all that was asked for was checked and holds."""
        return self.verdict is Verdict.VERIFIED

    def __bool__(self) -> bool:
        return self.verified

    def ensure(self) -> Self:
        """Return the report, or raise `VerificationError` unless it is verified."""
        if not self.verified:
            raise VerificationError(self)
        return self

    def codes(self) -> list[str]:
        """Return the codes of all findings, in order."""
        return [finding.code for finding in self.findings]

    def to_dict(self) -> dict[str, Any]:
        """Return what `tally verify --json` prints."""
        return {
            "verdict": str(self.verdict),
            "chains": [
                {
                    "chain_id": chain.chain_id,
                    "issuer": chain.issuer,
                    "length": chain.length,
                    "head": chain.head,
                    "termination": chain.termination,
                    "keys": [msgspec.to_builtins(use) for use in chain.keys],
                }
                for chain in self.chains
            ],
            "findings": [msgspec.to_builtins(finding) for finding in self.findings],
            "receipts": self.receipts,
            "unlisted": self.unlisted,
        }


class VerificationError(Error):
    """A report that is not `verified`, raised by `Report.ensure`; carries the report."""

    def __init__(self, report: Report) -> None:
        decisive = [finding for finding in report.findings if finding.severity != "advisory"]
        first = f": {decisive[0].code} at {decisive[0].where}" if decisive else ""
        super().__init__(f"{report.verdict}{first}")
        self.report = report


# Which findings give way to one of that severity, the lightest first.
_LIGHTER: Final[dict[Severity, tuple[Severity, ...]]] = {
    "refused": ("advisory", "unchecked"),
    "unchecked": ("advisory",),
    "advisory": (),
}


class Findings:
    """Collects findings up to the limit; counts the rest and never forgets what they decide."""

    def __init__(self) -> None:
        self._listed: list[Finding] = []
        self._counts: dict[Severity, int] = {"refused": 0, "unchecked": 0, "advisory": 0}
        self._listed_of = dict(self._counts)
        self.unlisted = 0

    def add(
        self, code: str, where: str, message: str, *, expected: object = "", found: object = ""
    ) -> None:
        """Note a finding. At the limit the graver one is listed in place of a lighter one."""
        severity = CODES[code].severity
        self._counts[severity] += 1
        if len(self._listed) >= FINDINGS_MAX and not self._displace(severity):
            self.unlisted += 1
            return
        self._listed_of[severity] += 1
        self._listed.append(
            Finding(
                code=code,
                severity=severity,
                where=_cut(where),
                message=_cut(message),
                expected=_cut(str(expected)),
                found=_cut(str(found)),
            )
        )

    def has(self, code: str) -> bool:
        """Whether a finding with that code is listed."""
        return any(finding.code == code for finding in self._listed)

    def _displace(self, severity: Severity) -> bool:
        for lighter in _LIGHTER[severity]:
            if self._listed_of[lighter]:
                last = max(i for i, known in enumerate(self._listed) if known.severity == lighter)
                del self._listed[last]
                self._listed_of[lighter] -= 1
                self.unlisted += 1
                return True
        return False

    def report(self, chains: tuple[ChainReport, ...], receipts: int) -> Report:
        """Return the report: refused beats unchecked beats verified."""
        if self._counts["refused"]:
            verdict = Verdict.REFUSED
        elif self._counts["unchecked"]:
            verdict = Verdict.UNCHECKED
        else:
            verdict = Verdict.VERIFIED
        return Report(
            verdict=verdict,
            findings=tuple(self._listed),
            chains=chains,
            receipts=receipts,
            unlisted=self.unlisted,
            decisive=self._counts["refused"] + self._counts["unchecked"],
        )


def _cut(text: str) -> str:
    if len(text) <= FINDING_TEXT_CHARS_MAX:
        return text
    return text[: FINDING_TEXT_CHARS_MAX - 1] + "…"
