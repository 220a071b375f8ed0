# SPDX-License-Identifier: Apache-2.0
"""The program of a drafting process, spoken to as a process."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ledgers import NOON_MS
from tests.portions import SETTINGS, TANGO, TERMS, here, mixed_bodies, portion_of, usual_bodies

from tallystick.daemon.draft_process import PROGRAM
from tallystick.daemon.portion import Portion, Statement, encoded, ids_in, statements_of
from tallystick.daemon.terms import Terms, draft_settings_of, encoded_terms
from tallystick.verify.companion import Companion
from tallystick.verify.pieces import take_pieces

STUMBLING = """
from tallystick.daemon import draft_program
from tallystick.daemon.draft_program import serve

state = draft_program.state

def stumbling(body, *more):
    if b'"s1"' in body:
        raise RuntimeError("on purpose")
    return state(body, *more)

draft_program.state = stumbling
"""


class Spoken:
    """A process that was told its terms, and has begun."""

    def __init__(self, terms: Terms = TERMS, program: str = PROGRAM) -> None:
        self.companion = Companion(program)
        self._received = bytearray()
        self._pieces: list[bytes] = []
        self.companion.ask(encoded_terms(terms))
        assert self.piece() == b""

    def piece(self) -> bytes:
        """Return the next thing that it says."""
        while not self._pieces:
            self._received += self.companion.read()
            self._pieces += take_pieces(self._received, 1 << 30)
        return self._pieces.pop(0)

    def stated(self, portion: Portion) -> list[Statement | None]:
        """Ask it, and return what it says."""
        self.companion.ask(encoded(portion))
        return statements_of(self.piece(), portion)


@pytest.fixture
def spoken() -> Iterator[Spoken]:
    one = Spoken()
    yield one
    one.companion.end()


def test_it_says_what_would_be_said_here(spoken: Spoken) -> None:
    """Usual and unusual frames, in their order; only the ids are its own."""
    for number in range(3):
        portion = portion_of(mixed_bodies(), number=number, moment_ms=NOON_MS + number)
        stated = spoken.stated(portion)
        assert stated == here(portion, like=stated)
        assert 10 < sum(one is None for one in stated) < 20
    assert spoken.stated(portion_of([])) == []


def test_it_states_by_the_terms_that_it_was_told() -> None:
    """A text that only they call a secret is for who asks."""
    spoken = Spoken(TANGO)
    try:
        portion = portion_of(usual_bodies(4, error="tango 12"))
        assert spoken.stated(portion) == [None] * 4
        portion = portion_of(usual_bodies(4, error="no such file"))
        stated = spoken.stated(portion)
        assert stated == here(portion, draft_settings_of(TANGO), stated)
        assert stated == here(portion, SETTINGS, stated)
    finally:
        spoken.companion.end()


def test_all_ids_differ(spoken: Spoken) -> None:
    """Over portions, and from those of another process; each names its millisecond."""
    other = Spoken()
    try:
        found: list[str] = []
        for at in range(6):
            portion = portion_of(usual_bodies(50), moment_ms=NOON_MS + at // 2)
            for one in (spoken, other)[at % 2].stated(portion):
                assert one is not None
                found += ids_in(one)
        assert len({*found}) == len(found) == 600
        moments = [int(one.replace("-", "")[:12], 16) for one in found]
        assert moments == [NOON_MS + at // 200 for at in range(600)]
    finally:
        other.companion.end()


def test_a_frame_that_it_stumbles_over_harms_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is said of that one: who asked meets the same, and tells."""
    (tmp_path / "stumbling_drafter.py").write_text(STUMBLING)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    spoken = Spoken(program="stumbling_drafter")
    try:
        stated = spoken.stated(portion_of(usual_bodies(9)))
        assert [one is None for one in stated] == [at % 3 == 1 for at in range(9)]
    finally:
        spoken.companion.end()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
def test_it_keeps_to_itself(spoken: Spoken) -> None:
    """Signals to a service are not for it; it dumps no core, and is told nothing of ours."""
    folder = Path(f"/proc/{spoken.companion.pid}")
    (mask,) = re.findall(r"SigIgn:\t([0-9a-f]+)", (folder / "status").read_text())
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        assert int(mask, 16) & 1 << number - 1
        os.kill(spoken.companion.pid, number)
    assert re.search(r"Max core file size +0 +0", (folder / "limits").read_text())
    portion = portion_of(usual_bodies(2))
    assert None not in spoken.stated(portion)
    if os.geteuid() == 0:  # nobody else may look into it
        assert b"HOME=" not in (folder / "environ").read_bytes()
        names = {os.readlink(one) for one in (folder / "fd").iterdir()}
        assert {one.partition(":")[0] for one in names} == {"pipe", "/dev/null"}


def test_it_ends_with_its_input(spoken: Spoken) -> None:
    """Whoever began it is gone, or wants nothing any more: it says nothing, and goes."""
    spoken.companion.ask(encoded(portion_of(usual_bodies(2))))
    spoken.piece()
    spoken.companion._questions.close()
    with pytest.raises(ChildProcessError, match="gone"):
        spoken.piece()
    deadline = time.monotonic() + 20
    while spoken.companion._process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert spoken.companion._process.returncode == 0


@pytest.mark.parametrize("piece", [b"", b"junk", encoded_terms(TERMS)[:-1]])
def test_without_terms_it_does_not_begin(piece: bytes) -> None:
    """What it can't read is its end, and its asker sees it."""
    companion = Companion(PROGRAM)
    try:
        companion.ask(piece)
        with pytest.raises(ChildProcessError, match="gone"):
            companion.read()
    finally:
        companion.end()
