# SPDX-License-Identifier: Apache-2.0
"""The one small file: it runs in an isolated interpreter, and imports little."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.hook_payloads import claude

from tallystick.channels import hook_start

HEAVY = {"re", "enum", "typing", "asyncio", "click", "cryptography", "hashlib", "logging",
         "msgspec", "nacl", "pathlib", "rfc8785", "rich", "signal", "site", "socket", "ssl",
         "subprocess", "uuid"}  # fmt: skip
# `json` needs `re`, and `re` needs `enum`; nothing else does.
NEEDED = {"re", "enum"}


def isolated(
    *arguments: str, event: object = None, given: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-I", "-S", *arguments],
        input=json.dumps(event).encode() if given is None else given,
        capture_output=True,
        check=False,
        cwd="/",
        env={},
    )


def test_it_runs_without_packages_and_environment() -> None:
    """An isolated interpreter finds the rest from the file's own place."""
    done = isolated(hook_start.__file__, "claude-code", event=claude("Stop"))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("given", [b"{", b'{"a"', b'{"a": 1', b"[1", b'"a', b'"\n"', b'"\\x"'])
def test_an_input_that_is_cut_off_is_recorded(tmp_path: Path, given: bytes) -> None:
    """Also by an interpreter that has not imported what JSON's own faults are made of."""
    spool = tmp_path / "spool"
    places = ("--socket", "/nowhere/s", "--spool", str(spool))
    done = isolated(hook_start.__file__, "claude-code", *places, given=given)
    assert (done.returncode, done.stderr) == (0, b"")
    [frame] = spool.glob("*.frame")
    assert b"is not strict JSON" in frame.read_bytes()


def test_a_transcript_that_is_cut_off_costs_no_receipt(tmp_path: Path) -> None:
    """The host may just be writing its last line."""
    event = claude("PreToolUse")
    written = tmp_path / "transcript.jsonl"
    written.write_text(f'{{"type": "assistant", "id": "{event["tool_use_id"]}')
    event["transcript_path"] = str(written)
    spool = tmp_path / "spool"
    places = ("--socket", "/nowhere/s", "--spool", str(spool))
    done = isolated(hook_start.__file__, "claude-code", *places, event=event)
    assert (done.returncode, done.stderr) == (0, b"")
    [frame] = spool.glob("*.frame")
    assert event["tool_use_id"].encode() in frame.read_bytes()


def test_it_imports_little() -> None:
    """Up to the attempt to connect, nothing heavy is loaded, and no folder is searched for it."""
    program = (
        "import sys\n"
        f"sys.path.append({hook_start.__file__.rpartition('/tallystick/channels/')[0]!r})\n"
        "from tallystick.channels.hook import main\n"
        "main(['claude-code', '--socket', '/nowhere/s'], environ={})\n"
        "print(*sys.modules)"
    )
    before = isolated("-c", "import sys; print(*sys.modules)").stdout.split()
    after = isolated("-c", program, event=claude("PreToolUse")).stdout.split()
    loaded = {one.decode() for one in set(after) - set(before)}
    assert "tallystick.deliver.daemon_line" in loaded
    assert not (loaded & HEAVY) - NEEDED


def test_it_stays_small() -> None:
    """This file is compiled at each start, since nobody keeps what became of it."""
    assert Path(hook_start.__file__).stat().st_size < 2048
