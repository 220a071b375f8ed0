# SPDX-License-Identifier: Apache-2.0
"""A fresh chain for each test."""

from __future__ import annotations

import pytest
from tests.contracts.world import World, deployed


@pytest.fixture
def world() -> World:
    """The contracts, wired, and one solver with ten ether."""
    return deployed()
