# SPDX-License-Identifier: Apache-2.0
"""A server made with the official MCP SDK: what tools do in it is what clients ask of servers."""

from __future__ import annotations

import asyncio
from typing import Annotated

from mcp.server.mcpserver import Context, Elicit, MCPServer, Resolve
from pydantic import BaseModel

server = MCPServer("sdk")


class Consent(BaseModel):
    """What the client is asked for."""

    ok: bool


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def fail(why: str) -> str:
    """Raise."""
    raise ValueError(why)


@server.tool()
async def slow(steps: int, context: Context) -> str:
    """Tell of its progress."""
    for step in range(steps):
        await context.report_progress(step + 1, steps, f"step {step + 1}")
    return "done"


def consent() -> Elicit[Consent]:
    """Ask the client's user."""
    return Elicit("may I?", Consent)


@server.tool()
async def ask(given: Annotated[Consent, Resolve(consent)]) -> str:
    """Do what needs consent: by a request of the server, or in a second round of the call."""
    return f"consent: {given.ok}"


@server.tool()
def long(length: int) -> str:
    """Return a long text."""
    return "é" * length


@server.tool()
async def hang() -> str:
    """Never answer."""
    await asyncio.sleep(3600)
    return "never"


@server.resource("memo://one")
def memo() -> str:
    """Return a memo."""
    return "a memo"


@server.prompt()
def greet(name: str) -> str:
    """Return a prompt."""
    return f"greet {name}"


if __name__ == "__main__":
    server.run()
