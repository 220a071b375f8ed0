# SPDX-License-Identifier: Apache-2.0
"""Servers of MCP clients are put behind the proxy and taken out again; nothing else moves."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from tallystick.channels.client_config import CLIENTS, client_path, unwrapped, wrapped
from tallystick.errors import ClientConfigError, SettingError, UnreadableError

PROGRAM = "/opt/tally/bin/tally"
JSON = """\
{
  "theme": "dark", "big": 12345678901234567890,
  "mcpServers": {
    "files": {"command": "npx", "args": ["-y", "@x/files", "--", "/tmp"], "env": {"TOKEN": "t"}},
    "plain": {"command": "serve"},
    "none": {"type": "stdio", "command": "serve", "args": []},
    "remote": {"type": "http", "url": "https://example.com/mcp"}
  }
}
"""
TOML = """\
model = "x"   # best
[mcp_servers.files]
command = "npx"  # runs it
args = [
  "-y",
  "@x/files", "--", "/tmp",
]
env = { TOKEN = "t" }
[mcp_servers.plain]
command = 'serve'
[mcp_servers.none]
command = "serve"
args = []
[mcp_servers.remote]
url = "https://example.com/mcp"
"""


def given(tmp_path: Path, client: str) -> Path:
    path = tmp_path / "config"
    path.write_text(TOML if client == "codex" else JSON)
    return path


def servers(path: Path, client: str) -> dict[str, dict[str, object]]:
    if client == "codex":
        return dict(tomllib.loads(path.read_text())["mcp_servers"])
    return dict(json.loads(path.read_text())["mcpServers"])


@pytest.mark.parametrize("client", CLIENTS)
def test_there_and_back(tmp_path: Path, client: str) -> None:
    """Servers start through the proxy, with their own name, and then as before, byte by byte."""
    path = given(tmp_path, client)
    before = path.read_bytes()
    made = wrapped(client, str(path), PROGRAM, options=["--require-receipt"])
    assert made.wrapped == ("files", "plain", "none")
    assert (made.untouched, made.remote, made.started) == ((), ("remote",), 3)
    made.change.apply()
    found = servers(path, client)
    assert found["files"] == {
        "command": PROGRAM,
        "args": [
            "mcp",
            "run",
            "--name",
            "files",
            "--require-receipt",
            "--",
            "npx",
            "-y",
            "@x/files",
            "--",
            "/tmp",
        ],
        "env": {"TOKEN": "t"},
    }
    assert found["remote"] == {"url": "https://example.com/mcp"} | (
        {} if client == "codex" else {"type": "http"}
    )
    unwrapped(client, str(path)).change.apply(keeps=False)
    assert path.read_bytes() == before


@pytest.mark.parametrize("client", CLIENTS)
def test_installing_twice_is_installing_once(tmp_path: Path, client: str) -> None:
    """A server that is behind the proxy is not put behind it again; options may change."""
    path = given(tmp_path, client)
    wrapped(client, str(path), PROGRAM).change.apply()
    assert wrapped(client, str(path), PROGRAM).change.is_empty
    wrapped(client, str(path), PROGRAM, options=["--rules", "/r.yaml"]).change.apply()
    arguments = servers(path, client)["plain"]["args"]
    assert arguments == ["mcp", "run", "--name", "plain", "--rules", "/r.yaml", "--", "serve"]


@pytest.mark.parametrize("client", ["codex", "cursor"])
def test_what_changed_since_stays(tmp_path: Path, client: str) -> None:
    """Undoing after the file has moved on changes command and arguments only."""
    path = given(tmp_path, client)
    wrapped(client, str(path), PROGRAM).change.apply()
    path.write_text(path.read_text().replace("https://example.com", "https://example.org"))
    unwrapped(client, str(path)).change.apply(keeps=False)
    found = servers(path, client)
    assert found["files"]["command"] == "npx"
    assert found["files"]["args"] == ["-y", "@x/files", "--", "/tmp"]
    assert found["remote"]["url"] == "https://example.org/mcp"


def test_one_server(tmp_path: Path) -> None:
    """Others can be left out; one that is not there is an error."""
    path = given(tmp_path, "cursor")
    made = wrapped("cursor", str(path), PROGRAM, only=["plain"])
    assert made.wrapped == ("plain",)
    with pytest.raises(ClientConfigError, match="nope"):
        wrapped("cursor", str(path), PROGRAM, only=["nope"])


def test_projects_of_claude_code(tmp_path: Path) -> None:
    """Servers of single projects are started through the proxy, too."""
    path = tmp_path / ".claude.json"
    inner = {"mcpServers": {"a": {"command": "x", "args": ["y"]}}, "history": [1]}
    path.write_text(json.dumps({"projects": {"/p": inner, "/q": {"history": []}}}))
    wrapped("claude-code", str(path), PROGRAM).change.apply()
    found = json.loads(path.read_text())
    assert found["projects"]["/p"]["mcpServers"]["a"]["command"] == PROGRAM
    assert found["projects"]["/q"] == {"history": []}


@pytest.mark.parametrize(
    "text",
    [
        '{"mcpServers": []}',
        '{"mcpServers": {"a": 7}}',
        '{"mcpServers": {"a": {"command": 7}}}',
        '{"mcpServers": {"a": {"command": "x", "args": "y"}}}',
        '{"mcpServers": {"a": {"command": ""}}}',
        '{"mcpServers": {"a": {"command": "x", "args": [1]}}}',
        "[]",
        "// no\n{}",
        '{"a":1,"a":2}',
        "",
    ],
)
def test_forms_that_we_do_not_know_are_left_alone(tmp_path: Path, text: str) -> None:
    """What can't be read beyond doubt is refused, and not written."""
    path = tmp_path / "c"
    path.write_text(text)
    with pytest.raises(ClientConfigError):
        wrapped("cursor", str(path), PROGRAM)
    assert path.read_text() == text


