# SPDX-License-Identifier: Apache-2.0
"""Many threads and many tasks write one chain over the whole way: log, HTTP, collector."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import material
from tests.collector import StoringCollector
from tests.misbehaving import Exchange, answer, closing, drop

from tallystick import (
    FileWal,
    HttpEmitter,
    HttpEmitterConfig,
    MemoryWal,
    ReceiptChain,
    Wal,
    WalEmitter,
    verify_chain,
)

WRITERS = 64
READ = {"type": "filesystem.file.read"}
SUCCESS = {"status": "success"}


@pytest.fixture
def collector() -> Iterator[StoringCollector]:
    with StoringCollector() as found:
        yield found


def chain_over(collector: StoringCollector, wal: Wal) -> ReceiptChain:
    """Return a chain that is delivered through a log over HTTP."""
    return ReceiptChain(
        signer=material.KEY,
        issuer={"id": material.ISSUER},
        principal={"id": "did:user:u"},
        emitter=WalEmitter(inner=HttpEmitter(HttpEmitterConfig(collector.url)), wal=wal),
    )


def write_together(chain: ReceiptChain, per_writer: int) -> list[str]:
    """Emit from 64 threads and from 64 tasks at the same time; return the ids they were given."""
    ids: list[str] = []
    start = threading.Barrier(WRITERS + 1)

    def in_a_thread() -> None:
        start.wait(20)
        ids.extend(chain.emit(READ, SUCCESS).id for _ in range(per_writer))

    async def in_a_task(number: int) -> None:
        for _ in range(per_writer):
            if number % 2:
                ids.append((await chain.aemit(READ, SUCCESS)).id)
            else:
                async with chain.action(READ) as call:
                    call.result = number

    async def tasks() -> None:
        await asyncio.gather(*(in_a_task(number) for number in range(WRITERS)))

    threads = [threading.Thread(target=in_a_thread) for _ in range(WRITERS)]
    for thread in threads:
        thread.start()
    start.wait(20)
    asyncio.run(tasks())
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return ids


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_one_chain(
    collector: StoringCollector, tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    """64 threads and 64 tasks: every emit that returned is at the collector, once and in order,
    over one connection; one chain, contiguous, verified; one warning that calls overlap."""
    wal: Wal = MemoryWal() if kind == "memory" else FileWal(tmp_path / "wal")
    per_writer = 4
    chain = chain_over(collector, wal)
    ids = write_together(chain, per_writer)
    chain.close()
    wal.close()
    # Half of the tasks emit once each time, the other half twice: call and result.
    expected = WRITERS * per_writer + WRITERS // 2 * per_writer * 3 + 1
    assert set(ids) <= set(collector.stored)
    assert len(set(ids)) == len(ids) == WRITERS * per_writer * 3 // 2
    assert collector.sequences == list(range(1, expected + 1))
    report = verify_chain(
        collector.lines, material.KEY.public_key, expected_length=expected, require_terminal=True
    ).ensure()
    assert "incomplete_tool_roundtrip" not in report.codes()
    assert len(collector.requests) == expected
    assert collector.connections == 1
    assert sum("put in order" in record.getMessage() for record in caplog.records) == 1


def test_a_bad_connection(collector: StoringCollector) -> None:
    """The same while the collector fails now and then: every emit still returns, and nothing is
    lost, twice or out of order."""
    trouble = [drop, answer(503), closing(answer(503, "Retry-After: 0")), collector.store_and_drop]
    collector.does(*trouble, *[collector.store] * 50, *trouble, *[collector.store] * 50, *trouble)
    chain = chain_over(collector, MemoryWal())
    write_together(chain, 2)
    chain.close()
    assert collector.sequences == list(range(1, len(collector.stored) + 1))
    verify_chain(
        collector.lines,
        material.KEY.public_key,
        expected_length=WRITERS * 2 + WRITERS // 2 * 2 * 3 + 1,
        require_terminal=True,
    ).ensure()


def test_the_event_loop_is_never_blocked(collector: StoringCollector) -> None:
    """While a collector takes its time, the loop goes on ticking: here it waits for those ticks."""
    asked, ticked = threading.Event(), threading.Event()

    def slowly(exchange: Exchange) -> bool:
        asked.set()
        return ticked.wait(20) and collector.store(exchange)

    async def work() -> None:
        emitting = asyncio.create_task(chain.aemit(READ, SUCCESS))
        while not asked.is_set():
            await asyncio.sleep(0.005)
        for _ in range(10):
            await asyncio.sleep(0.005)
        ticked.set()
        await emitting

    collector.does(slowly)
    chain = chain_over(collector, MemoryWal())
    asyncio.run(work())
    assert len(collector.requests) == 1
