# SPDX-License-Identifier: Apache-2.0
"""The order of manifests: contiguous, each naming the one before it, whatever a crash left open."""

from __future__ import annotations

import threading
from itertools import count
from pathlib import Path

import pytest

from tallystick.errors import RunError
from tallystick.model.manifest import manifest_sha256
from tallystick.solver.home import SolverHome, run_id_of
from tallystick.solver.lineage import next_place, written_manifest

_RUNS = [run_id_of("ab" * 32, number) for number in range(1, 5)]


@pytest.fixture
def home(tmp_path: Path) -> SolverHome:
    """Return a new home."""
    found = SolverHome(tmp_path)
    found.make()
    return found


def _clock() -> int:
    return 0


def _write(home: SolverHome, run_id: str, text: bytes) -> str:
    evidence = Path(home.run(run_id)) / "evidence"
    evidence.mkdir(parents=True)
    (evidence / "manifest.json").write_bytes(text + b"\n")
    return manifest_sha256(text)


def _take(home: SolverHome, run_id: str) -> tuple[int, str | None, str]:
    with next_place(home, run_id, _clock) as (place, confirm):
        digest = _write(home, run_id, run_id.encode())
        confirm(digest)
    return place.number, place.previous, digest


def test_each_place_names_the_one_before(home: SolverHome) -> None:
    """Numbers have no gap, and the first has no predecessor."""
    before = None
    for number, run_id in enumerate(_RUNS, start=1):
        found = _take(home, run_id)
        assert found[:2] == (number, before)
        before = found[2]


def test_a_claim_whose_manifest_is_there_is_settled_by_it(home: SolverHome) -> None:
    """A crash between the manifest and its confirmation leaves no gap: the next one names it."""
    with next_place(home, _RUNS[0], _clock):
        digest = _write(home, _RUNS[0], b"first")
    assert _take(home, _RUNS[1])[:2] == (2, digest)


def test_a_claim_without_a_manifest_is_void(home: SolverHome) -> None:
    """A crash before the manifest frees the place, however often it happens."""
    _, _, first = _take(home, _RUNS[0])
    for _ in range(3):
        with next_place(home, _RUNS[1], _clock) as (place, _):
            assert (place.number, place.previous) == (2, first)
    assert _take(home, _RUNS[2])[:2] == (2, first)


def test_places_are_given_one_at_a_time(home: SolverHome) -> None:
    """Threads that want a place get different ones, in one chain."""
    found, numbers = [], count(1)
    runs = [run_id_of("cd" * 32, next(numbers)) for _ in range(8)]
    threads = [threading.Thread(target=lambda r=r: found.append(_take(home, r))) for r in runs]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)
    found.sort()
    assert [one[0] for one in found] == list(range(1, 9))
    assert [one[1] for one in found[1:]] == [one[2] for one in found[:-1]]


def test_a_manifest_ends_with_its_newline(home: SolverHome) -> None:
    """A file that does not is no manifest of ours; one that is not there is none."""
    assert written_manifest(home.run(_RUNS[0])) is None
    _write(home, _RUNS[0], b"x")
    assert written_manifest(home.run(_RUNS[0])) == b"x"
    (Path(home.run(_RUNS[0])) / "evidence" / "manifest.json").write_bytes(b"x")
    with pytest.raises(RunError, match="does not end"):
        written_manifest(home.run(_RUNS[0]))


def test_places_do_not_go_back_in_time(home: SolverHome) -> None:
    """A clock that was set back, or a run that began later, makes no manifest before another."""
    times = iter((3 * 10**9, 10**9, 0, 0, 0))
    moments = []
    for run_id, text in zip(_RUNS[:2], (b"1", b"2"), strict=True):
        with next_place(home, run_id, lambda: next(times)) as (place, confirm):
            confirm(_write(home, run_id, text))
            moments.append(place.at)
    with next_place(home, _RUNS[2], _clock, not_before="2000-01-01T00:00:00.000Z") as (place, _):
        moments.append(place.at)
    assert moments[0] == moments[1] == "1970-01-01T00:00:03.000Z"
    assert moments[2] == "2000-01-01T00:00:00.000Z"
