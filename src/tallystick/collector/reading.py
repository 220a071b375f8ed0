# SPDX-License-Identifier: Apache-2.0
"""The read side, for auditors: receipts byte for byte, and chains, page by page.

A caller sees the receipts of its own tenant and learns nothing of others: what belongs to another
tenant is as little there as what never was.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from tallystick.limits import (
    CHAINS_PAGE_MAX,
    IDENTIFIER_CHARS_MAX,
    READ_PAGE_RECEIPTS_MAX,
    READERS_MAX,
    TREE_SIZE_MAX,
)
from tallystick.model.shapes import instant_ns, is_moment
from tallystick.model.submission import ChainSummary, Stored
from tallystick.ports import LogStore
from tallystick.serve.problem import Refusal

RECEIPT_TYPE: Final = "application/ld+json"
LINES_TYPE: Final = "application/x-ndjson"

_CHAINS_PAGE: Final = 100
_EPOCH_NS: Final = instant_ns("1970-01-01T00:00:00Z")
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_LEAF: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_CURSOR: Final = re.compile(r"(-1|0|[1-9][0-9]{0,15}):(-1|0|[1-9][0-9]{0,18})", re.ASCII)
_START: Final = (-2, -1)  # before a receipt without a sequence, which counts as -1
# Line feeds stand between the values of a receipt, never within: as blanks they change nothing.
_ONE_LINE: Final = bytes.maketrans(b"\r\n", b"  ")
_ENCODE: Final = msgspec.json.Encoder().encode

_T = TypeVar("_T")


class Reading:
    """Reads a store for callers, a few at a time and off the event loop."""

    def __init__(self, store: LogStore) -> None:
        self._store = store
        self._readers = ThreadPoolExecutor(READERS_MAX, thread_name_prefix="tally-read")

    def close(self) -> None:
        """Let go of the threads."""
        self._readers.shutdown(wait=False, cancel_futures=True)

    async def run(self, work: Callable[[], _T]) -> _T:
        """Run a read of the store on a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, work)

    async def receipt(self, tenant: str, receipt_id: str) -> Any:
        """Return the one receipt of an id; or the leaves to choose from where several share it."""
        from starlette.responses import Response

        if len(receipt_id) > IDENTIFIER_CHARS_MAX or "\0" in receipt_id:
            raise Refusal("not-found", "no receipt has such an id")
        found = await self.run(lambda: self._store.by_id(tenant, receipt_id))
        if not found:
            raise Refusal("not-found", "no receipt has this id")
        if len(found) == 1:
            return _receipt(found[0])
        leaves = [one.leaf_hash.hex() for one in found]
        body = _ENCODE({"id": receipt_id, "leaves": leaves})
        headers = {"Cache-Control": "no-cache"}
        return Response(body, 300, headers=headers, media_type="application/json")

    async def leaf(self, tenant: str, text: str) -> Any:
        """Return the receipt of one leaf of the log."""
        if not _LEAF.fullmatch(text):
            raise Refusal("bad-parameter", "a leaf hash is 64 lower-case hex digits")
        found = await self.run(lambda: self._store.by_leaf(tenant, bytes.fromhex(text)))
        if found is None:
            raise Refusal("not-found", "no receipt has this leaf hash")
        return _receipt(found)

    async def chains(self, tenant: str, query: Mapping[str, str]) -> Any:
        """Return one page of the chains of a tenant."""
        from starlette.responses import Response

        _know(query, {"issuer", "since", "after", "limit"})
        limit = _number(query, "limit", _CHAINS_PAGE, 1, CHAINS_PAGE_MAX)
        after = _number(query, "after", -1, 0, TREE_SIZE_MAX)
        issuer, since_ms = query.get("issuer"), _moment(query.get("since"))
        found = await self.run(
            lambda: self._store.chains(
                tenant, issuer=issuer, since_ms=since_ms, after=after, limit=limit
            )
        )
        page: dict[str, Any] = {"chains": [_chain(one) for one in found]}
        if len(found) == limit:
            rest = {**query, "after": str(found[-1].first_index)}
            page["next"] = f"/chains?{urlencode(rest)}"
        headers = {"Cache-Control": "no-cache"}
        return Response(_ENCODE(page), headers=headers, media_type="application/json")

    async def chain(
        self, tenant: str, chain_id: str, query: Mapping[str, str], *, is_head: bool = False
    ) -> Any:
        """Return the receipts of a chain as lines, all of them or one page."""
        from starlette.responses import StreamingResponse

        _know(query, {"after", "limit"})
        limit = _number(query, "limit", 0, 1, READ_PAGE_RECEIPTS_MAX)
        after = _cursor(query.get("after"))
        if not chain_id or len(chain_id) > IDENTIFIER_CHARS_MAX or "\0" in chain_id:
            raise Refusal("not-found", "no chain has such an id")
        first = await self._page(tenant, chain_id, after, limit or READ_PAGE_RECEIPTS_MAX)
        if not first and after == _START:
            raise Refusal("not-found", "no chain has this id")
        headers = {"Cache-Control": "no-cache"}
        if limit and len(first) == limit:
            rest = urlencode({"after": _spelled(_place(first[-1])), "limit": limit})
            headers["Link"] = f'</chains/{quote(chain_id, safe="")}?{rest}>; rel="next"'
        lines = self._lines(tenant, chain_id, first, is_page=bool(limit) or is_head)
        return StreamingResponse(lines, headers=headers, media_type=LINES_TYPE)

    async def _lines(
        self, tenant: str, chain_id: str, page: tuple[Stored, ...], *, is_page: bool
    ) -> AsyncIterator[bytes]:
        while page:
            yield b"".join(one.body.translate(_ONE_LINE) + b"\n" for one in page)
            if is_page or len(page) < READ_PAGE_RECEIPTS_MAX:
                return
            page = await self._page(tenant, chain_id, _place(page[-1]), READ_PAGE_RECEIPTS_MAX)

    async def _page(
        self, tenant: str, chain_id: str, after: tuple[int, int], limit: int
    ) -> tuple[Stored, ...]:
        return await self.run(lambda: self._store.chain(tenant, chain_id, after=after, limit=limit))


