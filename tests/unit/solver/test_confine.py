# SPDX-License-Identifier: Apache-2.0
"""The launcher, as the program that it is: what it says, and what it does not start."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tallystick.solver.sandbox import LAUNCHER


def _launch(order: dict[str, Any]) -> tuple[int, list[dict[str, Any]]]:
    members = {
        "argv": ["true"],
        "env": {"PATH": "/usr/bin:/bin"},
        "cwd": "/",
        "kind": "none",
        "reports": False,
        "network": False,
        "hidden": [],
        "shown": [],
        "limits": {"CORE": 0},
        "parent": os.getpid(),
        **order,
    }
    reader, writer = os.pipe()
    with tempfile.TemporaryFile() as told:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", LAUNCHER, str(reader), str(told.fileno())],
            pass_fds=(reader, told.fileno()),
        )
        os.write(writer, json.dumps(members).encode())
        os.close(writer)
        os.close(reader)
        code = process.wait(30)
        told.seek(0)
        return code, [json.loads(line) for line in told]


def test_facts_come_before_the_program() -> None:
    """A program that starts leaves the facts alone, without a fault."""
    code, said = _launch({})
    assert code == 0
    assert said == [{"kind": "none", "noNewPrivileges": True}]


def test_no_program_starts_without_its_solver() -> None:
    """A launcher whose solver has ended meanwhile starts nothing."""
    code, said = _launch({"parent": 1 if os.getppid() != 1 else 2})
    assert code == 127
    assert said == [{"fault": "the solver ended before the program began"}]


def test_a_fault_is_told(tmp_path: Path) -> None:
    """A working directory that is gone, and a program that is none, are faults with a reason."""
    for order in ({"cwd": str(tmp_path / "none")}, {"argv": [str(tmp_path)]}):
        code, said = _launch(order)
        assert code == 127
        assert "fault" in said[-1]


def test_a_program_inherits_no_file() -> None:
    """It has its three standard files and no other."""
    code, _ = _launch(
        {"argv": ["sh", "-c", "test ! -e /proc/self/fd/3 && test ! -e /proc/$$/fd/4"]}
    )
    assert code == 0


def test_only_the_standard_library_is_used() -> None:
    """It runs with `-I -S`: nothing else could be imported."""
    tree = ast.parse(Path(LAUNCHER).read_text(encoding="utf-8"))
    names = {
        (node.module or "").split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
    } | {
        one.name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for one in node.names
    }
    assert names <= set(sys.stdlib_module_names)
