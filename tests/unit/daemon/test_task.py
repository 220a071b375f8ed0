# SPDX-License-Identifier: Apache-2.0
"""What is done between two commits: whoever asked for it hears how it went."""

from __future__ import annotations

from typing import Any

import pytest

from tallystick.daemon.task import Task
from tallystick.errors import StoreError


def test_who_asked_hears_the_result() -> None:
    """Once, and without a fault."""
    heard: list[tuple[Any, Any]] = []
    Task(lambda: 7, lambda result, fault: heard.append((result, fault))).do()
    assert heard == [(7, None)]


def test_a_fault_is_told_and_only_the_stores_is_the_end() -> None:
    """Whatever else goes wrong is between the two of them."""
    heard: list[Any] = []
    Task(lambda: 1 // 0, lambda _, fault: heard.append(type(fault))).do()
    with pytest.raises(StoreError, match="gone"):
        Task(gone, lambda _, fault: heard.append(type(fault))).do()
    assert heard == [ZeroDivisionError, StoreError]


def test_one_that_cannot_be_told_holds_up_nobody() -> None:
    """The thread goes on."""
    told: list[Any] = []

    def fails(result: Any, _: Exception | None) -> None:
        told.append(result)
        raise RuntimeError("on purpose")

    Task(lambda: 7, fails).do()
    assert told == [7]


def test_who_was_told_is_not_told_again() -> None:
    """What fails later, of others, changes nothing of what this one has heard."""
    heard: list[tuple[Any, Any]] = []
    task = Task(lambda: 7, lambda result, fault: heard.append((result, fault)))
    task.do()
    task.tell(None, StoreError("the disk is gone"))
    assert heard == [(7, None)]


def gone() -> None:
    """Do what the store can't."""
    raise StoreError("the disk is gone")
