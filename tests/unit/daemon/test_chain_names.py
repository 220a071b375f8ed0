# SPDX-License-Identifier: Apache-2.0
"""What chains are called."""

from __future__ import annotations

import pytest

from tallystick.daemon.chain_names import (
    agent_chain,
    agents_of,
    check_fixed,
    day_of,
    is_of,
    root_of,
    unused,
)
from tallystick.errors import SettingError


def test_days_are_utc() -> None:
    """A day begins at midnight UTC, wherever the machine is."""
    assert day_of(0) == "1970-01-01"
    assert day_of(86_400_000 - 1) == "1970-01-01"
    assert day_of(86_400_000) == "1970-01-02"


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        ("2026-03-10", True),
        ("2026-03-10-2", True),
        ("2026-03-10-11", True),
        ("2026-03-1", False),
        ("2026-03-101", False),
        ("2026-03-10-", False),
        ("2026-03-10-02", False),
        ("2026-03-10-x", False),
        ("2026-03-10-²", False),
        ("2026-03-11", False),
        ("main", False),
    ],
)
def test_whose_root_it_is(root: str, expected: bool) -> None:
    """A root belongs to a day by the day itself or by its number behind it."""
    assert is_of(root, "2026-03-10") is expected


def test_the_next_unused_name() -> None:
    """Numbers begin at 2, as other daemons count, and have no end."""
    used = {"a", *(f"a-{number}" for number in range(2, 100))}
    assert unused("b", used.__contains__) == "b"
    assert unused("a", used.__contains__) == "a-100"


def test_chains_of_agents() -> None:
    """A chain's root is found in its name, also where an agent is called like a folder."""
    chain = agent_chain("2026-03-10", "agent")
    assert chain == "2026-03-10/agent/agent"
    assert chain.startswith(agents_of("2026-03-10"))
    assert root_of(chain) == root_of("2026-03-10") == "2026-03-10"


@pytest.mark.parametrize("name", ["", "a/agent/b", "a\nb", "x" * 257, "é" * 200])
def test_names_that_no_root_may_have(name: str) -> None:
    """A fixed name that would be taken for another chain, or for two lines, is refused."""
    with pytest.raises(SettingError):
        check_fixed(name)
    assert check_fixed("main/x") == "main/x"
