# SPDX-License-Identifier: Apache-2.0
"""One event in, one frame out, and an exit code that never blocks the agent."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.frame_listener import FrameListener
from tests.hook_payloads import claude, codex

from tallystick.channels import hook as module
from tallystick.channels.hook import main
from tallystick.limits import FRAME_PAYLOAD_BYTES_MAX
from tallystick.model.frame import parse_frame


@pytest.fixture(autouse=True)
def no_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the end of the hook's time from being that of the tests."""
    monkeypatch.setattr(module, "_end_within", lambda *_given: None)


def run(
    event: Any, *arguments: str, host: str = "claude-code", environ: dict[str, str] | None = None
) -> int:
    """Give the hook one event on standard input."""
    data = event if isinstance(event, bytes) else json.dumps(event).encode()
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb") as file:
            file.write(data)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        return main([host, *arguments], descriptor=reading, environ=environ or {})
    finally:
        writer.join()
        os.close(reading)


def test_an_event_is_delivered() -> None:
    """The frame asks for an answer, names the channel, and has a key of its own."""
    with FrameListener() as listener:
        assert run(claude("PostToolUse"), "--socket", listener.path) == 0
        assert run(codex("PostToolUse"), "--socket", listener.path, host="codex") == 0
        listener.wait(2)
    one, two = listener.frames
    assert (one.channel, two.channel) == ("claude-code", "codex")
    assert one.ack
    assert two.ack
    assert one.idempotency_key != two.idempotency_key


def test_what_is_no_action_is_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """Other events end with 0, without a daemon and without a word."""
    assert run(claude("Stop"), "--socket", "/nowhere/s") == 0
    assert capfd.readouterr() == ("", "")


def test_no_daemon_and_no_spool(capfd: pytest.CaptureFixture[str]) -> None:
    """A loss is told on standard error with exit code 1; standard output stays empty."""
    assert run(claude("PreToolUse"), "--socket", "/nowhere/s") == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("tally-hook: no daemon took the connection")
    assert err.count("\n") == 1


@pytest.mark.parametrize("variable", ["TALLY_SPOOL", "XDG_DATA_HOME", "HOME", None])
def test_no_daemon_but_a_spool(tmp_path: Path, variable: str | None) -> None:
    """The frame waits where it was told to, or among the user's data; that is a success."""
    spool = tmp_path / "a" / "b"
    environ = {} if variable is None else {variable: str(spool)}
    more = ["--spool", str(spool)] if variable is None else []
    assert run(claude("PreToolUse"), "--socket", "/nowhere/s", *more, environ=environ) == 0
    (frame,) = spool.rglob("*.frame")
    assert json.loads(frame.read_bytes())["late"] is True


def test_what_waited_is_sent_with_the_next_outcome(tmp_path: Path) -> None:
    """A later hook sends what earlier ones left; an attempt does not wait for that."""
    spool = ["--spool", str(tmp_path / "spool")]
    assert run(claude("PreToolUse"), "--socket", "/nowhere/s", *spool) == 0
    with FrameListener() as listener:
        assert run(claude("PreToolUse"), "--socket", listener.path, *spool) == 0
        assert len(listener.frames) == 1
        assert run(claude("PostToolUse"), "--socket", listener.path, *spool) == 0
        listener.wait(3)
    assert [one.late for one in listener.frames] == [False, False, True]
    assert list((tmp_path / "spool").glob("*.frame")) == []


def test_large_payloads_go_along_by_hash() -> None:
    """What is larger than a frame holds is recorded all the same: ids, names, hash and size."""
    big = {"file_path": "/a", "content": "x" * FRAME_PAYLOAD_BYTES_MAX}
    with FrameListener() as listener:
        event = claude("PostToolUse", tool_name="Write", tool_input=big, tool_response="ok")
        assert run(event, "--socket", listener.path) == 0
        listener.wait(1)
    (frame,) = listener.frames
    assert frame.tool.name == "Write"
    assert set(frame.input) == {"omitted"}
    assert frame.input["omitted"]["bytes"] > FRAME_PAYLOAD_BYTES_MAX
    assert frame.target_resource == "/a"


