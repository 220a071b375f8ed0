# SPDX-License-Identifier: Apache-2.0
"""Announcements of approval APIs."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tallystick.channels.approval_places import (
    Place,
    announce,
    approvals_folder,
    ask,
    new_token,
    places,
    withdraw,
)
from tallystick.errors import ApprovalError, SettingError


def place(pid: int, port: int = 1) -> Place:
    return Place(pid=pid, port=port, server="s", token=new_token())


def test_found_while_it_runs(tmp_path: Path) -> None:
    """A proxy is found by a file for its owner alone, as long as its process lives."""
    folder = str(tmp_path / "run" / "approvals")
    mine = place(os.getpid())
    path = announce(folder, mine)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    announce(folder, place(2**22 + 1))  # no such process
    (tmp_path / "run" / "approvals" / "damaged.approvals").write_text("{}")
    assert list(places(folder)) == [mine]
    assert len(os.listdir(folder)) == 2  # the one of the dead is removed
    withdraw(path)
    withdraw(path)
    assert not list(places(folder))
    assert not list(places(str(tmp_path / "nowhere")))


def test_a_folder_of_others_is_refused(tmp_path: Path) -> None:
    """Who could read the token there could decide."""
    folder = tmp_path / "shared"
    folder.mkdir(mode=0o755)
    for work in (lambda: announce(str(folder), place(1)), lambda: list(places(str(folder)))):
        with pytest.raises(SettingError, match="chmod 700"):
            work()
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError):
        announce(str(tmp_path / "file" / "x"), place(1))


def test_where_it_is() -> None:
    """As told, in the runtime directory, or beside the user's data."""
    assert approvals_folder({"TALLY_APPROVALS": "/x"}, "/run/user/1") == "/x"
    assert approvals_folder({}, "/run/user/1") == "/run/user/1/tallystick/approvals"
    assert approvals_folder({"HOME": "/h"}, None) == "/h/.local/share/tallystick/approvals"
    with pytest.raises(SettingError):
        approvals_folder({}, None)


def test_tokens_differ() -> None:
    """Each proxy has its own."""
    assert len({new_token() for _ in range(100)}) == 100


def test_nobody_answers() -> None:
    """That is an error of its own, also for an announcement that is damaged."""
    for port in (0, 1):
        with pytest.raises(ApprovalError):
            ask(place(1, port), "GET", "/")
