# SPDX-License-Identifier: Apache-2.0
"""Our handlers go into a host's settings and out again, and nothing else moves."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from tallystick.channels.hook_config import HookHost, hook_command, hook_host, installed, removed
from tallystick.errors import ClientConfigError

OTHERS = """\
{
    "model": "opus", "n": 1e5,
    "hooks": {
        "PreToolUse": [{"matcher": "Bash", "hooks": [{"type": "command", "command": "mine.sh"}]}],
        "Stop": [{"hooks": [{"type": "command", "command": "say done"}]}]
    }
}
"""


def host(path: Path, name: str = "claude-code") -> HookHost:
    known = hook_host(name, {"HOME": str(path)})
    Path(known.path).parent.mkdir(parents=True, exist_ok=True)
    return known


@pytest.mark.parametrize("name", ["claude-code", "codex"])
@pytest.mark.parametrize(
    "before", [OTHERS, "{}", '{"hooks":{}}', '{"hooks":{"PreToolUse":[]}}', None]
)
def test_there_and_back(tmp_path: Path, name: str, before: str | None) -> None:
    """After installing and undoing, the file is what it was, byte by byte."""
    known = host(tmp_path, name)
    path = Path(known.path)
    if before is not None:
        path.write_text(before)
    change, after = installed(known, known.path, hook_command(name))
    change.apply()
    for event in known.events:
        assert sum("hook_start.py" in json.dumps(one) for one in after["hooks"][event]) == 1
    assert json.loads(path.read_bytes()) == after
    again, _ = installed(known, known.path, hook_command(name))
    assert again.is_empty
    removed(known.path).apply(keeps=False)
    assert (path.read_text() if path.exists() else None) == before
    assert removed(known.path).is_empty


def test_what_changed_since_stays(tmp_path: Path) -> None:
    """Undoing takes out our handlers only, also where the settings have moved on."""
    known = host(tmp_path)
    path = Path(known.path)
    path.write_text(OTHERS)
    installed(known, known.path, hook_command("claude-code"))[0].apply()
    path.write_text(path.read_text().replace('"opus"', '"haiku"'))
    removed(known.path).apply(keeps=False)
    assert json.loads(path.read_text()) == json.loads(OTHERS.replace("opus", "haiku"))
    assert '"n": 1e5' in path.read_text()


def test_a_new_place_replaces_the_old(tmp_path: Path) -> None:
    """Installing again with another socket or interpreter leaves one handler for each event."""
    known = host(tmp_path)
    installed(known, known.path, hook_command("claude-code", python="/old/python"))[0].apply()
    _, after = installed(known, known.path, hook_command("claude-code", socket="/run/x.sock"))
    assert "/old/python" not in json.dumps(after)
    assert all(len(after["hooks"][event]) == 1 for event in known.events)


def test_the_command_is_isolated_and_quoted() -> None:
    """No site, no environment, and paths with blanks survive a shell."""
    words = shlex.split(hook_command("codex", socket="/a b/s", spool="x", python="/p y/python"))
    assert words[:3] == ["/p y/python", "-I", "-S"]
    assert words[4:6] == ["codex", "--socket"]
    assert words[6] == "/a b/s"
    assert Path(words[8]).is_absolute()


def test_a_call_can_be_made_to_depend_on_it(tmp_path: Path) -> None:
    """With `blocks`, an attempt that is not recorded stops the call; outcomes block nothing."""
    known = host(tmp_path)
    _, after = installed(known, known.path, hook_command("claude-code"), blocks=True)
    assert after["hooks"]["PreToolUse"][0]["hooks"][0]["onFailure"] == "block"
    assert "onFailure" not in json.dumps(after["hooks"]["PostToolUse"])


def test_hosts_can_be_moved() -> None:
    """The variables by which hosts move their settings move them here, too."""
    assert hook_host("codex", {"CODEX_HOME": "/c"}).path == "/c/hooks.json"
    assert hook_host("claude-code", {"CLAUDE_CONFIG_DIR": "/d"}).path == "/d/settings.json"
    assert hook_host("claude-code", {"HOME": "/h"}).path == "/h/.claude/settings.json"


@pytest.mark.parametrize(
    "text",
    ["// mine\n{}", '{"hooks":[]}', '{"hooks":{"PreToolUse":{}}}', "[]", '{"hooks":{},"hooks":{}}'],
)
def test_forms_that_we_do_not_know_are_left_alone(tmp_path: Path, text: str) -> None:
    """What can't be read beyond doubt is refused, and not written."""
    known = host(tmp_path)
    Path(known.path).write_text(text)
    with pytest.raises(ClientConfigError):
        installed(known, known.path, hook_command("claude-code"))
    assert Path(known.path).read_text() == text
