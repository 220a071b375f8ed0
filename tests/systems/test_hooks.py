# SPDX-License-Identifier: Apache-2.0
"""Hooks as hosts run them, and a real daemon: nothing lost, nothing blocked, little spent."""

from __future__ import annotations

import json
import resource
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.command import tally
from tests.hook_payloads import assistant_line, claude, codex, rollout_line
from tests.running_daemon import RunningDaemon, daemon_home

import tallystick
from tallystick.channels.hook_config import hook_command, hook_host, installed

# The whole process, against an interpreter that does nothing.
START_RATIO_MAX = 3.0
AT_ONCE = 64


@pytest.fixture
def daemon() -> Iterator[RunningDaemon]:
    """Yield a daemon that is not started yet."""
    with daemon_home() as one:
        yield one


def line(daemon: RunningDaemon, host: str = "claude-code") -> list[str]:
    return shlex.split(hook_command(host, socket=daemon.socket, spool=str(daemon.folder / "spool")))


def start(daemon: RunningDaemon, event: dict[str, Any], host: str) -> subprocess.Popen[bytes]:
    """Start a hook as its host does, with its event on standard input."""
    running = subprocess.Popen(
        line(daemon, host),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={},
        cwd="/",
    )
    assert running.stdin is not None
    running.stdin.write(json.dumps(event).encode())
    running.stdin.close()
    running.stdin = None
    return running


def hook(daemon: RunningDaemon, event: dict[str, Any], host: str = "claude-code") -> None:
    """Run a hook; it must succeed, and say nothing."""
    running = start(daemon, event, host)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, out, err) == (0, b"", b"")


def receipts(daemon: RunningDaemon, *more: str) -> list[dict[str, Any]]:
    """Return what is in the store, oldest first."""
    answer = tally("list", "--store", daemon.store, "--json", "--limit", "1000", *more)
    assert answer.code == 0, answer.err
    return [json.loads(one) for one in answer.out.splitlines()][::-1]


def calls(daemon: RunningDaemon) -> list[str]:
    return [
        one["credentialSubject"]["correlation_id"]
        for one in receipts(daemon)
        if "correlation_id" in one["credentialSubject"]
    ]


def spooled(daemon: RunningDaemon) -> list[Path]:
    return list((daemon.folder / "spool").glob("*.frame"))


def test_a_session_of_claude_code(daemon: RunningDaemon) -> None:
    """Each event of a session has its receipt, with ids, type, model, outcome and target."""
    daemon.start()
    transcript = daemon.folder / "t.jsonl"
    transcript.write_text(json.dumps(assistant_line("toolu_1")) + "\n")
    path = {"transcript_path": str(transcript), "tool_use_id": "toolu_1"}
    hook(daemon, claude("SessionStart"))
    hook(daemon, claude("PreToolUse", **path))
    hook(daemon, claude("PostToolUse", **path))
    hook(daemon, claude("PreToolUse", tool_use_id="toolu_2", tool_name="mcp__github__search"))
    hook(
        daemon, claude("PostToolUseFailure", tool_use_id="toolu_2", tool_name="mcp__github__search")
    )
    hook(daemon, claude("SubagentStart"))
    hook(daemon, claude("PostToolUse", agent_id="a1b2c3", agent_type="Explore", tool_name="Read",
                        tool_input={"file_path": "/etc/hosts"}, tool_use_id="toolu_3"))  # fmt: skip
    hook(daemon, claude("SubagentStop"))
    hook(daemon, claude("SessionEnd"))
    daemon.end()
    daemon.verify()
    told = [one for one in receipts(daemon) if "session_id" in one["issuer"]]
    names = [one["credentialSubject"]["action"]["tool_name"] for one in told]
    assert names == ["SessionStart", "Bash", "Bash", "search", "search", "SubagentStart", "Read",
                     "SubagentStop", "SessionEnd"]  # fmt: skip
    states = [one["credentialSubject"]["outcome"]["status"] for one in told]
    assert states[1:5] == ["pending", "success", "pending", "failure"]
    assert told[2]["issuer"]["runtime"]["model"] == "claude-x-5"
    assert told[2]["issuer"]["runtime"]["usage"]["output_tokens"] == 34
    assert told[4]["credentialSubject"]["outcome"]["error"].startswith("Exit code 3")
    action = told[6]["credentialSubject"]["action"]
    assert action["type"] == "filesystem.file.read"
    assert action["target"] == {"system": "filesystem", "resource": "/etc/hosts"}
    assert told[6]["issuer"]["runtime"]["agent_id"] == "a1b2c3"
    chains = {one["credentialSubject"]["chain"]["chain_id"] for one in told[5:8]}
    assert all(one.endswith("/agent/a1b2c3") for one in chains)


def test_a_session_of_codex(daemon: RunningDaemon) -> None:
    """What Codex tells no hook, its rollout file does: failures are failures."""
    daemon.start()
    rollout = daemon.folder / "rollout.jsonl"
    path = {"transcript_path": str(rollout)}
    rollout.write_text(json.dumps(rollout_line("call_1", exit_code=0)) + "\n")
    hook(daemon, codex("PreToolUse", tool_use_id="call_1", **path), "codex")
    hook(daemon, codex("PostToolUse", tool_use_id="call_1", **path), "codex")
    hook(daemon, codex("PreToolUse", tool_use_id="call_2", tool_name="mcp__demo__add"), "codex")
    failed = rollout_line("call_2", server="demo", tool="add", status="failed")
    rollout.write_text(rollout.read_text() + json.dumps(failed) + "\n")
    hook(daemon, codex("Stop", **path), "codex")
    daemon.end()
    daemon.verify()
    told = [one["credentialSubject"] for one in receipts(daemon)][:-1]
    assert [(one["correlation_id"], one["outcome"]["status"]) for one in told] == [
        ("call_1", "pending"), ("call_1", "success"), ("call_2", "pending"), ("call_2", "failure"),
    ]  # fmt: skip