def test_other_ways_to_write_toml_are_left_alone(tmp_path: Path) -> None:
    """Inline tables and dotted keys hold servers that we can't edit: refused."""
    path = tmp_path / "c"
    for text in ('mcp_servers = { a = { command = "x" } }', 'mcp_servers.a.command = "x"', "= 7"):
        path.write_text(text)
        with pytest.raises(ClientConfigError):
            wrapped("codex", str(path), PROGRAM)
        assert path.read_text() == text


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """Without a configuration there are no servers; none is made up."""
    assert unwrapped("cursor", str(tmp_path / "none.json")).change.is_empty
    with pytest.raises(UnreadableError, match="no such file"):
        wrapped("cursor", str(tmp_path / "none"), PROGRAM)


def test_where_clients_keep_their_servers() -> None:
    """The places that their makers name, also where a variable moves them."""
    home = {"HOME": "/h"}
    assert client_path("claude-desktop", "linux", home) == (
        "/h/.config/Claude/claude_desktop_config.json"
    )
    assert client_path("claude-desktop", "darwin", home) == (
        "/h/Library/Application Support/Claude/claude_desktop_config.json"
    )
    assert client_path("claude-code", "linux", home) == "/h/.claude.json"
    assert client_path("claude-code", "linux", {"CLAUDE_CONFIG_DIR": "/d"}) == "/d/.claude.json"
    assert client_path("codex", "linux", home) == "/h/.codex/config.toml"
    assert client_path("codex", "linux", {"CODEX_HOME": "/c"}) == "/c/config.toml"
    assert client_path("cursor", "linux", home) == "/h/.cursor/mcp.json"
    with pytest.raises(SettingError):
        client_path("emacs", "linux", home)


@pytest.mark.parametrize("name", ["--", "-x", "", "\ud800"])
def test_names_that_look_like_something_else(tmp_path: Path, name: str) -> None:
    """Whatever a server is called, its command comes back."""
    path = tmp_path / "config"
    entry = {"command": "npx", "args": ["a", "--", "\ud800"]}
    path.write_text(json.dumps({"mcpServers": {name: entry}}))
    wrapped("cursor", str(path), PROGRAM).change.apply(keeps=False)
    assert servers(path, "cursor")[name]["command"] == PROGRAM
    unwrapped("cursor", str(path)).change.apply(keeps=False)
    assert servers(path, "cursor")[name] == entry


@pytest.mark.parametrize("client", ["cursor", "codex"])
def test_a_number_without_end(tmp_path: Path, client: str) -> None:
    """It is refused in words."""
    path = tmp_path / "config"
    path.write_text("x = " + "9" * 5000 if client == "codex" else '{"x": ' + "9" * 5000 + "}")
    with pytest.raises(ClientConfigError, match="nothing was changed"):
        wrapped(client, str(path), PROGRAM)
