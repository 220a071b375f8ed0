# SPDX-License-Identifier: Apache-2.0
"""`python -m tallystick`."""

from __future__ import annotations

import subprocess
from importlib import import_module

from tests.command import environment, process

import tallystick


def test_the_package_runs_as_a_module() -> None:
    """It is the same command as `tally`, by the same name."""
    for arguments, told in (
        (["--version"], f"tally {tallystick.__version__}"),
        (["-h"], "tally ["),
    ):
        done = subprocess.run(
            process(*arguments), env=environment(), capture_output=True, text=True, check=True
        )
        assert told in done.stdout
        assert done.stderr == ""


def test_importing_it_runs_nothing() -> None:
    """Tools that import every module start no command."""
    assert callable(vars(import_module("tallystick.__main__"))["run"])
