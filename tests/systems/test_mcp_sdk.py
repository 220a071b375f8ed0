# SPDX-License-Identifier: Apache-2.0
"""The official SDK as client and as server, with the proxy between them and without it."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, ClientSession, MCPError, StdioServerParameters, stdio_client
from mcp.types import ElicitResult
from tests.command import SOURCE, process
from tests.daemons import DaemonHome
from tests.proxies import of_calls, told

SERVER = [sys.executable, str(Path(__file__).parent.parent / "sdk_server.py")]
pytestmark = pytest.mark.filterwarnings("ignore")  # the SDK's own


async def conversation(session: Any) -> list[Any]:
    """Say all that clients say, and return what came back of it."""
    progress: list[Any] = []

    async def on_progress(done: float, total: float | None, message: str | None) -> None:
        progress.append((done, total, message))

    found: list[Any] = []
    found.append([tool.model_dump() for tool in (await session.list_tools()).tools])
    found.append((await session.call_tool("add", {"a": 2, "b": 3})).model_dump())
    found.append((await session.call_tool("fail", {"why": "as asked"})).model_dump())
    found.append((await session.call_tool("add", {"a": "x"})).model_dump())
    found.append(
        (await session.call_tool("slow", {"steps": 3}, progress_callback=on_progress)).model_dump()
    )
    found.append((await session.call_tool("long", {"length": 700_000})).model_dump())
    found.append((await session.read_resource("memo://one")).model_dump())
    found.append((await session.get_prompt("greet", {"name": "Ada"})).model_dump())
    found.append((await session.call_tool("ask", {})).model_dump())
    for work in (
        session.call_tool("nothing", {}),
        session.read_resource("memo://nothing"),
    ):
        try:
            found.append((await work).model_dump())
        except MCPError as fault:
            found.append((fault.error.code, fault.error.message))
    many = await asyncio.gather(*(session.call_tool("add", {"a": n, "b": n}) for n in range(20)))
    found.append([one.model_dump() for one in many])
    try:
        await session.call_tool("hang", {}, read_timeout_seconds=0.3)
    except MCPError as fault:
        found.append((fault.error.code, fault.error.message))
    found.append(progress)
    return found


async def elicited(context: Any, params: Any) -> ElicitResult:
    """Answer what the server asks."""
    return ElicitResult(action="accept", content={"ok": True})


async def handshake(command: list[str], variables: dict[str, str]) -> list[Any]:
    """Speak as clients did until 2025-11-25, over `initialize`."""
    given = StdioServerParameters(command=command[0], args=command[1:], env=variables)
    async with (
        stdio_client(given) as (read, write),
        ClientSession(read, write, elicitation_callback=elicited) as session,
    ):
        first = (await session.initialize()).model_dump()
        await session.send_ping()
        return [first, *await conversation(session)]


async def stateless(command: list[str], variables: dict[str, str]) -> list[Any]:
    """Speak as clients do from 2026-07-28 on: no handshake, calls in several rounds."""
    given = StdioServerParameters(command=command[0], args=command[1:], env=variables)
    async with Client(stdio_client(given), elicitation_callback=elicited) as client:
        return [client.protocol_version, *await conversation(client)]


@pytest.mark.parametrize("speak", [handshake, stateless])
def test_a_client_can_not_tell(speak: Any, tmp_path: Path) -> None:
    """All answers, errors and notifications are the same with the proxy and without it.

    Each call has its two receipts, all in one chain that verifies.
    """
    home = DaemonHome(tmp_path / "home")
    variables = {
        "PYTHONPATH": str(SOURCE),
        "PATH": os.environ["PATH"],
        "AGENTRECEIPTS_SOCKET": home.socket,
        "TALLY_SPOOL": str(tmp_path / "spool"),
    }
    bare = asyncio.run(speak(SERVER, variables))
    with home.daemon() as daemon:
        through = asyncio.run(
            speak(process("mcp", "run", "--name", "sdk", "--", *SERVER), variables)
        )
        assert daemon.stop() == 0
    assert through == bare
    found = of_calls(home)
    receipts = [told(one) for one in found]
    assert receipts.count(("add", "pending", "pending")) == 22
    assert receipts.count(("add", "allowed", "success")) == 21
    assert ("fail", "allowed", "failure") in receipts
    assert ("resources/read", "allowed", "success") in receipts
    assert ("prompts/get", "allowed", "success") in receipts
    assert ("long", "allowed", "success") in receipts
    asked = [one for one in found if told(one)[0] == "ask"]
    # In rounds, each of them has its own pair; all belong to one call.
    assert [told(one)[1:] for one in asked][-1] == ("allowed", "success")
    assert len({one["credentialSubject"]["correlation_id"] for one in asked}) == 1
    assert len(asked) == (2 if speak is handshake else 4)
    assert (("elicitation/create", "allowed", "success") in receipts) is (speak is handshake)
