# SPDX-License-Identifier: Apache-2.0
"""Pages of docs/reference that tables make, for `reference.py`."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable
from typing import Any


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ("---",) * len(head), *rows]
    cells = (" | ".join(cell.replace("|", "\\|") for cell in line) for line in lines)
    return "".join(f"| {line} |\n" for line in cells)


def taxonomy_page() -> str:
    """Return action types and their default risk."""
    taxonomy = importlib.import_module("tallystick.model.taxonomy")
    rows = taxonomy.taxonomy_rows()
    parts = [
        "# Action types\n",
        f"{inspect.getdoc(taxonomy)}\n",
        "## Taxonomy\n",
        table(
            ("type", "risk at least"),
            [(f"`{row.action_type}`", row.risk) for row in rows if row.origin == "taxonomy"],
        ),
        "## Built in\n",
        "All but `unknown` are reserved: only the issuer itself writes them.\n",
        table(
            ("type", "risk at least", "means"),
            [
                (f"`{row.action_type}`", row.risk, row.meaning)
                for row in rows
                if row.origin == "built in"
            ],
        ),
    ]
    return "\n".join(parts)


def collector_page() -> str:
    """Return addresses, problems and meters of a collector."""
    addresses = importlib.import_module("tallystick.collector.addresses")
    problems = importlib.import_module("tallystick.serve.problem")
    meters = importlib.import_module("tallystick.collector.meters")
    parts = [
        "# Collector\n\nWhat `tally collector run` serves. The same stands in its "
        "`/openapi.json`; how to run one, in\n[Run a collector](../howto/run-a-collector.md).\n",
        "## Addresses\n",
        table(
            ("address", "for", "needs access", "answers"),
            [
                (
                    f"`{route.method.upper()} {route.path}`",
                    route.summary,
                    "none" if route.need == "nothing" else route.need,
                    _statuses(route, problems.PROBLEMS),
                )
                for route in addresses.ROUTES
            ],
        ),
        "A `GET` may also be a `HEAD`. Another method is 405, another address 404.\n",
        "## Parameters\n",
        table(
            ("address", "parameter", "for"),
            [
                (f"`{route.path}`", f"`{one.name}`", one.purpose)
                for route in addresses.ROUTES
                for one in route.parameters
                if one.place == "query"
            ],
        ),
        "## Problems\n\nEach failure has a body of RFC 9457. Decide by the end of its `type` "
        f"(after\n`{problems.TYPE_PREFIX}`), never by its words. 429 and 503 have `Retry-After`.\n",
        table(
            ("problem", "status", "means", "what to do"),
            [
                (f"`{one.name}`", str(one.status), one.title, one.remedy)
                for one in problems.PROBLEMS.values()
                if one.name == "wrong-method"
                or any(one.name in r.problems for r in addresses.ROUTES)
            ],
        ),
        "## Metrics\n",
        _meters(meters.METERS),
    ]
    return "\n".join(parts)


def daemon_page() -> str:
    """Return what each line of the daemon's status means."""
    figures = importlib.import_module("tallystick.daemon.figures").FIGURES
    return (
        "# Daemon status\n\nWhat `tally daemon status` prints, and with `--json` as objects within "
        "objects: `queue.frames` is\n`frames` in `queue`. What none is there is `null` or `{}` in "
        "JSON. How to run one stands in\n[Run the daemon](../howto/run-the-daemon.md), its "
        "settings in\n[Configuration](configuration.md#the-daemon).\n\n"
        + table(
            ("name", "unit", "means"), [(f"`{one.name}`", one.unit, one.purpose) for one in figures]
        )
    )


def solver_page() -> str:
    """Return addresses, problems, meters and reasons of a solver."""
    addresses = importlib.import_module("tallystick.solver.addresses")
    problems = importlib.import_module("tallystick.serve.problem").PROBLEMS
    meters = importlib.import_module("tallystick.solver.meters")
    reasons = importlib.import_module("tallystick.model.decision").REASON_CODES
    return "\n".join(
        [
            "# Solver\n\nWhat the gate says, and what `tally solver serve` serves; how to run one "
            "stands in\n[Run a solver](../howto/run-a-solver.md).\n",
            "## Reasons of a refusal\n\nAll that apply are told. The codes stay; the texts are the "
            "source's where it has them.\n",
            table(("code", "means"), [(f"`{code}`", text) for code, text in reasons.items()]),
            "## Addresses\n",
            table(
                ("address", "for", "needs access", "answers"),
                [
                    (
                        f"`{one.method} {one.path}`",
                        one.purpose,
                        one.need or "none",
                        ", ".join(sorted({*map(str, one.answers), *_told(one.problems, problems)})),
                    )
                    for one in addresses.ADDRESSES
                ],
            ),
            "## Problems\n",
            table(
                ("problem", "status", "means", "what to do"),
                [
                    (
                        f"`{name}`",
                        str(problems[name].status),
                        problems[name].title,
                        problems[name].remedy,
                    )
                    for name in sorted(
                        {name for one in addresses.ADDRESSES for name in one.problems}
                    )
                ],
            ),
            "## Metrics\n",
            _meters(meters.METERS),
        ]
    )


def options_table(variables: Any) -> str:
    """Return a table of settings that are options as well."""
    rows = [
        (
            f"`{one.flag}`",
            f"`{one.environment}`",
            one.kind,
            f"`{one.default}`" if one.default else "none",
            one.purpose,
        )
        for one in variables
    ]
    return table(("option", "variable", "kind", "default", "for"), rows)


def _told(names: Any, problems: Any) -> set[str]:
    return {str(problems[name].status) for name in names}


def _meters(meters: Any) -> str:
    return table(
        ("name", "kind", "labels", "means"),
        [
            (f"`{one.name}`", one.kind, ", ".join(one.labels) or "none", one.purpose)
            for one in meters
        ],
    )


def _statuses(route: Any, problems: Any) -> str:
    replies = {reply.status for reply in route.replies}
    told = {problems[name].status for name in route.problems}
    return ", ".join(map(str, sorted(replies | told)))