def _receipt(stored: Stored) -> Any:
    from starlette.responses import Response

    leaf = stored.leaf_hash.hex()
    headers = {
        "Cache-Control": "private, no-cache",
        "ETag": f'"{leaf}"',
        "Content-Location": f"/receipts/leaf/{leaf}",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(stored.body, headers=headers, media_type=RECEIPT_TYPE)


def _chain(found: ChainSummary) -> dict[str, Any]:
    return {
        "chain_id": found.chain_id,
        "issuer": found.issuer,
        "length": found.length,
        "last_sequence": found.last_sequence,
        "termination": found.termination,
        "first_index": found.first_index,
        "last_index": found.last_index,
        "first_time": _instant(found.first_time_ms),
        "last_time": _instant(found.last_time_ms),
    }


def _instant(time_ms: int) -> str:
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _place(stored: Stored) -> tuple[int, int]:
    return (-1 if stored.sequence is None else stored.sequence), stored.index


def _spelled(place: tuple[int, int]) -> str:
    return f"{place[0]}:{place[1]}"


def _know(query: Mapping[str, str], names: set[str]) -> None:
    unknown = sorted(set(query) - names)
    if unknown:
        raise Refusal("bad-parameter", f"{unknown[0][:40]!r} is not a parameter here")


def _number(query: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not _NUMBER.fullmatch(text) or not least <= int(text) <= most:
        raise Refusal("bad-parameter", f"{name} is a number from {least} to {most}")
    return int(text)


def _cursor(text: str | None) -> tuple[int, int]:
    if text is None:
        return _START
    parts = _CURSOR.fullmatch(text)
    if parts is None or int(parts[2]) > TREE_SIZE_MAX:
        raise Refusal("bad-parameter", "after is SEQUENCE:INDEX of the last receipt that was seen")
    return int(parts[1]), int(parts[2])


def _moment(text: str | None) -> int | None:
    if text is None:
        return None
    if not is_moment(text):
        raise Refusal("bad-parameter", "since is a moment like 2026-05-04T03:02:01Z")
    return (instant_ns(text) - _EPOCH_NS) // 1_000_000