@pytest.mark.parametrize("is_up", [True, False])
def test_64_at_once_lose_nothing(daemon: RunningDaemon, *, is_up: bool) -> None:
    """With a daemon all are recorded; without one all wait, and are recorded later as late."""
    if is_up:
        daemon.start()
    wanted = [f"toolu_{number}" for number in range(AT_ONCE)]
    running = [
        start(daemon, claude("PostToolUse", tool_use_id=one), "claude-code") for one in wanted
    ]
    ended = [(one.communicate(timeout=120), one.returncode) for one in running]
    assert {code for _, code in ended} == {0}, ended
    if not is_up:
        assert len(spooled(daemon)) == AT_ONCE
        daemon.start()
    end = time.monotonic() + 60
    while spooled(daemon) and time.monotonic() < end:
        hook(daemon, claude("SessionEnd"))
    assert spooled(daemon) == []
    daemon.end()
    daemon.verify()
    # A daemon that is too busy to answer in time may have one twice, under one key.
    assert set(calls(daemon)) == set(wanted)
    facts = [one["issuer"].get("runtime", {}).get("tallystick", {}) for one in receipts(daemon)]
    assert is_up or sum("late" in one for one in facts) >= AT_ONCE
    assert "events_dropped" not in json.dumps(receipts(daemon))


def test_a_daemon_that_is_killed_loses_nothing(daemon: RunningDaemon) -> None:
    """Hooks that ended well while it was killed and started again: each call is in the chain."""
    wanted = []
    daemon.start()
    for round_ in range(3):
        running = []
        for number in range(8):
            wanted.append(f"toolu_{round_}_{number}")
            running.append(
                start(daemon, claude("PostToolUse", tool_use_id=wanted[-1]), "claude-code")
            )
        time.sleep(0.02 * round_)
        daemon.end(signal.SIGKILL)
        ended = [(one.communicate(timeout=60)[1], one.returncode) for one in running]
        assert set(ended) == {(b"", 0)}
        daemon.start()
    end = time.monotonic() + 60
    hook(daemon, claude("SessionEnd"))
    while spooled(daemon) and time.monotonic() < end:
        hook(daemon, claude("SessionEnd"))
    daemon.end()
    daemon.verify()
    # One whose answer got lost may be there twice, under one key.
    assert set(calls(daemon)) == set(wanted)


def test_a_daemon_that_hangs_does_not_hang_the_agent(daemon: RunningDaemon) -> None:
    """A daemon that is stopped takes frames and answers none: the hook spools, and ends in time."""
    daemon.start()
    hook(daemon, claude("PreToolUse"))
    daemon.signal(signal.SIGSTOP)
    before = time.monotonic()
    try:
        hook(daemon, claude("PreToolUse", tool_use_id="toolu_late"))
        took = time.monotonic() - before
    finally:
        daemon.signal(signal.SIGCONT)
    assert took < 20  # it waits for two seconds, and has 45 in all
    assert len(spooled(daemon)) == 1
    daemon.end()


def test_what_the_installer_writes_is_what_runs(daemon: RunningDaemon, tmp_path: Path) -> None:
    """The line in the settings, given to a shell as hosts do, makes a receipt."""
    daemon.start()
    known = hook_host("claude-code", {"HOME": str(tmp_path)})
    command = hook_command("claude-code", socket=daemon.socket)
    change, _ = installed(known, known.path, command)
    change.apply()
    settings = json.loads(Path(known.path).read_text())
    (group,) = settings["hooks"]["PostToolUse"]
    (handler,) = group["hooks"]
    event = json.dumps(claude("PostToolUse", tool_use_id="toolu_shell")).encode()
    done = subprocess.run(handler["command"], shell=True, input=event, check=False)
    assert done.returncode == 0
    daemon.end()
    assert calls(daemon) == ["toolu_shell"]


def test_the_process_is_small(daemon: RunningDaemon) -> None:
    """Start, parse, send, wait for the answer, end: three times a bare interpreter at most."""
    daemon.start()
    event = json.dumps(claude("PostToolUse")).encode()

    def seconds(command: list[str]) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, input=event, check=True, env={})
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    seconds(line(daemon))  # compiles
    bare, hooks = [], []
    for _ in range(15):
        bare.append(seconds([sys.executable, "-I", "-S", "-c", "pass"]))
        hooks.append(seconds(line(daemon)))
    daemon.end()
    assert min(hooks) / min(bare) <= START_RATIO_MAX, (min(hooks), min(bare))


def test_a_host_that_never_ends_its_input(daemon: RunningDaemon) -> None:
    """The hook ends by itself; what came is recorded by its hash."""
    spool = daemon.folder / "spool"
    program = (
        f"import sys; sys.path.append({str(Path(tallystick.__file__).parents[1])!r})\n"
        "from tallystick.channels import hook\n"
        "hook.HOOK_INPUT_S_MAX = 1\n"
        f"sys.exit(hook.main(['codex', '--socket', {daemon.socket!r}, '--spool', {str(spool)!r}]))"
    )
    running = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", program], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert running.stdin is not None
    running.stdin.write(b'{"hook_event_name":')
    running.stdin.flush()
    assert running.wait(timeout=30) == 0
    assert running.stderr is not None
    assert running.stderr.read() == b""
    (kept,) = spool.glob("*.frame")
    frame = json.loads(kept.read_bytes())
    assert frame["tool"] == {"name": "unparsed"}
    assert frame["input"]["omitted"]["bytes"] == 19
    running.stdin.close()
    running.stderr.close()
