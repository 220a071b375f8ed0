# SPDX-License-Identifier: Apache-2.0
"""The tables of commands: spelled as they are looked up, and without contradictions."""

from __future__ import annotations

import re
import time

from tallystick.model import shell_names
from tallystick.model.taxonomy import RISK_LEVELS, TAXONOMY

SETS = {name: one for name, one in vars(shell_names).items() if isinstance(one, frozenset)}


def test_names_are_in_lower_case() -> None:
    """Commands are looked up folded; options are not commands."""
    for name in ("VALUED", "GIT_VALUED"):
        assert all(one.startswith("-") for one in SETS.pop(name))
    for names in (*SETS.values(), shell_names.BY_NAME, shell_names.GRAVE_ARGUMENTS):
        assert not [one for one in names if one != one.casefold() or "/" in one or " " in one]


def test_what_deletes_is_no_reader() -> None:
    """No command is harmless in one table and grave in another."""
    assert not shell_names.READERS & shell_names.BY_NAME.keys()
    assert not shell_names.READERS & (shell_names.SHELLS | shell_names.DOWNLOADERS)
    assert not shell_names.BUILDERS & shell_names.BY_NAME.keys()


def test_risks_and_types_are_the_taxonomys() -> None:
    """Each row names a risk that exists, and a type whose own risk is not higher than it says."""
    rows = [*shell_names.BY_NAME.values(), *((a, c) for a, _, c in shell_names.GIT_ARGUMENTS)]
    rows += [(a, c) for some in shell_names.GRAVE_ARGUMENTS.values() for a, _, c in some]
    for risk, kind in rows:
        assert risk in RISK_LEVELS
        if kind is not None:
            assert RISK_LEVELS.index(risk) >= RISK_LEVELS.index(TAXONOMY[kind])


def test_patterns_take_linear_time() -> None:
    """No pattern is slow on the longest line that an attacker may choose."""
    patterns = [row[1] for rows in shell_names.GRAVE_ARGUMENTS.values() for row in rows]
    start = time.process_time()
    for pattern in patterns:
        for unit in ("a", " ", "-", "-w", "push ", "ugoa+", "7", " -aaaaaaaa", "+w"):
            re.search(pattern, (unit * 60_000)[:60_000] + "\n")
    assert time.process_time() - start < 20
    for _, pattern, _ in shell_names.GIT_ARGUMENTS:
        begin = time.process_time()
        re.match(pattern, "push " + "branch " * 9000)
        assert time.process_time() - begin < 1
