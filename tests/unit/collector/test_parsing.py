# SPDX-License-Identifier: Apache-2.0
"""Who parses a batch, and that the answer is the same whoever does."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from tests.collectors import Clock
from tests.lines import honest_lines, strange_lines

from tallystick.collector import parser_process, parsing
from tallystick.collector.ingest import parse_submissions
from tallystick.collector.meters import METERS
from tallystick.collector.parser_process import ParserProcess
from tallystick.collector.parsing import Parsing
from tallystick.collector.portion import Parsed, is_same
from tallystick.limits import PARSER_LINES_MIN, PARSER_PAUSE_MS, PARSER_PORTIONS_MAX
from tallystick.model.submission import Submission
from tallystick.serve.metrics import Meters
from tallystick.serve.problem import Refusal

MOST = 2_000_000
LINES = honest_lines(200)
MIXED = [one for pair in zip(LINES, strange_lines() * 2, strict=False) for one in pair]


def same(found: list[Parsed], lines: list[bytes], tenant: str = "t") -> bool:
    here = parse_submissions(tenant, lines)
    return all(is_same(one, other) for one, other in zip(found, here, strict=True))


def with_parsing(
    work: Callable[[Parsing, Clock], Awaitable[None]], *, may_ask: bool = True, most: int = MOST
) -> bytes:
    """Run work, close, and return the metrics."""
    meters, clock = Meters(METERS), Clock()

    async def run() -> None:
        parses = Parsing(most, meters, may_ask=may_ask, clock=lambda: clock() / 1000)
        try:
            async with asyncio.timeout(20):
                await work(parses, clock)
        finally:
            pid = parses.process.pid if parses.process else None
            parses.close()
            assert pid is None or not Path(f"/proc/{pid}").exists()

    asyncio.run(run())
    return meters.render()


async def started(parses: Parsing) -> ParserProcess:
    """Begin its process with a batch, and return it when it is ready."""
    assert same(await parses.parse("t", LINES), LINES)
    process = parses.process
    assert process is not None
    while not process.is_ready:
        await asyncio.sleep(0.005)
    return process


def test_few_lines_start_no_process() -> None:
    """Single posts and small batches are parsed where they are; so is all, where none may run."""

    async def few(parses: Parsing, _clock: Clock) -> None:
        lines = MIXED[: PARSER_LINES_MIN - 1]
        assert same(await parses.parse("t", lines), lines)
        assert parses.process is None

    async def many(parses: Parsing, _clock: Clock) -> None:
        assert same(await parses.parse("t", MIXED), MIXED)
        assert parses.process is None

    with_parsing(few)
    with_parsing(many, may_ask=False)


def test_the_answer_is_the_same_whoever_parses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the process is ready and while it is, when nothing is parsed here; several at once."""
    here: list[int] = []

    async def work(parses: Parsing, _clock: Clock) -> None:
        await started(parses)
        monkeypatch.setattr(
            parsing, "parse_submissions", lambda _tenant, lines: here.append(len(lines))
        )
        found = await asyncio.gather(*(parses.parse(f"t{at}", MIXED) for at in range(4)))
        assert all(same(one, MIXED, f"t{at}") for at, one in enumerate(found))

    assert b"tally_parser_lost_total 0" in with_parsing(work)
    assert here == []


def test_what_the_process_has_no_room_for_is_parsed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has much to do already is not waited for."""
    monkeypatch.setattr(parser_process, "PARSER_PORTIONS_MAX", 2)

    async def work(parses: Parsing, _clock: Clock) -> None:
        process = await started(parses)
        os.kill(process.pid, signal.SIGSTOP)
        waits = asyncio.gather(*(parses.parse("t", LINES[:64]) for _ in range(2)))
        await asyncio.sleep(0)
        assert same(await parses.parse("t", MIXED), MIXED)
        os.kill(process.pid, signal.SIGCONT)
        assert all(same(one, LINES[:64]) for one in await waits)

    with_parsing(work)


def test_in_a_crowd_each_batch_has_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few batches don't take all the room, so that none of many is parsed here."""
    here: list[int] = []

    async def work(parses: Parsing, _clock: Clock) -> None:
        process = await started(parses)
        monkeypatch.setattr(
            parsing, "parse_submissions", lambda _tenant, lines: here.append(len(lines))
        )
        os.kill(process.pid, signal.SIGSTOP)
        lines = LINES[:64] * 10
        waits = asyncio.gather(*(parses.parse("t", lines) for _ in range(15)))
        half = PARSER_PORTIONS_MAX // 2
        async with asyncio.timeout(20):
            while process.waiting <= half:
                await asyncio.sleep(0)
        for _ in range(100):  # turns in which more could be handed over
            await asyncio.sleep(0)
        assert half < process.waiting < PARSER_PORTIONS_MAX
        os.kill(process.pid, signal.SIGCONT)
        assert all(same(one, lines) for one in await waits)

    with_parsing(work)
    assert here == []


