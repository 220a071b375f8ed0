# SPDX-License-Identifier: Apache-2.0
"""A frame of a hook ends at the daemon or on stable storage, or the caller is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.frame_listener import FrameListener

from tallystick.chain.payload import payload_hash
from tallystick.channels import hook_delivery as module
from tallystick.channels.hook_delivery import HookDelivery, load_packages
from tallystick.errors import EmitError, SettingError

FRAME: dict[str, Any] = {"session_id": "s", "tool": {"name": "a"}, "decision": "allowed"}


def delivery(socket: str, spool: Path | None = None) -> HookDelivery:
    return HookDelivery(
        socket=socket,
        spool=None if spool is None else str(spool),
        channel="claude-code",
        clock=lambda: 1_795_000_000_000_000_000,
    )


def test_an_answer_that_is_lost_leaves_a_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the daemon took the frame and said nothing, it is kept, under the same key."""
    monkeypatch.setattr(module, "HOOK_ANSWER_MS_MAX", 50)
    with FrameListener() as listener:
        listener.is_mute = True
        delivery(listener.path, tmp_path / "s").hand_over(FRAME, b"")
        listener.wait(1)
    (kept,) = (tmp_path / "s").glob("*.frame")
    assert json.loads(kept.read_bytes())["idempotency_key"] == listener.frames[0].idempotency_key


def test_without_a_place_the_caller_is_told() -> None:
    """No daemon and no directory: an error that says so."""
    with pytest.raises(EmitError, match="no daemon"):
        delivery("/nowhere/s").hand_over(FRAME, b"")


def test_a_directory_that_others_write_to_is_refused(tmp_path: Path) -> None:
    """Nobody else may put frames there."""
    spool = tmp_path / "s"
    spool.mkdir()
    spool.chmod(0o777)
    with pytest.raises(SettingError, match="others"):
        delivery("/nowhere/s", spool).hand_over(FRAME, b"")


def test_the_hash_of_a_large_payload_is_that_of_its_canonical_form() -> None:
    """Who has the payload can compare it, as with those that went along."""
    big = {"b": "x" * 500_000, "a": 1}
    with FrameListener() as listener:
        delivery(listener.path).hand_over({**FRAME, "input": big}, b"source")
        listener.wait(1)
    assert listener.frames[0].input["omitted"]["hash"] == payload_hash(big)


def test_what_has_no_canonical_form_is_known_by_its_source() -> None:
    """Half of a surrogate pair has none: then the bytes that the host wrote are hashed."""
    with FrameListener() as listener:
        delivery(listener.path).hand_over({**FRAME, "input": {"a": "\ud800"}}, b"source")
        listener.wait(1)
    assert listener.frames[0].input["omitted"]["of"] == "hook input"


def test_nothing_to_drain_costs_nothing(tmp_path: Path) -> None:
    """No directory, an empty one, none at all: no connection is made."""
    for spool in (None, tmp_path, tmp_path / "none"):
        delivery("/nowhere/s", spool).drain()


def test_packages_are_loaded_only_where_they_are_missing() -> None:
    """In a process with packages, nothing happens."""
    load_packages()
