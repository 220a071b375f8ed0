# SPDX-License-Identifier: Apache-2.0
"""How a test says that a call must be refused, and for what."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.contracts.revm import Reverted


@contextmanager
def refused(name: str) -> Iterator[None]:
    """Expect a call to be refused with an error of that name."""
    with pytest.raises(Reverted) as caught:
        yield
    assert caught.value.name == name
