# SPDX-License-Identifier: Apache-2.0
"""`tally mcp check`: rules on recorded calls."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.command import tally

RULES = """
version: 1
default: pass
rules:
  - {name: night, action: block, time: {from: "22:00", to: "06:00"}}
  - {name: theirs, action: flag, server: git*}
"""
CALL = '{"tool": "read_file", "arguments": {"path": "/srv"}}'


@pytest.fixture
def rules(tmp_path: Path) -> str:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return str(path)


def test_alone(rules: str) -> None:
    """The rules are counted."""
    assert "2 rules; a call that none of them matches: pass" in tally("mcp", "check", rules).out


def test_calls(rules: str) -> None:
    """Each call is judged, for a server and a time of day."""
    done = tally("mcp", "check", rules, "-", "--at", "2026-11-21T12:00:00Z", stdin=CALL.encode())
    assert done.out.splitlines()[-1].split() == ["read_file", "read", "low", "pass", "-"]
    given = ("--at", "2026-11-21T23:00:00Z", "--server", "github", "--json")
    done = tally("mcp", "check", rules, "-", *given, stdin=CALL.encode())
    told = json.loads(done.out)
    assert (told["action"], told["rule"], told["operation"]) == ("block", "night", "read")


def test_no_calls(rules: str) -> None:
    """A file without calls is told from one that passes."""
    assert tally("mcp", "check", rules, "-", stdin=b"\n").out.startswith("0 calls")
    assert tally("mcp", "check", rules, "-", "--json", stdin=b"\n").out == ""


def test_what_is_refused(rules: str, tmp_path: Path) -> None:
    """A call that can't be read, a file that is not there, a time that is none."""
    assert tally("mcp", "check", rules, "-", stdin=b"{").code == 1
    assert tally("mcp", "check", rules, "/nowhere").code == 3
    assert tally("mcp", "check", "/nowhere").code == 3
    assert tally("mcp", "check", rules, "-", "--at", "noon", stdin=b"").code == 2
    for never in ("0001-01-01T00:00:00+23:59", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z"):
        done = tally("mcp", "check", rules, "-", "--at", never, stdin=CALL.encode())
        assert (done.code, "no clock says" in done.err) == (2, True)
    for edge in ("1970-01-01T00:00:00Z", "2262-04-11T00:00:00Z"):
        assert tally("mcp", "check", rules, "-", "--at", edge, stdin=CALL.encode()).code == 0
    bad = tmp_path / "bad.yaml"
    bad.write_text("rules: {}")
    done = tally("mcp", "check", str(bad))
    assert done.code == 1
    assert done.err.count("\n") == 1
