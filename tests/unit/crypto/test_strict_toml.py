# SPDX-License-Identifier: Apache-2.0
"""TOML is parsed at one place, and no key in it may have many parts."""

from __future__ import annotations

import tomllib
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tallystick
from tallystick.crypto.strict_toml import parse_toml
from tallystick.errors import LimitError, RefusedInput
from tallystick.limits import TOML_KEY_PARTS_MAX

MOST = ".".join(["a"] * TOML_KEY_PARTS_MAX)
DEEP = f"{MOST}.a"
QUOTED = " . ".join(["''", '"\\"."', "a-_9"] * TOML_KEY_PARTS_MAX)


@pytest.mark.parametrize(
    "text",
    [
        f"{MOST} = 1",
        f"[{MOST}]\n{MOST} = 1",
        f"# {DEEP}",
        f'a = "{DEEP}"',
        f"a = '{DEEP}'  # {DEEP}",
        f'a = """\n{DEEP} = 1 \\"""\n"" {DEEP} """""\nb = "{DEEP}"',
        f"a = '''\n{DEEP} = 1 \\''\n{DEEP} '''''\nb = '{DEEP}'",
        f"'{DEEP}'.\"{DEEP}\" = 1",
        "a = [" + "1.5, " * TOML_KEY_PARTS_MAX + "]",
    ],
)
def test_what_is_no_deep_key_is_read(text: str) -> None:
    """As many parts as there may be, and dots in texts and comments."""
    assert parse_toml(text) == tomllib.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        f"{DEEP} = 1",
        f"[{DEEP}]",
        f"[[ {DEEP} ]]",
        f"a = {{ {DEEP} = 1 }}",
        f"{QUOTED} = 1",
        f't = """x"""""\n{DEEP} = 1',
        f"t = '''x'''''\n{DEEP} = 1",
        f"t = \"'''\"\n{DEEP} = 1",
        f't = \'"""\'\n{DEEP} = 1',
        f't = "# \\\\"\n{DEEP} = 1',
        f't = ""\n{DEEP} = 1\nu = ""',
    ],
)
def test_a_key_of_many_parts_is_refused(text: str) -> None:
    """However it is written, and whatever stands before it."""
    tomllib.loads(text)  # it is TOML
    with pytest.raises(LimitError, match=f"more than {TOML_KEY_PARTS_MAX} parts"):
        parse_toml(text)


PIECES = st.sampled_from(
    [
        "a",
        "b",
        ".",
        " ",
        '"',
        "'",
        '"""',
        "'''",
        "\\",
        "#",
        "\n",
        " = ",
        "[",
        "]",
        f"\n{DEEP} = 1\n",
    ]
)


@given(st.lists(PIECES, max_size=24).map("".join))
def test_no_key_of_many_parts_is_passed_over(text: str) -> None:
    """Whatever quotes stand around: what is read says what the parser says, and is not deep."""
    try:
        value = parse_toml(text)
    except RefusedInput:
        return
    assert value == tomllib.loads(text)
    assert depth_of(value) <= TOML_KEY_PARTS_MAX


def depth_of(value: object) -> int:
    """Return how deep tables stand in one another."""
    return 1 + max(map(depth_of, value.values()), default=0) if isinstance(value, dict) else 0


@pytest.mark.parametrize(
    "text",
    [
        ".".join(["a"] * 500_000) + " = 1",
        "a = " + '"\\' * 500_000 + "." * TOML_KEY_PARTS_MAX,
        "a = " + '""" ' * 250_000 + "." * TOML_KEY_PARTS_MAX,
        "a = " + "'''' " * 200_000 + "." * TOML_KEY_PARTS_MAX,
        (MOST + " ") * 15_000,
        "a" + " " * 900_000 + ("\n" + MOST) * 1000,
    ],
    ids=["dots", "escapes", "texts", "quotes", "keys", "spaces"],
)
def test_a_file_takes_no_long_time(text: str) -> None:
    """A megabyte of the worst is refused in less than the parser took for a hundredth of it."""
    begun = process_time()
    with pytest.raises(RefusedInput):
        parse_toml(text)
    assert process_time() - begun < 5


@pytest.mark.parametrize("text", ["a =", "a = " + "9" * 5000, "a = " + "[" * 20_000])
def test_what_is_no_toml_is_refused(text: str) -> None:
    """Each in the same way: also too many digits, and brackets without an end."""
    with pytest.raises(RefusedInput):
        parse_toml(text)


def test_nobody_else_parses_toml() -> None:
    """The bound holds wherever TOML is read."""
    root = Path(tallystick.__file__).parent
    users = [one.name for one in root.rglob("*.py") if "import tomllib" in one.read_text()]
    assert users == ["strict_toml.py"]
