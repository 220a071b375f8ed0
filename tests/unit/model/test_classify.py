# SPDX-License-Identifier: Apache-2.0
"""The classifier: what tools and arguments say, and that a claim is never lowered."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.limits import ARGUMENTS_MAX
from tallystick.model.classify import (
    _found_grades,
    _told_grade,
    claimed_risk,
    classify,
    settled_risk,
)
from tallystick.model.taxonomy import RISK_LEVELS, TAXONOMY, Grade, gravest


@pytest.mark.parametrize(
    ("tool", "server", "arguments", "level", "kind"),
    [
        ("Bash", None, {"command": "ls"}, "low", "filesystem.file.read"),
        ("Bash", None, {"command": "rm -rf /"}, "critical", "filesystem.directory.delete"),
        ("Bash", None, {"command": "pytest"}, "medium", None),
        ("Bash", None, None, "high", "system.command.execute"),
        ("Bash", None, {}, "high", "system.command.execute"),
        ("shell", None, {"command": ["bash", "-lc", "rm x"]}, "high", "filesystem.file.delete"),
        ("shell", None, {"commands": ["ls", "rm -rf x"]}, "critical", None),
        ("exec_command", "codex", {"cmd": "sudo rm x"}, "critical", None),
        ("Read", None, {"file_path": "src/a.py"}, "low", "filesystem.file.read"),
        ("Read", None, {"file_path": "~/.ssh/id_rsa"}, "high", "filesystem.file.read"),
        ("Write", None, {"file_path": "a.py", "content": "rm -rf /"}, "medium", None),
        ("Write", None, {"file_path": "/etc/sudoers"}, "critical", "filesystem.file.modify"),
        ("move_file", "fs", {"source": "a", "destination": "~/.bashrc"}, "high", None),
        ("delete_file", "fs", {"path": ".env"}, "high", None),
        ("read_multiple_files", "fs", {"paths": ["a", {"path": "id_rsa"}]}, "high", None),
        ("list_issues", "github", {"owner": "x"}, "low", "data.api.read"),
        ("deleteRepo", "github", {}, "high", "data.api.delete"),
        ("query", "pg", {"sql": "delete from t"}, "critical", "data.database.modify"),
        ("query", "pg", {"sql": "select 1"}, "low", None),
        ("search", "web", {"query": "drop shipping"}, "low", None),
        ("get_secret", "vault", {}, "high", "data.api.read"),
        ("create_payment", "shop", {}, "critical", "financial.payment.initiate"),
        ("sendEmail", "mail", {}, "high", "communication.message.send"),
        ("browser_tool", "web", {"code": "x()"}, "high", "system.code.execute"),
        ("str_replace_editor", None, {"command": "view", "path": "/x"}, "medium", None),
        ("str_replace_editor", None, {"command": "rm -rf x"}, "critical", None),
        ("frobnicate", "x", {"command": "ls -la"}, "low", None),
        ("Read", "evil", {"file_path": "a"}, "low", "data.api.read"),
    ],
)
def test_actions(
    tool: str, server: str | None, arguments: Any, level: str, kind: str | None
) -> None:
    """Names and arguments of real tools have the risk that a person would give them."""
    grade = classify(tool, arguments, server)
    assert grade is not None
    assert grade.risk == level
    assert kind is None or grade.type == kind


@pytest.mark.parametrize("arguments", [None, {}, [], "x", 1, True, {"a": None}, {"path": 7}])
def test_nothing_is_nothing(arguments: Any) -> None:
    """A tool that nobody knows, with arguments that say nothing, has no grade."""
    assert classify("frobnicate", arguments) is None
    assert classify("日本語", arguments) is None


def test_too_many_arguments_are_grave() -> None:
    """A command can't hide behind a thousand others."""
    grade = classify("frob", {"a": [{"path": "x"}] * (ARGUMENTS_MAX + 1)})
    assert grade is not None
    assert grade.risk == "high"


def test_a_claim_is_never_lowered() -> None:
    """The graver of the two stands; without either it is that of unknown types."""
    low = Grade("low", None, "x")
    assert settled_risk("high", low) == "high"
    assert settled_risk("low", Grade("critical", None, "x")) == "critical"
    assert settled_risk(None, low) == "low"
    assert settled_risk("high", None) == "high"
    assert settled_risk(None, None) == "medium"


def test_the_claim_is_the_types() -> None:
    """Emitters claim by the type alone; types of their own claim nothing."""
    assert claimed_risk("filesystem.file.delete") == "high"
    assert claimed_risk("com.example.thing") is None
    assert claimed_risk(None) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["command", "path", "sql", "code", "x"]), inner)
    ),
    max_leaves=12,
)


@given(st.text(max_size=20), json_values)
def test_any_action_is_graded(tool: str, arguments: Any) -> None:
    """No tool and no arguments fail, and no grade is below its type's own risk."""
    grade = classify(tool, arguments)
    if grade is not None and grade.type is not None:
        floor = TAXONOMY[grade.type]
        assert RISK_LEVELS.index(grade.risk) >= RISK_LEVELS.index(floor)


WORDS = st.sampled_from(
    ["rm -rf /", "ls", "cat ~/.ssh/id_rsa", "~/.bashrc", "drop table t", "select 1", "", "eval(x)"]
)
KEYS = st.sampled_from(["command", "Path", "file", "sql", "code", "note", "dst", "script"])
FLAT = st.dictionaries(KEYS, WORDS | st.none() | st.integers(0, 9) | st.booleans(), max_size=6)
NESTED = st.dictionaries(KEYS, WORDS | FLAT | st.lists(WORDS, max_size=3), max_size=4)


@given(
    FLAT | NESTED | st.lists(WORDS, max_size=3) | WORDS,
    st.sampled_from(["read", "write", "delete"]),
    st.booleans(),
)
def test_the_quick_look_finds_what_the_long_one_finds(
    arguments: object, access: Any, is_shell: bool
) -> None:
    """Arguments without others inside them are looked at more cheaply, to the same end."""
    found = _told_grade(arguments, access, is_shell=is_shell)
    assert found == gravest(_found_grades(arguments, access, is_shell=is_shell))
