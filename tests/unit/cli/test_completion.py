# SPDX-License-Identifier: Apache-2.0
"""`tally completion`."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from tests.command import tally


@pytest.mark.parametrize(
    ("shell", "told"), [("bash", "complete"), ("zsh", "compdef"), ("fish", "complete")]
)
def test_each_shell_gets_its_script(shell: str, told: str) -> None:
    """The script calls `tally` with the variable that asks for words."""
    answer = tally("completion", shell)
    assert answer.code == 0
    assert told in answer.out
    assert f"_TALLY_COMPLETE={shell}_complete" in answer.out


def test_bash_reads_its_script() -> None:
    """What is printed is a program, as far as bash can tell."""
    bash = shutil.which("bash")
    assert bash is not None
    script = tally("completion", "bash").out
    subprocess.run([bash, "-n"], input=script, text=True, check=True)


def test_other_shells_are_unknown() -> None:
    """Wrong usage, with the ones that are known."""
    answer = tally("completion", "tcsh")
    assert answer.code == 2
    assert "'fish'" in answer.err
