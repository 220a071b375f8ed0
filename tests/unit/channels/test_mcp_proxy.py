# SPDX-License-Identifier: Apache-2.0
"""The proxy, put together. It is run as a process in tests/systems."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.frame_listener import FrameListener
from tests.inspections import Between

from tallystick.channels.approval_places import places
from tallystick.channels.mcp_proxy import (
    ProxySettings,
    approval_desk,
    run_proxy,
    runtime_folder,
    server_name,
    spool_folder,
)
from tallystick.channels.rules import Rules
from tallystick.errors import SettingError


def settings(rules: Rules, approvals: str | None = None) -> ProxySettings:
    return ProxySettings(
        command=("/nowhere/server",), server="s", rules=rules, approvals=approvals, socket="/x"
    )


def test_the_desk_is_there_where_it_is_needed(tmp_path: Path) -> None:
    """Only rules that pause open a port, and it is announced as long as it is open."""
    folder = str(tmp_path / "approvals")
    with FrameListener() as listener:
        inspection = Between(listener).inspection
        with approval_desk(settings(Rules(), folder), inspection):
            assert not os.path.exists(folder)
        pausing = Rules(default="pause")
        with approval_desk(settings(pausing, folder), inspection):
            (place,) = places(folder)
            assert place.pid == os.getpid()
        assert not list(places(folder))
        with (
            pytest.raises(SettingError, match="--approvals"),
            approval_desk(settings(pausing), inspection),
        ):
            pass


def test_a_server_that_can_not_be_started() -> None:
    """It is told before anything else begins."""
    with pytest.raises(SettingError, match="can't be started"):
        run_proxy(settings(Rules()), {}, lambda: 0)


def test_no_server_stays_where_nobody_could_approve(tmp_path: Path) -> None:
    """Announcements that can't be written end the start, and the server that was started."""
    told = tmp_path / "pid"
    (tmp_path / "file").touch()
    given = ProxySettings(
        command=("sh", "-c", f"echo $$ > {told}.new; mv {told}.new {told}; exec sleep 60"),
        server="s",
        rules=Rules(default="pause"),
        approvals=str(tmp_path / "file" / "approvals"),
        socket="/x",
    )
    with pytest.raises(SettingError):
        run_proxy(given, {}, lambda: 0)
    if told.exists():  # it had the time to say so
        with pytest.raises(ProcessLookupError):
            os.kill(int(told.read_text()), 0)


def test_where_things_are(tmp_path: Path) -> None:
    """A server is called by its program; a spool is made beside the user's data."""
    assert server_name(["/usr/bin/npx", "x"]) == "npx"
    assert server_name(["/"]) == "server"
    assert spool_folder({"HOME": str(tmp_path)}) == f"{tmp_path}/.local/share/agent-receipts/spool"
    (tmp_path / "file").write_text("")
    assert spool_folder({"XDG_DATA_HOME": str(tmp_path / "file")}) is None
    assert spool_folder({}) is None
    assert runtime_folder({"XDG_RUNTIME_DIR": "/r"}, 0) == "/r"
    assert runtime_folder({}, 4_000_000_000) is None
