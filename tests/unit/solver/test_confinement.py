# SPDX-License-Identifier: Apache-2.0
"""Which confinement works here is found by trying."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tallystick.solver import confinement
from tallystick.solver.confinement import best_kind


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    best_kind.cache_clear()
    yield
    best_kind.cache_clear()


def test_the_strongest_that_works_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bubblewrap comes first, namespaces of our own second, and none last."""
    for works, wanted in (
        ({"bubblewrap", "namespaces"}, "bubblewrap"),
        ({"namespaces"}, "namespaces"),
        (set(), "none"),
    ):
        best_kind.cache_clear()
        monkeypatch.setattr(confinement, "_works", works.__contains__)
        assert best_kind() == (wanted if sys.platform.startswith("linux") else "none")


def test_it_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second question starts no program."""
    asked: list[str] = []

    def never(kind: str) -> bool:
        asked.append(kind)
        return False

    monkeypatch.setattr(confinement, "_works", never)
    assert best_kind() == best_kind() == "none"
    assert len(asked) <= 2


def test_what_is_not_installed_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no program is found, there is no bubblewrap and nothing to try with."""
    monkeypatch.setattr(confinement, "PROGRAMS", "/nonexistent")
    assert best_kind() == "none"


def test_this_machine_gives_an_answer() -> None:
    """The real trial comes to one of the three."""
    assert best_kind() in ("bubblewrap", "namespaces", "none")
