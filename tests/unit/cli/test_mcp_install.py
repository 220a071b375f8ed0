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
    done = tally("mcp", "install", "cursor", "--file", str(config), "--", "--require-receipt")
    assert done.code == 0, done.err
    assert "b is not started by the client: nothing of it is recorded" in done.out
    entry = json.loads(config.read_text())["mcpServers"]["a"]
    assert entry["args"] == [
        "mcp", "run", "--name", "a", "--require-receipt", "--", "npx", "-y", "x",
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
    """A file in doubt is left alone with exit code 1, and none is 3; unknown clients are usage."""
    config.write_text("no json")
    assert tally("mcp", "install", "cursor", "--file", str(config)).code == 1
    assert tally("mcp", "install", "emacs").code == 2
    config.unlink()
    answer = tally("mcp", "install", "codex", "--file", str(config))
    assert (answer.code, answer.out) == (3, "")
    assert "there is no such file" in answer.err
    undo = ("mcp", "install", "cursor", "--file", str(config), "--undo", "--", "--rules", "r")
    assert tally(*undo).code == 2


def test_options_are_tried(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client starts servers elsewhere, and shows nobody what goes wrong then: it is said now."""
    monkeypatch.chdir(tmp_path)
    before = config.read_text()
    (tmp_path / "r.yaml").write_text("version: 1\ndefault: pas\n")
    install = ("mcp", "install", "cursor", "--file", str(config), "--")
    for given, code, told in (
        (("--rulez", "r.yaml"), 2, "--rulez"),
        (("--approval-wait", "0"), 2, "--approval-wait"),
        (("--rules", "r.yaml"), 1, "wanted is pass"),
        (("--rules", "none.yaml"), 3, "none.yaml"),
        (("--require-receipt", "npx"), 2, "no command"),
    ):
        done = tally(*install, *given)
        assert (done.code, config.read_text()) == (code, before), given
        assert told in done.err
    (tmp_path / "r.yaml").write_text("version: 1\ndefault: pass\n")
    assert tally(*install, "--rules=r.yaml", "--late-after", "2.5").code == 0
    entry = json.loads(config.read_text())["mcpServers"]["a"]
    assert entry["args"][4:-4] == ["--rules", f"{tmp_path}/r.yaml", "--late-after", "2.5"]


def test_where_nothing_would_be_recorded(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No daemon, a socket that the host may not know, no server to stand before: it is said."""
    install = ("mcp", "install", "cursor", "--file", str(config), "--dry-run")
    done = tally(*install, "--", "--socket", "/nowhere/x.sock")
    assert "no daemon took the connection at '/nowhere/x.sock'" in done.out
    assert "AGENTRECEIPTS_SOCKET" not in done.out
    monkeypatch.setenv("AGENTRECEIPTS_SOCKET", "/nowhere/y.sock")
    done = tally(*install)
    assert "AGENTRECEIPTS_SOCKET is set here" in done.out
    assert "/nowhere/y.sock" in done.out
    config.write_text('{"mcpServers": {}}')
    done = tally(*install)
    assert "no server in it is started by the client" in done.out
    assert "no daemon" not in done.out
