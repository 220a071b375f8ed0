# SPDX-License-Identifier: Apache-2.0
"""The table of addresses is what the application answers."""

from __future__ import annotations

from tallystick.serve.problem import PROBLEMS
from tallystick.solver.addresses import ADDRESSES
from tallystick.solver.intake import _route_of


def test_each_address_has_its_route() -> None:
    """The path of the table is the label of the metrics, and what is not there is `other`."""
    for one in ADDRESSES:
        path = one.path.replace("{intentId}", "ab" * 32).replace("{runId}", "ab" * 32)
        assert _route_of(path)[0] == one.path
        assert set(one.problems) <= set(PROBLEMS)
    assert _route_of("/nothing")[0] == "other"
    assert _route_of("/intents/../runs")[0] == "other"
