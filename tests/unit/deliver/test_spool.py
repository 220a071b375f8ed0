# SPDX-License-Identifier: Apache-2.0
"""Frames wait in a directory of their own: in order, bounded, nobody else's, never lost."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tallystick.deliver import spool as module
from tallystick.deliver.frame_members import body_of
from tallystick.deliver.spool import Spool
from tallystick.durable.file import lock, unlock
from tallystick.errors import EmitError, EmitTransportError, FrameRefused, SettingError
from tallystick.limits import FRAME_BYTES_MAX
from tallystick.model.frame import parse_frame

LATER = 5.0


def members(name: str) -> dict[str, Any]:
    return {
        "ts_emit": "2026-01-01T00:00:00.000Z",
        "session_id": "s",
        "channel": "sdk",
        "tool": {"name": name},
        "decision": "allowed",
        "error": None,
    }


def deliver(spool: Spool) -> list[str]:
    names: list[str] = []
    spool.deliver(lambda body: names.append(parse_frame(body).tool.name), soon())
    return names


def soon() -> float:
    return time.monotonic() + LATER


def test_oldest_first(tmp_path: Path) -> None:
    """By the time of sending, then by the order within the process; what is delivered is gone."""
    spool = Spool(tmp_path / "s")
    for name, when in (("b", 20), ("c", 20), ("a", 10)):
        spool.keep(members(name), when)
    assert len(spool) == 3
    assert deliver(spool) == ["a", "b", "c"]
    assert (len(spool), deliver(spool)) == (0, [])


def test_a_failure_leaves_the_rest(tmp_path: Path) -> None:
    """Where the daemon goes in the middle, what it did not acknowledge stays."""
    spool = Spool(tmp_path / "s")
    for name in "abc":
        spool.keep(members(name), 1)
    seen: list[str] = []

    def send(body: bytes) -> None:
        seen.append(parse_frame(body).tool.name)
        if seen[-1] == "b":
            raise EmitTransportError("gone", may_be_stored=True)

    with pytest.raises(EmitTransportError):
        spool.deliver(send, soon())
    assert (seen, deliver(spool)) == (["a", "b"], ["b", "c"])


def test_a_refused_frame_steps_aside(tmp_path: Path) -> None:
    """What the daemon will never take is kept under another name, and holds up nothing."""
    spool = Spool(tmp_path / "s")
    for name in "ab":
        spool.keep(members(name), 1)

    def send(body: bytes) -> None:
        if parse_frame(body).tool.name == "a":
            raise FrameRefused("FRAME_RESERVED_TYPE", "no")

    spool.deliver(send, soon())
    assert len(spool) == 0
    assert [one.suffix for one in sorted((tmp_path / "s").iterdir())] == ["", ".refused"]


def test_one_deliverer_at_a_time(tmp_path: Path) -> None:
    """While another process delivers, this one leaves it alone."""
    import os

    spool = Spool(tmp_path / "s")
    spool.keep(members("a"), 1)
    directory = os.open(tmp_path / "s", os.O_RDONLY)
    held = lock(".lock", directory, "s")
    assert deliver(spool) == []
    unlock(held)
    os.close(directory)
    assert deliver(spool) == ["a"]


def test_the_time_is_up(tmp_path: Path) -> None:
    """Nothing is begun behind the deadline."""
    spool = Spool(tmp_path / "s")
    spool.keep(members("a"), 1)
    spool.deliver(lambda _: pytest.fail("too late"), time.monotonic() - 1)
    assert len(spool) == 1


def test_it_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full directory refuses, by number and by bytes."""
    spool = Spool(tmp_path / "s")
    monkeypatch.setattr(module, "SPOOL_FRAMES_MAX", 2)
    spool.keep(members("a"), 1)
    spool.keep(members("b"), 1)
    with pytest.raises(EmitError, match="full"):
        spool.keep(members("c"), 1)
    monkeypatch.setattr(module, "SPOOL_FRAMES_MAX", 10)
    monkeypatch.setattr(module, "SPOOL_BYTES_MAX", 500)
    with pytest.raises(EmitError, match="full"):
        spool.keep(members("c"), 1)
    assert len(spool) == 2


def test_directories_that_others_write_to(tmp_path: Path) -> None:
    """A frame that somebody else put there would be sent in our name: refused."""
    place = tmp_path / "s"
    place.mkdir()
    place.chmod(0o777)
    with pytest.raises(SettingError, match="others"):
        Spool(place)
    (tmp_path / "f").write_text("")
    with pytest.raises(SettingError, match="no directory"):
        Spool(tmp_path / "f")


def _pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    "plant",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b'{"v":"1","ack":tr'),
        lambda path: path.write_bytes(b'{"v":"1"}'),
        lambda path: path.write_bytes(b"x" * (FRAME_BYTES_MAX + 1)),
        lambda path: path.symlink_to("/etc/hostname"),
        Path.mkdir,
        _pipe,
    ],
    ids=["empty", "torn", "asks-nothing", "huge", "link", "directory", "pipe"],
)
def test_what_is_no_frame_holds_up_no_frame(tmp_path: Path, plant: Callable[[Path], None]) -> None:
    """It is set aside and counted, and the frames behind it are delivered at once."""
    spool = Spool(tmp_path / "s")
    spool.keep(members("a"), 1)
    plant(tmp_path / "s" / "0-0-0.frame")
    names: list[str] = []
    spoiled = spool.deliver(lambda body: names.append(parse_frame(body).tool.name), soon())
    assert (names, spoiled, len(spool)) == (["a"], 1, 0)
    assert [one.name for one in (tmp_path / "s").glob("*.refused")] == ["0-0-0.refused"]


def test_what_has_no_room_for_the_mark_of_a_late_one_is_told(tmp_path: Path) -> None:
    """A frame that just fits can't be kept, and that is no mistake of the caller's."""
    spool = Spool(tmp_path / "s")
    whole = members("a") | {"input": ""}
    whole["input"] = "x" * (FRAME_BYTES_MAX - len(body_of(whole | {"input": "x"})) + 1)
    assert len(body_of(whole)) == FRAME_BYTES_MAX
    with pytest.raises(EmitError, match="kept"):
        spool.keep(whole, 1)


def test_a_link_that_changes_later_changes_nothing(tmp_path: Path) -> None:
    """Frames stay in the directory to which a link led at the beginning."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir(mode=0o700)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "first")
    spool = Spool(link)
    link.unlink()
    link.symlink_to(tmp_path / "second")
    spool.keep(members("a"), 1)
    assert len(list((tmp_path / "first").glob("*.frame"))) == 1


def test_nobody_else_may_replace_the_directory(tmp_path: Path) -> None:
    """Below a directory to which everybody may write, another one could be put in its place."""
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    with pytest.raises(SettingError, match="replace"):
        Spool(open_to_all / "s")
    open_to_all.chmod(0o1777)
    assert len(Spool(open_to_all / "s")) == 0
