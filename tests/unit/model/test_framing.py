# SPDX-License-Identifier: Apache-2.0
"""The emitter's side: cheap to import, exact in its bytes, and the same paths as everybody's."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tallystick.limits import FRAME_BYTES_MAX
from tallystick.model.framing import (
    body_bytes,
    data_home,
    default_socket_path,
    encode_frame,
    framed,
    read_answer,
)


def test_a_body_follows_its_length() -> None:
    """Four bytes, big-endian, then the body."""
    assert framed(b"{}") == b"\x00\x00\x00\x02{}"
    assert body_bytes(framed(b"x" * 300)[:4]) == 300


@pytest.mark.parametrize("size", [0, FRAME_BYTES_MAX + 1])
def test_impossible_lengths_are_refused(size: int) -> None:
    """An empty frame and one over the limit are refused on both sides."""
    with pytest.raises(ValueError, match="limit"):
        framed(b"x" * size)
    with pytest.raises(ValueError, match="limit"):
        body_bytes(size.to_bytes(4, "big"))


def test_members_that_are_none_are_left_out() -> None:
    """The body is compact UTF-8, with the version first."""
    body = encode_frame({"channel": "sdk", "error": None, "input": {"x": None, "ö": 1}})
    assert body == '{"v":"1","channel":"sdk","input":{"x":null,"ö":1}}'.encode()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, "\ud800"])
def test_what_is_no_json_is_refused(value: object) -> None:
    """NaN, sets and halves of surrogate pairs never reach the wire."""
    with pytest.raises((ValueError, TypeError)):
        encode_frame({"input": value})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"ok":1}',
        b'{"ok":true}',
        b'{"ok":false,"code":"X"}',
        b'{"ok":true,"id":"a","chain_id":"b","hash":"c","sequence":"1"}',
        b'{"ok":true,"id":"a","chain_id":"b","hash":"c","sequence":true}',
    ],
)
def test_other_answers_are_refused(body: bytes) -> None:
    """Nobody takes half an answer for an acknowledgement."""
    with pytest.raises(ValueError):  # noqa: PT011  # json and ours alike
        read_answer(body)


@pytest.mark.parametrize(
    ("platform", "environ", "path"),
    [
        ("linux", {"XDG_RUNTIME_DIR": "/run/user/7"}, "/run/user/7/agentreceipts/events.sock"),
        ("linux", {}, "/run/agentreceipts/events.sock"),
        ("linux", {"XDG_RUNTIME_DIR": ""}, "/run/agentreceipts/events.sock"),
        ("darwin", {"XDG_DATA_HOME": "/d"}, "/d/agent-receipts/events.sock"),
        ("darwin", {"HOME": "/Users/a"}, "/Users/a/.local/share/agent-receipts/events.sock"),
        (
            "darwin",
            {"XDG_DATA_HOME": "rel", "HOME": "/Users/a"},
            "/Users/a/.local/share/agent-receipts/events.sock",
        ),
        ("darwin", {}, None),
        ("freebsd14", {}, None),
        ("win32", {"AGENTRECEIPTS_SOCKET": "/x/y.sock"}, "/x/y.sock"),
        ("linux", {"AGENTRECEIPTS_SOCKET": "/x.sock", "XDG_RUNTIME_DIR": "/r"}, "/x.sock"),
        ("linux", {"AGENTRECEIPTS_SOCKET": ""}, "/run/agentreceipts/events.sock"),
    ],
)
def test_default_paths(platform: str, environ: dict[str, str], path: str | None) -> None:
    """The paths are those at which every emitter in the field looks."""
    assert default_socket_path(platform, environ) == path


def test_a_relative_home_is_none() -> None:
    """A data directory never falls into the working directory."""
    assert data_home({"HOME": "me"}) is None
    assert data_home({"XDG_DATA_HOME": "/"}) == "/"


def test_importing_it_loads_little() -> None:
    """A process that sends one frame pays for json and struct, and for nothing of ours."""
    program = (
        "import sys, tallystick.model.framing\n"
        "print(*[one for one in ('msgspec', 'nacl', 'cryptography', 'logging', 'asyncio',"
        " 'tallystick.errors') if one in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
