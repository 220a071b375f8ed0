# SPDX-License-Identifier: Apache-2.0
"""A real Ethereum node for tests: anvil, from npm, on a port of its own."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.request import Request, urlopen

ROOT = Path(__file__).resolve().parent.parent
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64", "AMD64": "amd64"}
_PACKAGE = f"anvil-{platform.system().lower()}-{_MACHINES.get(platform.machine(), 'amd64')}"
_BUILT = ROOT / "build" / "anvil" / "node_modules" / "@foundry-rs" / _PACKAGE / "bin" / "anvil"
_LISTENING = re.compile(r"Listening on 127\.0\.0\.1:(\d+)")

MISSING = "needs anvil: `make test` gets it where npm is installed"


def binary() -> str | None:
    """Return the path of the program, if there is one."""
    named = os.environ.get("TALLY_ANVIL")
    if named:
        return named
    return str(_BUILT) if _BUILT.is_file() else shutil.which("anvil")


class Anvil:
    """A node that runs, spoken to by JSON-RPC."""

    def __init__(self, url: str) -> None:
        self.url = url

    def rpc(self, method: str, *arguments: object) -> Any:
        """Call a method, or raise `RuntimeError` with the node's own word."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(arguments)}
        request = Request(self.url, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urlopen(request, timeout=30) as response:
            answer = json.load(response)
        if "error" in answer:
            raise RuntimeError(json.dumps(answer["error"]))
        return answer["result"]


def _port(lines: IO[str]) -> int:
    for line in lines:
        found = _LISTENING.search(line)
        if found:
            return int(found[1])
    raise AssertionError("anvil ended without listening")


@contextmanager
def running(*options: str) -> Iterator[Anvil]:
    """Start a node, and end it."""
    program = binary()
    assert program is not None, MISSING
    command = [program, "--port", "0", "--host", "127.0.0.1", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Anvil(f"http://127.0.0.1:{_port(process.stdout)}")
        finally:
            process.terminate()
            process.communicate(timeout=10)
