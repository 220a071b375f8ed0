# SPDX-License-Identifier: Apache-2.0
"""A second process that parses: what it says, and everything that may become of it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.lines import honest_lines, strange_lines

from tallystick.collector import parser_process
from tallystick.collector.ingest import parse_submissions
from tallystick.collector.parser_process import PROGRAM, ParserProcess
from tallystick.collector.portion import is_same
from tallystick.limits import PARSER_BYTES_MAX, PARSER_PORTIONS_MAX

LINES = honest_lines(64)


class Asked:
    """A process under test, and what was said when it was lost."""

    def __init__(self, program: str = PROGRAM) -> None:
        self.lost: list[tuple[str, bool]] = []
        self.process = ParserProcess(
            lambda why, is_broken: self.lost.append((why, is_broken)), program
        )

    async def ready(self) -> None:
        while not self.process.is_ready:
            assert not self.lost
            await asyncio.sleep(0.005)


def with_process(work: Callable[[Asked], Awaitable[None]], program: str = PROGRAM) -> list[Any]:
    """Run work with a process, end it, and return what was said of its loss."""

    async def run() -> list[Any]:
        asked = Asked(program)
        try:
            async with asyncio.timeout(20):
                await work(asked)
        finally:
            asked.process.end()
        assert not Path(f"/proc/{asked.process.pid}").exists()
        return asked.lost

    return asyncio.run(run())


def test_portions_say_what_they_would_say_here() -> None:
    """Honest and hostile lines, many portions at once, for several tenants; nothing is lost."""
    portions = [LINES, strange_lines(), [b"x"], LINES[::-1]] * 6

    async def work(asked: Asked) -> None:
        tenants = [f"t{at}" for at in range(len(portions))]
        told = [
            asked.process.ask(tenant, lines)
            for tenant, lines in zip(tenants, portions, strict=True)
        ]
        for one, tenant, lines in zip(told, tenants, portions, strict=True):
            found = await one
            assert found is not None
            for there, here in zip(found, parse_submissions(tenant, lines), strict=True):
                assert is_same(there, here)

    assert with_process(work) == []


def test_more_than_the_pipe_holds_waits_here() -> None:
    """While it is stopped nobody waits in a write; then all is answered in order."""
    large = [b'{"a":"' + b"x" * 1_000_000 + b'"}']

    async def work(asked: Asked) -> None:
        await asked.ready()
        os.kill(asked.process.pid, signal.SIGSTOP)
        assert asked.process.has_room(PARSER_BYTES_MAX + 1)  # alone, any portion is taken
        told = [asked.process.ask("t", large if at % 2 else LINES) for at in range(8)]
        assert not asked.process.has_room(PARSER_BYTES_MAX)
        assert asked.process.has_room(1)
        told += [asked.process.ask("t", [b"{}"]) for _ in range(PARSER_PORTIONS_MAX - 8)]
        assert not asked.process.has_room(1)
        os.kill(asked.process.pid, signal.SIGCONT)
        found = [await one for one in told]
        assert [len(one or ()) for one in found] == [64, 1] * 4 + [1] * (PARSER_PORTIONS_MAX - 8)
        assert asked.process.has_room(PARSER_BYTES_MAX)

    assert with_process(work) == []


def test_one_that_is_killed_is_lost_at_once() -> None:
    """Whoever waits is told nothing, and so is who asks later."""

    async def work(asked: Asked) -> None:
        await asked.ready()
        os.kill(asked.process.pid, signal.SIGSTOP)
        told = [asked.process.ask("t", LINES) for _ in range(3)]
        os.kill(asked.process.pid, signal.SIGKILL)
        assert [await one for one in told] == [None] * 3
        assert asked.process.is_over

    ((reason, is_broken),) = with_process(work)
    assert reason in ("it is gone", "it takes no more: Broken pipe")
    assert not is_broken


def test_one_that_does_nothing_is_lost_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever stopped it has not stopped the collector."""

    async def work(asked: Asked) -> None:
        await asked.ready()
        monkeypatch.setattr(parser_process, "PARSER_PATIENCE_MS", 200)
        os.kill(asked.process.pid, signal.SIGSTOP)
        assert await asked.process.ask("t", LINES) is None

    assert with_process(work) == [("it does nothing", False)]


