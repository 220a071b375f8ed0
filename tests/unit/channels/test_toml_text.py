# SPDX-License-Identifier: Apache-2.0
"""TOML is changed in the lines of one table, and only if the rest then says the same."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.channels.toml_text import TomlText
from tallystick.errors import ClientConfigError

TEXT = """\
# mine
model = "x"  # best

[mcp_servers.one]   # first
command = "npx"  # runs # it
args = [
  "-y",  # yes
  "[not.a.table]",
]
env = { A = "b" }

[mcp_servers."two words"]
command = 'uvx'
[other]
command = "no"
when = 1979-05-27
"""
CHARACTERS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(CHARACTERS, st.lists(CHARACTERS, max_size=4))
def test_put(command: str, arguments: list[str]) -> None:
    """Any text comes back as it was given; nothing else changes; comments stay."""
    text = TomlText(TEXT)
    text.put(("mcp_servers", "one", "command"), command)
    text.put(("mcp_servers", "one", "args"), arguments)
    text.put(("mcp_servers", "two words", "args"), arguments)
    wanted = tomllib.loads(TEXT)
    wanted["mcp_servers"]["one"] |= {"command": command, "args": arguments}
    wanted["mcp_servers"]["two words"]["args"] = arguments
    assert text.value == wanted
    for kept in ("# mine", "# best", "# first", "# runs # it", 'env = { A = "b" }', "1979-05-27"):
        assert kept in text.text


def test_drop() -> None:
    """A member goes with all its lines; one that is not there is nothing."""
    text = TomlText(TEXT)
    text.drop("mcp_servers", "one", "args")
    text.drop("mcp_servers", "two words", "args")
    assert text.text == TEXT.replace('args = [\n  "-y",  # yes\n  "[not.a.table]",\n]\n', "")


def test_line_ends_are_those_of_the_file() -> None:
    """What is put into a file with CRLF has CRLF."""
    text = TomlText('[a.b]\r\ncommand = "c"\r\n')
    text.put(("a", "b", "args"), ["x"])
    assert text.text == '[a.b]\r\nargs = ["x"]\r\ncommand = "c"\r\n'


def test_a_header_on_the_last_line() -> None:
    """A table at the end of a file without a line feed gets its member."""
    text = TomlText("[a.b]")
    text.put(("a", "b", "c"), "x")
    assert text.text == '[a.b]\nc = "x"\n'


@pytest.mark.parametrize(
    "text",
    [
        'a = { b = { command = "x" } }',
        'a.b.command = "x"',
        '[a]\nb = { command = "x" }',
        '[a]\nb.command = "x"',
        '[a.b]\n"command" = """\n[a.b]\ncommand = "y"\n"""\n[a.b.c]',
        'x = """\n[a.b]\ncommand = "no"\n"""\n[a]\nb.command = "x"',
    ],
)
def test_other_forms_are_refused_or_right(text: str) -> None:
    """Inline tables and dotted keys are refused; what is changed says what was meant."""
    made = TomlText(text)
    try:
        made.put(("a", "b", "command"), "new")
    except ClientConfigError:
        assert made.text == text
    else:
        assert made.value["a"]["b"]["command"] == "new"


@pytest.mark.parametrize("text", ["a", "a = ", "[a\n", "a = 1\na = 2", "\x00"])
def test_what_is_no_toml_is_refused(text: str) -> None:
    """A file that can't be read is left alone."""
    with pytest.raises(ClientConfigError):
        TomlText(text)
