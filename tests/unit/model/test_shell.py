# SPDX-License-Identifier: Apache-2.0
"""Scripts are taken apart as a shell does it, and what can't be read is said to be opaque."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.limits import ARGUMENTS_MAX, SCRIPT_CHARS_MAX
from tallystick.model.shell import parse_script


def words(text: str) -> list[list[str]]:
    """Return the words of each command."""
    return [command.words for command in parse_script(text).commands]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ls -la", [["ls", "-la"]]),
        ("a; b && c || d & e\nf", [["a"], ["b"], ["c"], ["d"], ["e"], ["f"]]),
        ("a|b|&c", [["a"], ["b"], ["c"]]),
        ("echo 'a;b' \"c|d\" e\\;f", [["echo", "a;b", "c|d", "e;f"]]),
        ("r''m 'a'\"b\"c", [["rm", "abc"]]),
        ("a \\\n b", [["a", "b"]]),
        ("(a; b) { c; }", [["a"], ["b"], ["c"]]),
        ("a # b; c\nd", [["a"], ["d"]]),
        ("a#b", [["a#b"]]),
        ("$'\\x72\\155' x", [["rm", "x"]]),
        ("$'a\\n\\'b\\u0041'", [["a\n'bA"]]),
        ("echo $HOME ${A:-b} $((1+2))", [["echo", "$HOME", "${A:-b}", "$"]]),
        ("echo \"$'x' a\"", [["echo", "$'x' a"]]),
        ("find . -exec rm \\{\\} \\;", [["find", ".", "-exec", "rm", "{}", ";"]]),
        ("a{1,2} b", [["a{1,2}", "b"]]),
        ("", []),
        ("  # nothing", []),
        ("if true; then rm x; fi", [["if", "true"], ["then", "rm", "x"], ["fi"]]),
    ],
)
def test_words(text: str, expected: list[list[str]]) -> None:
    """Lists, quotes, escapes, comments and groups end up as words of commands."""
    assert words(text) == expected
    assert not parse_script(text).is_opaque


def test_pipes() -> None:
    """A command knows that it reads from the one before, also in a group."""
    flags = [command.is_piped for command in parse_script("a | b; c | (d); e || f").commands]
    assert flags == [False, True, False, True, False, False]


def test_redirections() -> None:
    """Targets are no words; numbers before them belong to them."""
    [command] = parse_script("a x 2>&1 >/dev/null <in >> log &>all").commands
    assert command.words == ["a", "x"]
    assert command.redirects == [
        (">&", "1"),
        (">", "/dev/null"),
        ("<", "in"),
        (">>", "log"),
        ("&>", "all"),
    ]


def test_here_documents() -> None:
    """Their text belongs to the command, and what follows is read on."""
    script = parse_script("bash <<'EOF' | cat\nrm x\n\tEOF\nls <<< 'text'")
    assert [command.words for command in script.commands] == [["bash"], ["cat"], ["ls"]]
    assert script.commands[0].documents == ["rm x"]
    assert script.commands[2].documents == ["text"]


def test_substitutions() -> None:
    """What is run inside a word is kept as a script of its own."""
    [command] = parse_script("echo \"$(a $(b))\" `c` <(d) x$(e \\) ')')y").commands
    assert command.scripts == ["a $(b)", "c", "d", "e \\) ')'"]


@pytest.mark.parametrize("text", ["echo 'a", 'echo "a', "echo `a", "$(a", "${a", "${a:-`b`}"])
def test_what_does_not_end_is_opaque(text: str) -> None:
    """Half a script is not taken for a whole one."""
    assert parse_script(text).is_opaque


def test_long_scripts_are_opaque() -> None:
    """Neither length nor number of commands can push a command out of sight unsaid."""
    assert parse_script("a " * SCRIPT_CHARS_MAX).is_opaque
    assert parse_script("a;" * (ARGUMENTS_MAX + 2)).is_opaque


@given(st.text(st.sampled_from("ab '\"\\$`(){};|&<>#\n=-"), max_size=60))
def test_any_text_is_read(text: str) -> None:
    """No text makes the reader stop or fail."""
    assert parse_script(text).commands is not None


@pytest.mark.parametrize("unit", ["$(", "`", "\\", "'", '"', "<<A\n", "${", "(", "a=", "$'\\", "{"])
def test_reading_takes_linear_time(unit: str) -> None:
    """The worst of the allowed length is read within a second on any machine."""
    start = time.process_time()
    parse_script(unit * (SCRIPT_CHARS_MAX // len(unit)))
    assert time.process_time() - start < 2
