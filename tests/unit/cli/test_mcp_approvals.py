# SPDX-License-Identifier: Apache-2.0
"""`tally mcp approvals`: what waits, and decisions."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.command import tally
from tests.frame_listener import FrameListener
from tests.inspections import Between
from tests.proxies import call

from tallystick.channels.mcp_proxy import ProxySettings, approval_desk
from tallystick.channels.rules import Rules

RULES = "version: 1\ndefault: pause\n"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[tuple[Between, str]]:
    folder = str(tmp_path / "approvals")
    settings = ProxySettings(
        command=("x",), server="git", rules=Rules(default="pause"), approvals=folder
    )
    with FrameListener() as listener:
        one = Between(listener, RULES)
        with approval_desk(settings, one.inspection):
            yield one, folder
        one.receipts.close()


def test_listed_and_decided(desk: tuple[Between, str]) -> None:
    """What waits is shown, on a terminal without any of its tricks; each is decided on once."""
    one, folder = desk
    one.say(call(1, "push\x1b[2J", {"to": "prod"}), call(2, "tag"))
    listed = tally("mcp", "approvals", "--approvals", folder)
    assert "2 calls waiting" in listed.out
    assert "\x1b" not in listed.out
    lines = tally("mcp", "approvals", "--approvals", folder, "--json").out.splitlines()
    ids = [json.loads(line)["id"] for line in lines]
    done = tally("mcp", "approvals", "--approvals", folder, "--approve", ids[0], "--as", "ada")
    assert done.out == f"approved: {ids[0]} by ada\n"
    done = tally("mcp", "approvals", "--approvals", folder, "--deny", ids[1], "--reason", "no")
    assert done.out.startswith(f"denied: {ids[1]} by ")
    assert len(one.server) == len(one.client) == 1
    again = tally("mcp", "approvals", "--approvals", folder, "--deny", ids[1])
    assert (again.code, again.out) == (1, "")
    assert tally("mcp", "approvals", "--approvals", folder).out == "0 calls waiting\n"
    nobody = tally("mcp", "approvals", "--approvals", f"{folder}-of-nobody").out
    assert "no proxy whose rules pause calls is announced in" in nobody


def test_what_is_refused(desk: tuple[Between, str], tmp_path: Path) -> None:
    """A decision that says too much, two decisions, a folder of everybody."""
    one, folder = desk
    one.say(call(1, "push"))
    (shown,) = one.inspection.approving.listing()
    given = ("mcp", "approvals", "--approvals", folder, "--approve", shown["id"])
    assert tally(*given, "--as", "x" * 65).code == 1
    assert tally(*given, "--deny", shown["id"]).code == 2
    os.mkdir(tmp_path / "shared", 0o755)
    assert tally("mcp", "approvals", "--approvals", str(tmp_path / "shared")).code == 3
    assert not one.server
