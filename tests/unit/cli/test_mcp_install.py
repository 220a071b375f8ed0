# SPDX-License-Identifier: Apache-2.0
"""`tally mcp install`: shown, done, undone; options for the proxy go along."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.command import tally


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "mcp.json"
    path.write_text(
        '{"mcpServers": {"a": {"command": "npx", "args": ["-y", "x"]}, "b": {"url": "https://x"}}}'
    )
    return path


def test_there_and_back(config: Path) -> None:
    """Options behind `--` are the proxy's; servers with an address are named and left."""
    before = config.read_text()
    done = tally(
        "mcp", "install", "cursor", "--file", str(config), "--", "--rules", "r.yaml"
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "left alone: b" in done.out
    entry = json.loads(config.read_text())["mcpServers"]["a"]
    assert entry["args"] == [
        "mcp", "run", "--name", "a", "--rules", "r.yaml", "--", "npx", "-y", "x",
    ]  # fmt: skip
    assert Path(entry["command"]).is_absolute()
    assert tally("mcp", "install", "cursor", "--file", str(config), "--undo").code == 0
    assert config.read_text() == before


def test_one_server_and_a_dry_run(config: Path) -> None:
    """`--server` chooses, `--dry-run` writes nothing."""
    before = config.read_text()
    done = tally(
        "mcp", "install", "cursor", "--file", str(config), "--server", "a", "--dry-run"
    )  # fmt: skip
    assert "nothing was written" in done.out
    assert config.read_text() == before
    missing = tally("mcp", "install", "cursor", "--file", str(config), "--server", "zz")
    assert missing.code == 1


def test_refusals(config: Path) -> None:
    """A file in doubt is left alone with exit code 1; unknown clients and options are usage."""
    config.write_text("no json")
    assert tally("mcp", "install", "cursor", "--file", str(config)).code == 1
    assert tally("mcp", "install", "emacs").code == 2
    undo = ("mcp", "install", "cursor", "--file", str(config), "--undo", "--", "--rules", "r")
    assert tally(*undo).code == 2
