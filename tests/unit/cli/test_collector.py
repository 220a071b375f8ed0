# SPDX-License-Identifier: Apache-2.0
"""`tally collector`: what the session tests leave open."""

from __future__ import annotations

import sqlite3
import stat
import sys
from pathlib import Path

import pytest
from tests.command import tally
from tests.material import signed, statement, wire
from tests.served import Served

from tallystick.cli.settings import setting_options
from tallystick.config import COLLECTOR
from tallystick.errors import how_to_install
from tallystick.serve.server import bound_socket


def test_every_setting_is_an_option_with_its_variable() -> None:
    """The help of `run` names each flag, variable and default."""
    text = " ".join(tally("collector", "run", "--help").out.split())
    for setting in COLLECTOR:
        assert setting.flag in text
        if setting.kind != "flag":
            assert setting.environment in text.replace(" ", "") or setting.environment in text


def test_a_token_goes_to_standard_output_alone(place: Path) -> None:
    """So that a script can take it; what is said besides goes to standard error."""
    answer = tally("collector", "token", "add", "--tenant", "a", "--tokens", "t")
    assert answer.code == 0
    assert answer.out.startswith("tally_")
    assert answer.out.count("\n") == 1
    assert "not shown again" in answer.err
    assert stat.S_IMODE((place / "t").stat().st_mode) == 0o600
    assert answer.out.strip() not in tally("collector", "token", "list", "--tokens", "t").out


def test_fsck_finds_what_was_changed(place: Path) -> None:
    """A receipt that was altered in the store is named, with exit code 1."""
    with Served(place) as served:
        for number in (1, 2):
            served.post(wire(signed(statement(1, number=number, chain_id=f"c:{number}"))))
    assert tally("collector", "fsck", "--db", "collector.db").code == 0
    with sqlite3.connect("collector.db", isolation_level=None) as base:
        triggers = base.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            base.execute(f'DROP TRIGGER "{name}"')
        (body,) = base.execute("SELECT body FROM body WHERE idx = 0").fetchone()
        base.execute("UPDATE body SET body = ? WHERE idx = 0", (body.replace(b"c:1", b"c:x"),))
    base.close()
    answer = tally("collector", "fsck", "--db", "collector.db")
    assert answer.code == 1
    assert "0" in answer.out
    assert "in collector.db" in answer.err


def test_an_address_in_use_is_told_before_anything_is_made(place: Path) -> None:
    """A first start that fails so leaves no keys and no store behind."""
    before = sorted(place.iterdir())
    with bound_socket("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        answer = tally("collector", "run", "--addr", f"127.0.0.1:{port}")
    assert (answer.code, answer.out) == (2, "")
    assert f"127.0.0.1:{port} can't be listened on" in answer.err
    assert sorted(place.iterdir()) == before


def test_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the packages of a service it is said what to install."""
    for name in list(sys.modules):
        if name.startswith(("tallystick.collector.", "tallystick.serve.", "uvicorn")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    answer = tally("collector", "run", "--db", "x.db")
    assert answer.code == 3
    assert how_to_install("collector") in answer.err


def test_options_can_be_chosen() -> None:
    """A verb takes the settings that it needs, and a file of all."""

    @setting_options("db")
    def verb() -> None:
        """Do nothing."""

    names = {one.name for one in verb.__click_params__}  # type: ignore[attr-defined]  # click's own
    assert names == {"db", "config"}