def test_one_that_begins_is_given_more_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for it yet; one that never begins is lost, too."""
    monkeypatch.setattr(parser_process, "PARSER_PATIENCE_MS", 40)

    async def work(asked: Asked) -> None:
        os.kill(asked.process.pid, signal.SIGSTOP)
        await asyncio.sleep(0.1)
        assert not asked.lost
        while not asked.lost:
            await asyncio.sleep(0.01)

    assert with_process(work) == [("it does nothing", False)]


def test_a_portion_that_nobody_waits_for_is_no_harm() -> None:
    """A client that has gone takes no answer of another."""

    async def work(asked: Asked) -> None:
        asked.process.ask("t", LINES).cancel()
        found = await asked.process.ask("t", [b"{}", *LINES])
        assert found is not None
        assert len(found) == 65

    assert with_process(work) == []


def test_its_end_leaves_nobody_waiting() -> None:
    """Who still waits is told nothing; the end again, and after the loop's end, does nothing."""

    async def work(asked: Asked) -> None:
        told = asked.process.ask("t", LINES)
        asked.process.end()
        assert await told is None
        asked.process.end()

    assert with_process(work) == []

    async def begin() -> Asked:
        return Asked()

    left = asyncio.run(begin())
    left.process.end()
    assert not Path(f"/proc/{left.process.pid}").exists()


STRANGE = {
    "says nothing and ends": ("", "it is gone", False),
    "answers at once": (
        "answers.write(framed(b'')); answers.flush(); list(pieces(questions))",
        "another form",
        True,
    ),
    "announces gigabytes": (
        "answers.write(b'\\xff' * 9); answers.flush(); list(pieces(questions))",
        "bytes",
        True,
    ),
    "answers twice": (
        "for one in pieces(questions):\n"
        "        number, lines = lines_asked(one)\n"
        "        piece = framed(answer(number, parse_submissions('', lines)))\n"
        "        answers.write(piece + piece); answers.flush()",
        "it was not asked|something else",
        True,
    ),
    "mixes lines up": (
        "for one in pieces(questions):\n"
        "        number, lines = lines_asked(one)\n"
        "        piece = framed(answer(number, parse_submissions('', lines)[::-1]))\n"
        "        answers.write(piece); answers.flush()",
        "reads something else",
        True,
    ),
    "goes wrong one day": (
        "for one in pieces(questions):\n"
        "        number, lines = lines_asked(one)\n"
        "        turn = -1 if number > 20 else 1\n"
        "        piece = framed(answer(number, parse_submissions('', lines)[::turn]))\n"
        "        answers.write(piece); answers.flush()",
        "reads something else",
        True,
    ),
    "answers another portion": (
        "for one in pieces(questions):\n"
        "        number, lines = lines_asked(one)\n"
        "        piece = framed(answer(number ^ (number > 1), parse_submissions('', lines)))\n"
        "        answers.write(piece); answers.flush()",
        "to something else",
        True,
    ),
}
_PROGRAM = """
from tallystick.collector.ingest import parse_submissions
from tallystick.collector.portion import answer, lines_asked
from tallystick.verify.pieces import framed, pieces

def serve(questions, answers):
    {}
"""


@pytest.mark.parametrize("name", STRANGE)
def test_strange_answers_are_none(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of them is taken; the process is lost, once, with a reason."""
    body, reason, is_broken = STRANGE[name]
    (tmp_path / "strange_parser.py").write_text(_PROGRAM.format(body or "pass"))
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    async def work(asked: Asked) -> None:
        told = [asked.process.ask("t", LINES) for _ in range(30)]
        assert [await one for one in told][-1] is None

    ((told, broken),) = with_process(work, "strange_parser")
    assert any(one in told for one in reason.split("|"))
    assert broken is is_broken
