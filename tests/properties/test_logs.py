# SPDX-License-Identifier: Apache-2.0
"""What takes minutes of a log: a tree of a million leaves, and as many framing attempts as ever."""

from __future__ import annotations

import pytest
from tests.framing import check_framing
from tests.large_tree import check_a_large_tree


@pytest.mark.soak
def test_a_tree_of_a_million() -> None:
    """Grown leaf by leaf, it equals the definition at every place looked at."""
    check_a_large_tree(1_000_000)


@pytest.mark.soak
def test_no_assembly_frames_an_honest_log() -> None:
    """As many assemblies as the format was fuzzed with when it was made; none convicts."""
    check_framing(171_300, seed=2)