def test_an_error_of_control_characters_costs_no_receipt() -> None:
    """What a tool wrote into its error does not take the record of its failure away."""
    event = claude("PostToolUseFailure", error="\0" * 600_000, tool_input={"a": "x" * 400_000})
    with FrameListener() as listener:
        assert run(event, "--socket", listener.path) == 0
        listener.wait(1)
    (frame,) = listener.frames
    assert frame.error is not None
    assert set(frame.error) == {"\0"}


@pytest.mark.parametrize("hostile", ["\ud800", 2**63, [[[["x"] * 3] * 3] * 3]])
def test_values_that_no_frame_holds(hostile: object) -> None:
    """Half of a surrogate pair or a number that no double holds costs no receipt."""
    with FrameListener() as listener:
        assert run(claude("PreToolUse", tool_input={"a": hostile}), "--socket", listener.path) == 0
        listener.wait(1)
    assert listener.frames[0].drop_count == 0


def test_what_cannot_be_read_is_recorded(tmp_path: Path) -> None:
    """Input that is no JSON leaves a frame with its hash, in the session that the host names."""
    environ = {"CLAUDE_CODE_SESSION_ID": "s-1"}
    with FrameListener() as listener:
        assert run(b'{"a":1,"a":2}', "--socket", listener.path, environ=environ) == 0
        listener.wait(1)
    (frame,) = listener.frames
    assert (frame.tool.name, frame.session_id) == ("unparsed", "s-1")
    assert frame.error is not None
    assert frame.input["omitted"]["bytes"] == 13


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["cursor"],
        ["claude-code", "--socket"],
        ["codex", "--what", "x"],
        ["--help", "x"],
        ["codex", "--spool", "a", "--spool", "b"],
    ],
)
def test_wrong_usage_does_not_block(
    arguments: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, never 2: hosts take 2 for a refusal of the call."""
    assert main(arguments, environ={}) == 1
    assert "usage" in capfd.readouterr().err


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help(flag: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Who asks by hand is told what it is for, and how it ends; nothing is read or sent."""
    assert main([flag], descriptor=-1, environ={}) == 0
    told = capfd.readouterr()
    assert "tally hook install" in told.out
    assert "never 2" in told.out
    assert told.err == ""


def test_a_bug_of_ours_does_not_block(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whatever is raised ends with 1, in one line without the payload."""
    from tallystick.channels import claude_code

    def broken(_event: object) -> list[dict[str, object]]:
        raise KeyError("secret")

    monkeypatch.setattr(claude_code, "frames_of", broken)
    assert run(claude("PreToolUse")) == 1
    assert capfd.readouterr().err == "tally-hook: a bug of ours: KeyError\n"


def deep(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "event",
    [
        claude("PreToolUse", tool_input={"a": deep(100)}),
        claude("PreToolUse", tool_input={"a": [{}] * 70_000}),
        claude("PreToolUse", tool_name="Read", tool_input={"file_path": "/a\ud800"}),
    ],
)
def test_what_no_frame_holds_waits_as_what_a_frame_holds(event: Any, tmp_path: Path) -> None:
    """With no daemon there, a frame is kept that the daemon will take, not one it will refuse."""
    spool = tmp_path / "spool"
    assert run(event, "--socket", str(tmp_path / "none.sock"), "--spool", str(spool)) == 0
    (kept,) = spool.glob("*.frame")
    assert "omitted" in str(parse_frame(kept.read_bytes()).input)


def test_an_input_whose_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is recorded, though nothing is known of it."""

    def late(_descriptor: int) -> None:
        raise TimeoutError("not within 8 s")

    monkeypatch.setattr(module, "read_event", late)
    with FrameListener() as listener:
        assert main(["codex", "--socket", listener.path], environ={}) == 0
        listener.wait(1)
    assert listener.frames[0].tool.name == "unparsed"
