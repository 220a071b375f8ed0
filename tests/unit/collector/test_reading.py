# SPDX-License-Identifier: Apache-2.0
"""What the read side makes of a store; how it answers over HTTP is tested with the app."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.material import chain_of, wire

from tallystick.collector.ingest import parse_submission
from tallystick.collector.reading import Reading
from tallystick.limits import READ_PAGE_RECEIPTS_MAX
from tallystick.serve.problem import Refusal
from tallystick.store.opening import open_log_store

COUNT = 2 * READ_PAGE_RECEIPTS_MAX + 3


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reading]:
    """Return a reader of a real store with one chain."""
    store = open_log_store(str(tmp_path_factory.mktemp("store") / "c.db"))
    store.place([parse_submission("t", wire(one)) for one in chain_of(COUNT)])
    made = Reading(store)
    yield made
    made.close()
    store.close()


async def body_of(response: Any) -> bytes:
    return b"".join([part async for part in response.body_iterator])


def test_a_chain_is_read_in_pages_and_off_the_loop(reading: Reading) -> None:
    """However long it is, only one page of it is held at a time."""
    seen: list[tuple[int, str]] = []
    inner = reading._store.chain

    class Store:
        def chain(self, *given: Any, **named: Any) -> Any:
            seen.append((named["limit"], threading.current_thread().name))
            return inner(*given, **named)

    other = Reading(Store())  # type: ignore[arg-type]  # all that this read asks for

    async def read() -> bytes:
        return await body_of(await other.chain("t", "chain:a", {}))

    assert asyncio.run(read()).count(b"\n") == COUNT
    assert [limit for limit, _ in seen] == [READ_PAGE_RECEIPTS_MAX] * 3
    assert all(name.startswith("tally-read") for _, name in seen)
    other.close()


def test_a_head_reads_one_page_only(reading: Reading) -> None:
    """Nobody is sent the lines, so nobody reads them all."""

    async def read() -> bytes:
        return await body_of(await reading.chain("t", "chain:a", {}, is_head=True))

    assert asyncio.run(read()).count(b"\n") == READ_PAGE_RECEIPTS_MAX


@pytest.mark.parametrize("after", ["-1:-1", "0:0", f"{COUNT}:{COUNT}"])
def test_reading_on_after_the_end_is_empty_and_no_404(reading: Reading, after: str) -> None:
    """A cursor that was valid stays so."""

    async def read() -> bytes:
        return await body_of(await reading.chain("t", "chain:a", {"after": after}))

    lines = asyncio.run(read()).count(b"\n")
    assert lines == (0 if after.startswith(str(COUNT)) else COUNT)


def test_another_tenant_sees_nothing(reading: Reading) -> None:
    """Not even that something is there."""
    with pytest.raises(Refusal) as caught:
        asyncio.run(reading.chain("u", "chain:a", {}))
    assert caught.value.name == "not-found"
    with pytest.raises(Refusal):
        asyncio.run(reading.receipt("u", chain_of(1)[0]["id"]))


@pytest.mark.parametrize("query", [{"limit": "٣"}, {"limit": "+1"}, {"limit": "1 "}, {"x": ""}])
def test_numbers_have_one_spelling(reading: Reading, query: dict[str, str]) -> None:
    """Other digits, signs and blanks are refused."""
    with pytest.raises(Refusal) as caught:
        asyncio.run(reading.chain("t", "chain:a", query))
    assert caught.value.name == "bad-parameter"


def test_bodies_are_what_was_stored(reading: Reading, tmp_path: Path) -> None:
    """Byte for byte, with the leaf as their tag."""
    body = wire(chain_of(COUNT)[5])
    response = asyncio.run(reading.receipt("t", chain_of(COUNT)[5]["id"]))
    assert response.body == body
    leaf = response.headers["etag"].strip('"')
    assert asyncio.run(reading.leaf("t", leaf)).body == body
