# SPDX-License-Identifier: Apache-2.0
"""What confines a program, as the words that bubblewrap and the launcher take."""

from __future__ import annotations

import os
from pathlib import Path

from tallystick.solver.sandbox import LAUNCHER, Cell, bubblewrap, facts_of, order_of


def test_bubblewrap_hides_and_binds_in_order(tmp_path: Path) -> None:
    """What is hidden comes before the working directory, which may lie below it."""
    secret, work = tmp_path / "home", tmp_path / "home" / "work"
    work.mkdir(parents=True)
    key = tmp_path / "key"
    key.touch()
    cell = Cell(cwd=str(work), hidden=(str(secret), str(key), str(tmp_path / "none")))
    line = bubblewrap(["prog", "--flag"], cell)
    text = " ".join(line)
    assert f"--tmpfs {secret}" in text
    assert f"--ro-bind /dev/null {key}" in text
    assert "none" not in text
    assert text.index(f"--tmpfs {secret}") < text.index(f"--bind {work} {work}")
    assert line[-3:] == ["--", "prog", "--flag"]
    assert "--unshare-all" in line
    assert "--share-net" not in line
    assert "--share-net" in bubblewrap(["prog"], Cell(cwd=str(work), network=True))


def test_the_launcher_is_told_all_of_it() -> None:
    """The order holds what the launcher needs, and who its parent is."""
    cell = Cell(cwd="/work", limits={"CORE": 0})
    order = order_of(["prog"], {"A": "1"}, cell, "namespaces")
    assert order["kind"] == "namespaces"
    assert order["argv"] == ["prog"]
    assert order["parent"] == os.getpid()
    wrapped = order_of(["prog"], {}, cell, "bubblewrap")
    assert wrapped["kind"] == "none"  # bubblewrap does the rest
    assert wrapped["argv"] != ["prog"]
    assert os.path.isfile(LAUNCHER)


def test_facts_say_what_was_in_force() -> None:
    """The manifest gets flat facts, limits included, and nothing that is none."""
    told = {"kind": "none", "noNewPrivileges": True, "odd": ["x"]}
    cell = Cell(cwd="/work", limits={"CORE": 0, "FSIZE": 10})
    assert facts_of(dict(told), cell, "none") == {
        "kind": "none",
        "noNewPrivileges": True,
        "limitCore": 0,
        "limitFsize": 10,
    }
    facts = facts_of(dict(told), cell, "bubblewrap")
    assert facts["kind"] == "bubblewrap"
    assert facts["network"] is False
