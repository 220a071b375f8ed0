# SPDX-License-Identifier: Apache-2.0
"""One table of hosts' tools: sound types, and the same for classifier and hook."""

from __future__ import annotations

from tallystick.model.classify import classify
from tallystick.model.known_tools import KNOWN_TOOLS, SHELL_TOOLS, host_action_type, tool_types
from tallystick.model.taxonomy import RISK_LEVELS, TAXONOMY


def test_types_are_of_the_taxonomy() -> None:
    """Each type has a default risk, and each risk is one."""
    assert set(tool_types().values()) <= set(TAXONOMY)
    assert {risk for risk, _, _ in KNOWN_TOOLS.values()} <= set(RISK_LEVELS)
    assert all(name == name.lower() for name in tool_types())


def test_the_classifier_reads_the_same_table() -> None:
    """What it says of a tool without arguments is what stands there."""
    for name, row in KNOWN_TOOLS.items():
        assert classify(name) == row


def test_a_name_has_a_type_in_any_case() -> None:
    """Shells run commands; what is not known has no type."""
    assert {host_action_type(one.upper()) for one in SHELL_TOOLS} == {"system.command.execute"}
    assert host_action_type("Read") == "filesystem.file.read"
    assert host_action_type("TodoWrite") is None
    assert host_action_type("frobnicate") is None
