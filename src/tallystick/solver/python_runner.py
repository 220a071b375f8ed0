# SPDX-License-Identifier: Apache-2.0
"""Runs a Python callable for a job type, in a process of its own and confined like a program.

    [jobs.SCORE]
    runner = "python"
    callable = "scoring.jobs:score"     # called with the inputs; what it returns is result.json
    path = ["/srv/jobs"]                # where its module is found
    timeout = "1m"

The callable's working directory is where artefacts lie. What it returns has to be a JSON value.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from typing import Any, Final

from tallystick.errors import RunnerError
from tallystick.solver.command import CommandRunner
from tallystick.solver.runner import Facts

_CALLABLE: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", re.ASCII)
CALLEE: Final = os.path.join(os.path.dirname(os.path.abspath(__file__)), "callee.py")


class PythonRunner(CommandRunner):
    """Calls one Python function for each intent."""

    name = "python"
    action = "system.code.execute"

    def __init__(self, settings: Mapping[str, Any]) -> None:
        rest = dict(settings)
        place, path = rest.pop("callable", None), rest.pop("path", [])
        if not isinstance(place, str) or not _CALLABLE.fullmatch(place):
            raise RunnerError('runner python: callable must be "package.module:function"')
        if not isinstance(path, list) or not all(isinstance(one, str) and one for one in path):
            raise RunnerError("runner python: path must be a list of folders")
        if "argv" in rest:
            raise RunnerError("runner python: argv is for the runner command")
        self._place = place
        folders = [os.path.abspath(one) for one in path]
        self._folders = folders
        super().__init__({**rest, "argv": [sys.executable, "-I", "-B", CALLEE, place, *folders]})

    def shown(self) -> str:
        """Return what receipts call the callable."""
        return self._place

    def needed(self) -> tuple[str, ...]:
        """Return the interpreter, the program that calls, and where modules are found."""
        python = (sys.prefix, sys.base_prefix, sys.exec_prefix, sys.executable)
        return (*super().needed(), *python, CALLEE, *self._folders)

    def facts(self) -> Facts:
        """Return what the manifest says of the callable."""
        return super().facts() | {"callable": self._place[:128]}