def test_odd_lines_let_others_have_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is parsed here stops the loop for a few lines at most."""
    taken: list[int] = []
    turns: list[int] = []

    def slowly(tenant: str, lines: Sequence[bytes]) -> list[Submission | Refusal]:
        taken.append(len(lines))
        return parse_submissions(tenant, lines)

    async def others() -> None:
        while True:
            turns.append(len(taken))
            await asyncio.sleep(0)

    async def work(parses: Parsing, _clock: Clock) -> None:
        other = asyncio.ensure_future(others())
        assert same(await parses.parse("t", LINES[:64]), LINES[:64])
        other.cancel()

    monkeypatch.setattr(parsing, "parse_submissions", slowly)
    with_parsing(work, may_ask=False)
    assert max(taken) <= 8
    assert {*range(1, len(taken))} <= {*turns}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_process_that_is_lost_costs_no_answer(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told once, and counted; the next one begins after a pause."""

    async def work(parses: Parsing, clock: Clock) -> None:
        process = await started(parses)
        with monkeypatch.context() as hasty:
            hasty.setattr(parser_process, "PARSER_PATIENCE_MS", 200)
            os.kill(process.pid, number)
            found = await asyncio.gather(*(parses.parse(f"t{at}", MIXED) for at in range(3)))
        assert all(same(one, MIXED, f"t{at}") for at, one in enumerate(found))
        assert parses.process is None
        clock.passes(PARSER_PAUSE_MS / 1000 - 1)
        assert same(await parses.parse("t", LINES), LINES)
        assert parses.process is None
        clock.passes(1)
        assert (await started(parses)).pid != process.pid

    assert b"tally_parser_lost_total 1" in with_parsing(work)
    assert [one.msg for one in caplog.records] == ["parser_lost"]


def test_a_process_that_answers_wrongly_is_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever made it read something else will do so again."""

    async def work(parses: Parsing, clock: Clock) -> None:
        process = await started(parses)
        monkeypatch.setattr(parser_process, "parse_submissions", lambda _t, _l: [Refusal("x", "y")])
        assert same(await parses.parse("t", LINES), LINES)
        assert process.is_over
        clock.passes(10 * PARSER_PAUSE_MS / 1000)
        assert same(await parses.parse("t", LINES), LINES)
        assert parses.process is None

    assert b"tally_parser_lost_total 1" in with_parsing(work)


def test_one_that_cannot_be_started_is_tried_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system refuses a process for now, this one parses."""

    async def work(parses: Parsing, clock: Clock) -> None:
        with monkeypatch.context() as without:
            without.setattr("sys.executable", "/nothing/python3")
            assert same(await parses.parse("t", MIXED), MIXED)
        assert same(await parses.parse("t", MIXED), MIXED)
        assert parses.process is None
        clock.passes(PARSER_PAUSE_MS / 1000)
        await started(parses)

    assert b"tally_parser_lost_total 1" in with_parsing(work)


def test_a_line_over_the_cap_goes_nowhere() -> None:
    """It is refused for its size, also among lines that the process parses."""
    lines = [*LINES[:70], b'"' + b"x" * 5000 + b'"', *LINES[70:]]

    async def work(parses: Parsing, _clock: Clock) -> None:
        await started(parses)
        found = await parses.parse("t", lines)
        names = [one.name for one in found if isinstance(one, Refusal)]
        assert names == ["too-large"]
        assert not isinstance(found[70], Submission)

    with_parsing(work, most=4000)


def test_a_client_that_goes_takes_nobody_with_it() -> None:
    """A batch whose task is ended leaves the process to the others."""

    async def work(parses: Parsing, _clock: Clock) -> None:
        process = await started(parses)
        os.kill(process.pid, signal.SIGSTOP)
        gone = asyncio.create_task(parses.parse("gone", LINES))
        await asyncio.sleep(0.01)
        gone.cancel()
        stays = asyncio.create_task(parses.parse("t", MIXED))
        os.kill(process.pid, signal.SIGCONT)
        assert same(await stays, MIXED)
        assert parses.process is process

    with_parsing(work)
