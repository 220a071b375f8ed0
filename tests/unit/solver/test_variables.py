# SPDX-License-Identifier: Apache-2.0
"""The table of settings: names of the source, and nothing twice."""

from __future__ import annotations

from tallystick.solver.variables import GATE, RUN, SOLVER


def test_the_sources_names_are_there() -> None:
    """The gate is set up as in the source."""
    assert {
        "POLICY_JOBTYPE_ALLOWLIST",
        "POLICY_REQUESTER_ALLOWLIST",
        "POLICY_MAX_ARTIFACT_MB",
    } <= {one.environment for one in GATE}
    assert "TALLY_SOLVER_HOME" in {one.environment for one in RUN}


def test_nothing_is_set_twice() -> None:
    """Each name and each variable is there once, and says what it is for."""
    for names in ([one.name for one in SOLVER], [one.environment for one in SOLVER]):
        assert len(set(names)) == len(names)
    assert all(one.purpose.endswith(".") for one in SOLVER)
