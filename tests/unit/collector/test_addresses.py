# SPDX-License-Identifier: Apache-2.0
"""The table of addresses."""

from __future__ import annotations

from tallystick.collector.addresses import ROUTES
from tallystick.serve.problem import PROBLEMS


def test_each_address_is_whole() -> None:
    """Known problems, one row for each method, a sentence, and a parameter for each brace."""
    assert len({(route.path, route.method) for route in ROUTES}) == len(ROUTES)
    for route in ROUTES:
        assert set(route.problems) <= set(PROBLEMS)
        assert route.summary.endswith(".")
        assert route.path.count("{") == sum(one.place == "path" for one in route.parameters)
        assert bool(route.takes) is (route.method == "post")


def test_every_problem_is_some_address_s() -> None:
    """None is in the table of problems for nothing."""
    told = {name for route in ROUTES for name in route.problems}
    # No operation of a document has the first; the others are a solver's.
    assert set(PROBLEMS) - told == {"wrong-method", "malformed-intent", "already-accepted"}
