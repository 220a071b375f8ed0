# SPDX-License-Identifier: Apache-2.0
"""What confines a program, as the words that bubblewrap and the launcher take."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from tallystick.solver.sandbox import (
    LAUNCHER,
    Cell,
    bubblewrap,
    facts_of,
    open_sockets,
    order_of,
)


def test_bubblewrap_hides_and_binds_in_order(tmp_path: Path) -> None:
    """What is hidden comes before the working directory, which may lie below it."""
    secret, work = tmp_path / "home", tmp_path / "home" / "work"
    work.mkdir(parents=True)
    key = tmp_path / "key"
    key.touch()
    cell = Cell(cwd=str(work), hidden=(str(secret), str(key), str(tmp_path / "none")))
    line = bubblewrap(["prog", "--flag"], cell, 7)
    assert line[1:3] == ["--json-status-fd", "7"]
    text = " ".join(line)
    assert f"--tmpfs {secret}" in text
    assert f"--ro-bind /dev/null {key}" in text
    assert "none" not in text
    assert text.index(f"--tmpfs {secret}") < text.index(f"--bind {work} {work}")
    assert line[-3:] == ["--", "prog", "--flag"]
    assert "--unshare-all" in line
    assert "--share-net" not in line
    assert "--share-net" in bubblewrap(["prog"], Cell(cwd=str(work), network=True), 7)


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
    assert (order["reports"], wrapped["reports"]) == (False, True)
    assert os.path.isfile(LAUNCHER)


def test_facts_say_what_was_in_force() -> None:
    """The manifest gets flat facts, limits included, and nothing that is none."""
    told = {"kind": "none", "noNewPrivileges": True, "odd": ["x"], "exit-code": 0}
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


def test_sockets_with_a_path_are_found(tmp_path: Path) -> None:
    """Those that are there and that this user may connect to, by the kernel's own list."""
    path = tmp_path / "a socket"
    (tmp_path / "file").touch()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        assert str(path) in open_sockets()
        head = "Num RefCount Protocol Flags Type St Inode Path\n"
        row = "0: 00000002 00000000 00010000 0001 01 7 "
        table = tmp_path / "table"
        gone = [f"{tmp_path}/file", f"{tmp_path}/gone", "relative", "@abstract", str(path), ""]
        table.write_text(head + "".join(f"{row}{one}\n" for one in gone))
        assert open_sockets(str(table)) == [str(path)]
    assert open_sockets(str(tmp_path / "none")) == []
