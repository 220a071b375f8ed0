# SPDX-License-Identifier: Apache-2.0
"""The job `SAFE_REPORT` of the source: a report about the inputs, and nothing else is touched.

The same inputs give the same bytes. What stands in the Markdown is escaped: an intent's author
decides what it says, and not what it looks like.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from tallystick.crypto.canonical import canonicalize
from tallystick.durable.file import write_new
from tallystick.errors import RunnerError
from tallystick.model.intent import Intent
from tallystick.solver.runner import Facts, Ran, Records, Work

REPORT_VERSION: Final = "1.0.0"
_FACTS: Final[Facts] = {"reportVersion": REPORT_VERSION}
_PURE: Final[Facts] = {"kind": "none", "reason": "no foreign code runs"}
_MARKS: Final = frozenset("\\`*_{}[]()<>#+-.!|~&$^=:@/\"'")


class SafeReportRunner:
    """Writes `report.json` and `report.md`."""

    name = "safe-report"

    def __init__(self, settings: Mapping[str, Any]) -> None:
        if settings:
            raise RunnerError(f"safe-report takes no settings, and {min(settings)!r} is given")

    def run(self, work: Work, records: Records, /) -> Ran:
        """Write the report of an intent's `subject` and `data`."""
        fault = _inputs_fault(work.intent.inputs)
        if fault is not None:
            return Ran(status="FAILED", error=fault, facts=_FACTS, sandbox=_PURE)
        report = make_report(work.intent, work.run_id)
        for name, data in (
            ("report.json", canonicalize(report) + b"\n"),
            ("report.md", make_markdown(report)),
        ):
            target = {"system": "solver", "resource": f"artifacts/{name}"}
            with records.action("filesystem.file.create", target=target) as made:
                write_new(os.path.join(work.artifacts, name), data, 0o600)
                made.result = {"bytes": len(data)}
        return Ran(status="SUCCESS", facts=_FACTS, sandbox=_PURE)


def make_report(intent: Intent, run_id: str) -> dict[str, Any]:
    """Return the report as a JSON value."""
    subject, data = intent.inputs["subject"], intent.inputs["data"]
    size = len(canonicalize(data))
    return {
        "subject": subject,
        "data": data,
        "summary": f"Report on {subject} with {len(data)} data member(s).",
        "stats": {"keysCount": len(data), "bytes": size},
        "generatedBy": {
            "jobType": intent.jobType,
            "intentId": intent.intent_id,
            "runId": run_id,
            "reportVersion": REPORT_VERSION,
        },
    }


def make_markdown(report: Mapping[str, Any]) -> bytes:
    """Return the report for people."""
    lines = [
        f"# Report: {escaped(report['subject'])}",
        "",
        escaped(report["summary"]),
        "",
        *(
            f"- {escaped(name)}: {escaped(canonicalize(value).decode())}"
            for name, value in sorted(report["data"].items())
        ),
        "",
        f"Intent {report['generatedBy']['intentId']}, run {report['generatedBy']['runId']}.",
    ]
    return ("\n".join(lines) + "\n").encode()


def escaped(text: str) -> str:
    """Return text in one line that no Markdown or HTML reader takes for more than text."""
    return "".join(
        f"&#{ord(one)};" if one in _MARKS or not one.isprintable() else one for one in text
    )


def _inputs_fault(inputs: Mapping[str, Any]) -> str | None:
    unknown = sorted(set(inputs) - {"subject", "data"})
    if unknown:
        return "inputs hold more than subject and data"
    if not isinstance(inputs.get("subject"), str) or not inputs["subject"]:
        return "inputs.subject is no text"
    if not isinstance(inputs.get("data"), dict):
        return "inputs.data is no object"
    return None
