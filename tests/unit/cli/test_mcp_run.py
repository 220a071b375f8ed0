# SPDX-License-Identifier: Apache-2.0
"""`tally mcp run`. What it does is in tests/systems; here, what it refuses before it starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.command import tally


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("version: 1\ndefault: deny\n", 1),
        ("version: 1\ndefault: pass\nrules: [{name: a, action: blok}]\n", 1),
        ("version: 1\ndefault: pass\n", 3),
    ],
)
def test_rules_stop_the_start(tmp_path: Path, text: str, code: int) -> None:
    """With a fault in the rules, no server is started; without, this one can't be."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(text)
    spool = str(tmp_path / "spool")
    given = ("--rules", str(rules), "--spool", spool, "--socket", "/nowhere/x.sock")
    done = tally("mcp", "run", *given, "--", "/nowhere/server")
    assert done.code == code
    assert ("can't be started" in done.err) is (code == 3)


@pytest.mark.parametrize("given", [("npx", "-y", "x"), ("sh", "-c", "true")])
def test_a_command_among_our_options(given: tuple[str, ...]) -> None:
    """Who leaves `--` out is told where it goes; behind it, the server's options are its own."""
    done = tally("mcp", "run", *given)
    assert done.code == 2
    assert "Write `--` before the server's command." in done.err
    assert "Write `--`" not in tally("mcp", "run", "--require-reciept", "--", *given).err


def test_usage() -> None:
    """A command is needed, and numbers have bounds."""
    assert tally("mcp", "run").code == 2
    assert tally("mcp", "run", "--approval-wait", "0", "--", "true").code == 2
    assert tally("mcp", "run", "--rules", "/nowhere.yaml", "--", "true").code == 3
